//! What each node does in an iteration, decided by the seed.

use super::desk::{Move, Script, Word};
use super::node::{PAGES_PER_HOME, WORDS_PER_PAGE};
use super::placement::{Layout, Placement, Start, Use};
use super::test::{Operation, Test, Variable};
use crate::random::Random;

/// Hands out pages that nobody has touched.
#[derive(Clone, Debug)]
pub struct FreshPages {
    /// How many pages of each home are used.
    used: Vec<u64>,
}

impl FreshPages {
    /// For a job of so many nodes.
    pub fn new(nodes: usize) -> FreshPages {
        FreshPages { used: vec![0; nodes] }
    }

    /// Whether so many more are there for every home.
    pub fn has(&self, pages: u64) -> bool {
        self.used.iter().all(|used| used + pages <= PAGES_PER_HOME)
    }

    /// A page whose home this is: the pages of the job's array go round the nodes.
    fn take(&mut self, home: usize) -> u64 {
        let nodes = self.used.len() as u64;
        let Some(used) = self.used.get_mut(home) else { return 0 };
        *used += 1;
        (*used - 1) * nodes + home as u64
    }
}

/// One iteration, as it was laid out.
#[derive(Clone, Debug)]
pub struct Iteration {
    /// Its number among the test's.
    pub number: u64,
    /// Where it runs.
    pub placement: Placement,
    /// Who tells the final values.
    pub teller: usize,
}

/// Lays out one iteration of a test and adds it to the nodes' scripts.
pub fn lay_out(
    test: &Test,
    placement: &Placement,
    number: u64,
    random: &mut Random,
    pages: &mut FreshPages,
    scripts: &mut [Script],
) -> Iteration {
    let fresh: Vec<u64> = placement.homes.iter().map(|&home| pages.take(home)).collect();
    let words: Vec<Word> = (0..test.variables.len())
        .map(|variable| {
            let page = fresh.get(placement.page(Variable(variable))).copied().unwrap_or_default();
            // On a page of its own, a variable lies anywhere; together, they are neighbours.
            let slot = match placement.layout {
                Layout::OnePage => variable as u64,
                Layout::Apart => random.below(WORDS_PER_PAGE),
            };
            page * WORDS_PER_PAGE + slot
        })
        .collect();
    let word = |variable: Variable| words.get(variable.0).copied().unwrap_or_default();

    for page in 0..fresh.len() {
        let on_page: Vec<Word> = (0..test.variables.len())
            .filter(|&variable| placement.page(Variable(variable)) == page)
            .map(|variable| word(Variable(variable)))
            .collect();
        prepare(test, placement, page, &on_page, random, scripts);
    }
    for (steps, script) in test.threads.iter().zip(scripts.iter_mut()) {
        script.runs.push(moves(steps, &word, random));
    }
    let teller = random.below(scripts.len() as u64) as usize;
    if let Some(script) = scripts.get_mut(teller) {
        script.finals.extend(&words);
    }
    Iteration { number, placement: placement.clone(), teller }
}

/// Brings a page into its state at the start. Its words stay 0, whoever owns it.
fn prepare(
    test: &Test,
    placement: &Placement,
    page: usize,
    words: &[Word],
    random: &mut Random,
    scripts: &mut [Script],
) {
    let Some(&word) = words.first() else { return };
    // A page that no thread loads from, or stores to, goes to the node that takes no part.
    let bystander = test.threads.len();
    let one_of = |users: Vec<usize>, random: &mut Random| random.pick(&users).copied().unwrap_or(bystander);
    let owner = match placement.start {
        Start::Cold => None,
        Start::Reader => Some(one_of(placement.users(test, page, Use::Load), random)),
        Start::Writer => Some(one_of(placement.users(test, page, Use::Store), random)),
        // Copies of a page that was never written, or of one that somebody owns.
        Start::Shared => random.percent(50).then(|| random.below(scripts.len() as u64) as usize),
    };
    if let Some(script) = owner.and_then(|owner| scripts.get_mut(owner)) {
        script.own.push(word);
    }
    if placement.start == Start::Shared {
        scripts.iter_mut().for_each(|script| script.share.push(word));
    }
}

/// What a thread does: most often it first touches its variables while others run already, then takes its steps, with pauses.
fn moves(steps: &[Operation], word: &impl Fn(Variable) -> Word, random: &mut Random) -> Vec<Move> {
    let mut moves = Vec::new();
    if random.percent(75) {
        let mut touched: Vec<Word> = steps.iter().map(|step| word(step.variable())).collect();
        touched.sort_unstable();
        touched.dedup();
        if random.percent(50) {
            touched.reverse();
        }
        for word in touched {
            pause(&mut moves, random);
            moves.push(Move::Look(word));
        }
    }
    for step in steps {
        pause(&mut moves, random);
        moves.push(match *step {
            Operation::Store(variable, value) => Move::Store(word(variable), value),
            Operation::Load(variable) => Move::Load(word(variable)),
        });
    }
    moves
}

/// Half the time, a pause between nothing and twice the round trip.
fn pause(moves: &mut Vec<Move>, random: &mut Random) {
    if random.percent(50) {
        moves.push(Move::Wait(random.below(1001) as u16));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::litmus::{SEQUENTIAL, parse, placement};

    #[test]
    fn every_iteration_takes_the_steps_of_the_test_on_fresh_pages_of_the_right_home() {
        for test in parse::parse(SEQUENTIAL).unwrap() {
            let nodes = placement::nodes(&test);
            let (mut pages, mut used) = (FreshPages::new(nodes), BTreeSet::new());
            for (number, placement) in Placement::all(&test).iter().enumerate() {
                let mut scripts = vec![Script::default(); nodes];
                let mut random = Random::of(1, number as u64);
                let iteration = lay_out(&test, placement, number as u64, &mut random, &mut pages, &mut scripts);
                let words = &scripts[iteration.teller].finals;
                let homes: BTreeSet<usize> =
                    words.iter().map(|word| (word / WORDS_PER_PAGE) as usize % nodes).collect();
                assert_eq!(homes, placement.homes.iter().copied().collect());
                let fresh: BTreeSet<u64> = words.iter().map(|word| word / WORDS_PER_PAGE).collect();
                assert_eq!(fresh.len(), placement.homes.len());
                assert!(fresh.iter().all(|&page| used.insert(page)), "{}", test.name);
                for (thread, steps) in test.threads.iter().enumerate() {
                    let expected: Vec<Move> = steps
                        .iter()
                        .map(|step| match *step {
                            Operation::Store(variable, value) => Move::Store(words[variable.0], value),
                            Operation::Load(variable) => Move::Load(words[variable.0]),
                        })
                        .collect();
                    let mut taken = scripts[thread].runs[0].clone();
                    taken.retain(|step| !matches!(step, Move::Wait(_) | Move::Look(_)));
                    assert_eq!(taken, expected, "{}", test.name);
                }
                assert!(scripts[test.threads.len()].runs.is_empty());
            }
        }
    }

    #[test]
    fn pages_end() {
        let mut pages = FreshPages::new(2);
        assert!(pages.has(PAGES_PER_HOME));
        assert_eq!([pages.take(1), pages.take(1), pages.take(0)], [1, 3, 0]);
        assert!(pages.has(PAGES_PER_HOME - 2) && !pages.has(PAGES_PER_HOME - 1));
    }
}
