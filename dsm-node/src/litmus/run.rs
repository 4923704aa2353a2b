//! Goes through all tests, a batch of iterations at a time, and judges what came out.

use std::time::Duration;

use rpc::impair::Impairments;

use super::desk::{Referee, Report, Script};
use super::placement::{self, Placement};
use super::plan::{FreshPages, Iteration, lay_out};
use super::tally::{Tally, Violation};
use super::test::{State, Test};
use crate::random::Random;

/// Iterations that are handed out at a time.
const BATCH: u64 = 50;

/// The mean extra delay of a datagram in the second half of the iterations: about the round trip of a quick network. Each datagram has
/// its own, so that what is sent to several nodes reaches them in any order.
const DELAY: Duration = Duration::from_micros(150);

/// What lies between the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// The loopback interface as it is.
    Straight,
    /// Every datagram is late, by a time of its own.
    Delaying,
}

impl Network {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Network::Straight => "straight network",
            Network::Delaying => "delaying network",
        }
    }
}

/// The tests, and how far they have come. Lives longer than a job: when the pages of one are used up, the next goes on.
pub struct Run {
    tests: Vec<Test>,
    placements: Vec<Vec<Placement>>,
    iterations: u64,
    seed: u64,
    /// Nodes of each job: enough for the test with the most threads.
    nodes: usize,
    pages: FreshPages,
    /// Of the job that runs, or of the next where none does.
    network: Network,
    /// The job that runs must end, because the next iterations want another network.
    wants_other_job: bool,
    /// The test that runs, and its next iteration.
    test: usize,
    next: u64,
    batch: Vec<Iteration>,
    /// One for each test.
    tallies: Vec<Tally>,
    /// Round trips that the nodes measured, nanoseconds.
    round_trips: Vec<u64>,
    /// A node whose report did not fit its script.
    nonsense: Option<usize>,
    on_batch: Box<OnBatch>,
}

/// Hears of a test's tally, and of the number of iterations that were added to it.
type OnBatch = dyn FnMut(&Tally, u64) + Send;

impl Run {
    /// Of `iterations` of each test. After each batch `on_batch` is called with the test's tally and the number of iterations that
    /// were added.
    pub fn new(
        tests: Vec<Test>,
        iterations: u64,
        seed: u64,
        on_batch: impl FnMut(&Tally, u64) + Send + 'static,
    ) -> Run {
        let nodes = tests.iter().map(placement::nodes).max().unwrap_or(1);
        Run {
            placements: tests.iter().map(Placement::all).collect(),
            tallies: tests.iter().map(Tally::new).collect(),
            tests,
            iterations,
            seed,
            nodes,
            pages: FreshPages::new(nodes),
            network: Network::Straight,
            wants_other_job: false,
            test: 0,
            next: 0,
            batch: Vec::new(),
            round_trips: Vec::new(),
            nonsense: None,
            on_batch: Box::new(on_batch),
        }
    }

    /// Nodes of each job.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Whether every iteration was handed out and judged.
    pub fn is_over(&self) -> bool {
        self.test >= self.tests.len() && self.batch.is_empty()
    }

    /// The faults of the network for the next job.
    pub fn impairments(&self) -> Impairments {
        match self.network {
            Network::Straight => Impairments::default(),
            Network::Delaying => Impairments { delay: DELAY, seed: self.seed, ..Impairments::default() },
        }
    }

    /// Lets go of what was called after each batch.
    pub fn hush(&mut self) {
        self.on_batch = Box::new(|_, _| {});
    }

    /// What came out so far.
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// The node that sent nonsense, if one did.
    pub fn nonsense(&self) -> Option<usize> {
        self.nonsense
    }

