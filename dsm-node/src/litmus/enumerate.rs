//! Every final state of a test, by trying every interleaving; and the proof that the tests which come with the product are right.

use std::collections::BTreeSet;

use super::test::{Operation, State, Test, Value, Variable};

/// What the threads run on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Machine {
    /// Every store is seen by all at once.
    Sequential,
    /// Stores wait in a queue of their own thread (x86; Owens, Sarkar and Sewell, 2009).
    TotalStoreOrder,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    next: Vec<usize>,
    queues: Vec<Vec<(Variable, Value)>>,
    registers: Vec<Value>,
    memory: Vec<Value>,
}

fn final_states(test: &Test, machine: Machine) -> BTreeSet<State> {
    let threads = test.threads.len();
    let start = Moment {
        next: vec![0; threads],
        queues: vec![Vec::new(); threads],
        registers: vec![0; test.registers.len()],
        memory: vec![0; test.variables.len()],
    };
    let (mut seen, mut open, mut ends) = (BTreeSet::new(), vec![start], BTreeSet::new());
    while let Some(moment) = open.pop() {
        if !seen.insert(moment.clone()) {
            continue;
        }
        let successors: Vec<Moment> = (0..threads)
            .flat_map(|thread| [step(test, machine, &moment, thread), drain(&moment, thread)])
            .flatten()
            .collect();
        if successors.is_empty() {
            ends.insert([moment.registers, moment.memory].concat());
        }
        open.extend(successors);
    }
    ends
}

/// The next operation of `thread`.
fn step(test: &Test, machine: Machine, moment: &Moment, thread: usize) -> Option<Moment> {
    let operation = *test.threads[thread].get(moment.next[thread])?;
    let mut after = moment.clone();
    after.next[thread] += 1;
    match operation {
        Operation::Store(variable, value) if machine == Machine::Sequential => after.memory[variable.0] = value,
        Operation::Store(variable, value) => after.queues[thread].push((variable, value)),
        Operation::Load(variable) => {
            let own = moment.queues[thread].iter().rev().find(|(queued, _)| *queued == variable);
            let value = own.map_or(moment.memory[variable.0], |(_, value)| *value);
            after.registers[register(test, thread, moment.next[thread])] = value;
        }
    }
    Some(after)
}

/// The oldest store in the queue of `thread` reaches memory.
fn drain(moment: &Moment, thread: usize) -> Option<Moment> {
    let (variable, value) = *moment.queues[thread].first()?;
    let mut after = moment.clone();
    after.queues[thread].remove(0);
    after.memory[variable.0] = value;
    Some(after)
}

/// Which register the load at `place` of `thread` goes into.
fn register(test: &Test, thread: usize, place: usize) -> usize {
    let loads = |steps: &[Operation]| steps.iter().filter(|step| matches!(step, Operation::Load(_))).count();
    test.threads[..thread].iter().map(|steps| loads(steps)).sum::<usize>() + loads(&test.threads[thread][..place])
}

#[test]
fn the_tests_of_the_product_allow_exactly_what_sequential_consistency_admits() {
    let tests = super::parse::parse(super::SEQUENTIAL).unwrap();
    assert_eq!(tests.len(), 19);
    for test in &tests {
        let sequential = final_states(test, Machine::Sequential);
        let allowed: BTreeSet<State> = test.allowed.iter().cloned().collect();
        assert_eq!(allowed, sequential, "{}", test.name);
        assert!(!sequential.iter().any(|state| test.is_forbidden(state)), "{}", test.name);
    }
}

#[test]
fn the_tests_of_the_product_say_rightly_what_the_processor_alone_may_show() {
    for test in super::parse::parse(super::SEQUENTIAL).unwrap() {
        let reachable = final_states(&test, Machine::TotalStoreOrder).iter().any(|state| test.is_forbidden(state));
        assert_eq!(reachable, test.reachable_under_tso, "{}", test.name);
    }
}
