//! What came out of a test, for people and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::placement::Placement;
use super::plan::Iteration;
use super::run::Network;
use super::test::{State, Test, Value};

/// Violations that are kept in full for each test; beyond these they are counted.
const KEPT_MAX: usize = 10;

/// A test of at most this many allowed states has seen enough when it has seen them all; a larger one, half of them.
const ALL_UP_TO: usize = 4;

/// What came out of one test.
#[derive(Clone, Debug, Serialize)]
pub struct Tally {
    /// The test's name.
    pub name: String,
    /// How many threads it has.
    pub threads: usize,
    /// In how many ways it is placed.
    pub placements: usize,
    /// Iterations.
    pub runs: u64,
    /// Distinct final states that are allowed.
    pub allowed: usize,
    /// How many of these were seen.
    pub seen: usize,
    /// Each allowed state, and in how many runs it was seen.
    pub states: Vec<Seen>,
    /// Runs that ended in a state that is not allowed.
    pub violations: u64,
    /// The first of these.
    pub violations_kept: Vec<Violation>,
}

/// An allowed state.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The value of each register and variable.
    pub state: BTreeMap<String, Value>,
    /// In how many runs it was seen.
    pub runs: u64,
}

/// A run that ended in a state that is not allowed.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    /// The iteration's number, from 0.
    pub iteration: u64,
    /// Where its variables lay.
    pub placement: String,
    /// What lay between the nodes.
    pub network: &'static str,
    /// The value of each register and variable.
    pub state: BTreeMap<String, Value>,
    /// Whether it is the state that the test is about.
    pub forbidden: bool,
    /// The same state, for people.
    #[serde(skip)]
    pub words: String,
}

impl Violation {
    /// Of an iteration that ended so.
    pub fn new(test: &Test, iteration: &Iteration, network: Network, state: &State) -> Violation {
        Violation {
            iteration: iteration.number,
            placement: iteration.placement.to_string(),
            network: network.words(),
            state: named(test, state),
            forbidden: test.is_forbidden(state),
            words: test.words(state),
        }
    }
}

fn named(test: &Test, state: &State) -> BTreeMap<String, Value> {
    test.names().map(str::to_string).zip(state.iter().copied()).collect()
}

impl Tally {
    /// Of a test that has not run.
    pub fn new(test: &Test) -> Tally {
        Tally {
            name: test.name.clone(),
            threads: test.threads.len(),
            placements: Placement::all(test).len(),
            runs: 0,
            allowed: test.allowed.len(),
            seen: 0,
            states: test.allowed.iter().map(|state| Seen { state: named(test, state), runs: 0 }).collect(),
            violations: 0,
            violations_kept: Vec::new(),
        }
    }

    /// One run ended in `state`.
    pub fn add(&mut self, test: &Test, state: State, violation: impl FnOnce(&State) -> Violation) {
        self.runs += 1;
        match test.allowed.binary_search(&state).ok().and_then(|place| self.states.get_mut(place)) {
            Some(seen) => {
                self.seen += usize::from(seen.runs == 0);
                seen.runs += 1;
            }
            None => {
                self.violations += 1;
                if self.violations_kept.len() < KEPT_MAX {
                    self.violations_kept.push(violation(&state));
                }
            }
        }
    }

    /// Whether enough of the allowed states were seen for the test to mean something.
    pub fn has_seen_enough(&self) -> bool {
        let enough = if self.allowed <= ALL_UP_TO { self.allowed } else { self.allowed.div_ceil(2) };
        self.seen >= enough
    }

    /// One line of the table.
    pub fn line(&self) -> String {
        let Tally { name, threads, placements, runs, seen, allowed, violations, .. } = self;
        let seen = format!("{seen}/{allowed}");
        let mark = match (violations, self.has_seen_enough()) {
            (0, true) => "",
            (0, false) => "  few states",
            _ => "  VIOLATED",
        };
        format!("{name:<12} {threads:>7} {placements:>10} {runs:>9} {seen:>11} {violations:>10}{mark}")
    }
}

/// The head of the table.
pub fn head() -> String {
    let [name, threads, placements, runs, seen, violations] =
        ["test", "threads", "placements", "runs", "states seen", "violations"];
    format!("{name:<12} {threads:>7} {placements:>10} {runs:>9} {seen:>11} {violations:>10}")
}

/// Everything, as it stands in the JSON file.
#[derive(Debug, Serialize)]
pub struct Summary<'s> {
    /// The seed of all choices.
    pub seed: u64,
    /// Iterations of each test.
    pub iterations: u64,
    /// Nodes of the jobs that it ran on.
    pub nodes: usize,
    /// The median of the round trips that were measured, nanoseconds.
    pub round_trip_ns: u64,
    /// Runs of all tests.
    pub runs: u64,
    /// Violations of all tests.
    pub violations: u64,
    /// Each test.
    pub tests: &'s [Tally],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::litmus::{SEQUENTIAL, parse};

    #[test]
    fn states_are_counted_and_what_is_not_allowed_is_a_violation() {
        let tests = parse::parse(SEQUENTIAL).unwrap();
        let sb = tests.iter().find(|test| test.name == "SB").unwrap();
        let placement = Placement::all(sb).remove(0);
        let iteration = Iteration { number: 7, placement, teller: 0 };
        let mut tally = Tally::new(sb);
        for state in [[0, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [0, 1, 0, 1]] {
            tally.add(sb, state.to_vec(), |state| Violation::new(sb, &iteration, Network::Straight, state));
        }
        assert_eq!((tally.runs, tally.seen, tally.allowed, tally.violations), (5, 2, 3, 2));
        assert!(!tally.has_seen_enough());
        let [forbidden, wild] = &tally.violations_kept[..] else { panic!("{tally:?}") };
        assert!(forbidden.forbidden && !wild.forbidden);
        assert_eq!((forbidden.iteration, forbidden.words.as_str()), (7, "a=0 b=0 x=1 y=1"));
        assert!(tally.line().ends_with("VIOLATED"));
        tally.add(sb, vec![1, 0, 1, 1], |state| Violation::new(sb, &iteration, Network::Straight, state));
        assert!(tally.has_seen_enough());
    }

    #[test]
    fn the_json_names_every_state() {
        let tests = parse::parse(SEQUENTIAL).unwrap();
        let text = serde_json::to_string(&Tally::new(&tests[0])).unwrap();
        assert!(text.contains(r#""states":[{"state":{"x":2},"runs":0}]"#), "{text}");
    }
}