    /// The median of the round trips that the nodes measured, nanoseconds.
    pub fn round_trip(&self) -> u64 {
        let mut sorted = self.round_trips.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// What is being done now, for people.
    pub fn at(&self) -> String {
        let name = self.tests.get(self.test).map_or("", |test| test.name.as_str());
        match (self.batch.first(), self.batch.last()) {
            (Some(first), Some(last)) => {
                let network = self.network.words();
                format!("in iterations {} to {} of test {name}, {network}", first.number, last.number)
            }
            _ => "before the first iteration".to_string(),
        }
    }

    fn judge_batch(&mut self, reports: &[Report]) {
        let batch = std::mem::take(&mut self.batch);
        let (Some(test), Some(tally)) = (self.tests.get(self.test), self.tallies.get_mut(self.test)) else { return };
        let network = self.network;
        let mut told = vec![0; reports.len()];
        for (place, iteration) in batch.iter().enumerate() {
            match final_state(test, reports, place, iteration, &mut told) {
                Ok(state) => tally.add(test, state, |state| Violation::new(test, iteration, network, state)),
                Err(node) => {
                    self.nonsense = Some(node);
                    return;
                }
            }
        }
        (self.on_batch)(tally, batch.len() as u64);
        self.advance();
    }

    /// The iterations on this network: the first half of each test's on the straight one, the second on the other.
    fn range(&self) -> std::ops::Range<u64> {
        let half = self.iterations.div_ceil(2);
        match self.network {
            Network::Straight => 0..half,
            Network::Delaying => half..self.iterations,
        }
    }

    /// After a batch: goes on to the next test, or the next network.
    fn advance(&mut self) {
        if self.next < self.range().end {
            return;
        }
        self.test += 1;
        if self.test == self.tests.len() && self.network == Network::Straight && self.iterations > 1 {
            (self.network, self.test, self.wants_other_job) = (Network::Delaying, 0, true);
        }
        self.next = self.range().start;
    }

    /// Scripts for the next batch, or none where all is done or this job's pages are used up.
    fn next_batch(&mut self) -> Option<Vec<Script>> {
        let (test, placements) = (self.tests.get(self.test)?, self.placements.get(self.test)?);
        if self.wants_other_job || !self.pages.has(BATCH * test.variables.len() as u64) {
            return None;
        }
        let mut scripts = vec![Script::default(); self.nodes];
        let end = (self.next + BATCH).min(self.range().end);
        for number in self.next..end {
            // Of all tests, each iteration has choices of its own.
            let mut random = Random::of(self.seed ^ name_hash(&test.name), number);
            let Some(placement) = placements.get((number % placements.len().max(1) as u64) as usize) else { break };
            let (own, bystanders) = scripts.split_at_mut(placement::nodes(test));
            self.batch.push(lay_out(test, placement, number, &mut random, &mut self.pages, own));
            // Nodes beyond those of this test have no part in it.
            debug_assert!(bystanders.iter().all(|script| script.runs.is_empty()));
        }
        self.next = end;
        Some(scripts)
    }
}

impl Referee for Run {
    fn judge(&mut self, reports: Vec<Report>) -> Option<Vec<Script>> {
        let measured: Vec<u64> = reports
            .iter()
            .filter_map(|report| match report {
                Report::Ready(round_trip) => Some(*round_trip),
                Report::Done { .. } => None,
            })
            .collect();
        if measured.is_empty() {
            self.judge_batch(&reports);
        } else {
            // A new job: its pages are untouched. What an earlier one did not finish is done again.
            self.pages = FreshPages::new(self.nodes);
            self.wants_other_job = false;
            self.round_trips.extend(measured);
        }
        if self.nonsense.is_some() { None } else { self.next_batch() }
    }
}

/// FNV-1a.
fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Puts together what the nodes told of the iteration at `place` of the batch; `told` counts how many of each node's final
/// values were used. The error is the node whose report is not what its script asks for.
fn final_state(
    test: &Test,
    reports: &[Report],
    place: usize,
    iteration: &Iteration,
    told: &mut [usize],
) -> Result<State, usize> {
    let mut state = Vec::with_capacity(test.registers.len() + test.variables.len());
    for (node, steps) in test.threads.iter().enumerate() {
        let Some(Report::Done { loads, .. }) = reports.get(node) else { return Err(node) };
        let loads = loads.get(place).ok_or(node)?;
        let expected = steps.iter().filter(|step| matches!(step, super::test::Operation::Load(_))).count();
        if loads.len() != expected {
            return Err(node);
        }
        state.extend(loads);
    }
    let teller = iteration.teller;
    let Some(Report::Done { finals, .. }) = reports.get(teller) else { return Err(teller) };
    let start = told.get_mut(teller).ok_or(teller)?;
    let end = *start + test.variables.len();
    state.extend(finals.get(*start..end).ok_or(teller)?);
    *start = end;
    Ok(state)
}
