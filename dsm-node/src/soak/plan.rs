//! What a seed makes of a job: its size, its network, and what its threads do.

use std::fmt;
use std::time::Duration;

use dsm_core::{PAGE_BYTES, Placement};
use rpc::impair::Impairments;

use crate::random::Random;

/// The most threads of all nodes together: each has its slots in every page.
pub const WRITERS_MAX: usize = 16;

/// The most locks of a job.
pub const LOCKS_MAX: usize = 16;

/// The most atomic words of a job.
pub const ATOMICS_MAX: usize = 8;

/// A job, all of it drawn from the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Processes.
    pub nodes: usize,
    /// Threads of each.
    pub threads: usize,
    /// Pages that they share.
    pub pages: usize,
    /// Who keeps them.
    pub placement: Placement,
    /// Locks, each guarding two words.
    pub locks: usize,
    /// Words for atomic additions, and as many for compare-and-swap.
    pub atomics: usize,
    /// What each thread does between two barriers.
    pub operations: usize,
    /// How often each kind of operation comes, compared with the others.
    weights: [u64; KINDS],
    /// What the network does to datagrams.
    pub impairments: Impairments,
    /// How long it goes on, about.
    pub time: Duration,
}

/// Kinds of operation.
const KINDS: usize = 8;

/// One operation of a thread. Which ones a thread performs never depends on what it loads, so the outcome is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Add 1 to the thread's own word of a page.
    Bump(usize),
    /// Look at another thread's word of a page.
    Look {
        /// The page.
        page: usize,
        /// Whose word.
        writer: usize,
    },
    /// Add 1 to the thread's datum, then to its flag, which lies elsewhere.
    Tell,
    /// Look at the flag of a thread, then at its datum, which must be as new.
    Hear(usize),
    /// Add to both words of a lock, while holding it.
    Guarded {
        /// The lock.
        lock: usize,
        /// How much.
        amount: u64,
    },
    /// Add to a word in one step.
    Add {
        /// The word.
        word: usize,
        /// How much.
        amount: u64,
    },
    /// Add 1 to a word by compare-and-swap.
    Swap(usize),
    /// Let others go on.
    Rest,
}

impl Plan {
    /// The job of this seed.
    pub fn draw(seed: u64) -> Plan {
        let mut random = Random::of(seed, 0);
        let mut between = |low: u64, high: u64| (low + random.below(high - low + 1)) as usize;
        let (nodes, threads, pages) = (between(2, 5), between(1, 3), between(1, 24));
        let placement = match between(0, 2) {
            0 => Placement::Block,
            1 => Placement::Cyclic { block_bytes: PAGE_BYTES },
            _ => Placement::Node(between(0, nodes as u64 - 1)),
        };
        let (locks, atomics, operations) = (between(1, 6), between(1, 4), between(20, 150));
        let weights = std::array::from_fn(|_| between(1, 10) as u64);
        let time = Duration::from_secs(between(5, 20) as u64);
        let impairments = network(&mut random, seed);
        Plan { seed, nodes, threads, pages, placement, locks, atomics, operations, weights, impairments, time }
    }

    /// Threads of all nodes.
    pub fn writers(&self) -> usize {
        self.nodes * self.threads
    }

    /// What thread `writer` does in `round`.
    pub fn operations(&self, writer: usize, round: u64) -> impl Iterator<Item = Operation> {
        let stream = 1 + round * WRITERS_MAX as u64 + writer as u64;
        let mut random = Random::of(self.seed, stream);
        (0..self.operations).map(move |_| self.operation(&mut random))
    }

    fn operation(&self, random: &mut Random) -> Operation {
        let mut left = random.below(self.weights.iter().sum());
        let kind = self.weights.iter().position(|&weight| {
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        });
        let mut below = |bound: usize| random.below(bound as u64) as usize;
        match kind {
            Some(0) => Operation::Bump(below(self.pages)),
            Some(1) => Operation::Look { page: below(self.pages), writer: below(self.writers()) },
            Some(2) => Operation::Tell,
            Some(3) => Operation::Hear(below(self.writers())),
            Some(4) => Operation::Guarded { lock: below(self.locks), amount: 1 + below(9) as u64 },
            Some(5) => Operation::Add { word: below(self.atomics), amount: 1 + below(9) as u64 },
            Some(6) => Operation::Swap(below(self.atomics)),
            _ => Operation::Rest,
        }
    }
}

/// A quarter of the jobs have a good network, the others have some of every fault.
fn network(random: &mut Random, seed: u64) -> Impairments {
    if random.percent(25) {
        return Impairments::default();
    }
    let mut up_to = |percent: u64| random.below(percent * 10 + 1) as f64 / 1000.0;
    let (loss, duplicate, reorder, corrupt) = (up_to(20), up_to(10), up_to(10), up_to(2));
    let delay = if random.percent(50) { Duration::ZERO } else { Duration::from_micros(random.below(2001)) };
    Impairments { loss, duplicate, reorder, corrupt, delay, seed }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { nodes, threads, pages, locks, impairments, .. } = self;
        write!(f, "{nodes} nodes, {threads} threads each, {pages} pages, {locks} locks, ")?;
        if !impairments.is_any() {
            return f.write_str("good network");
        }
        let Impairments { loss, duplicate, reorder, corrupt, delay, .. } = impairments;
        let [loss, duplicate, reorder, corrupt] = [loss, duplicate, reorder, corrupt].map(|share| share * 100.0);
        write!(f, "loss {loss:.1}%, duplicate {duplicate:.1}%, reorder {reorder:.1}%, corrupt {corrupt:.1}%, ")?;
        write!(f, "delay {} us", delay.as_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_job_each_time() {
        let operations = |plan: &Plan| plan.operations(1, 2).collect::<Vec<_>>();
        assert_eq!(Plan::draw(3), Plan::draw(3));
        assert_eq!(operations(&Plan::draw(3)), operations(&Plan::draw(3)));
        assert_ne!(Plan::draw(3), Plan::draw(4));
    }

    #[test]
    fn every_job_fits_into_its_slots_and_has_every_kind_of_operation() {
        for seed in 0..500 {
            let plan = Plan::draw(seed);
            assert!(plan.writers() <= WRITERS_MAX && plan.locks <= LOCKS_MAX && plan.atomics <= ATOMICS_MAX);
            assert!(matches!(plan.placement, Placement::Node(0..5) | Placement::Block | Placement::Cyclic { .. }));
            let mut seen = [false; KINDS];
            for operation in (0..50).flat_map(|round| plan.operations(0, round)) {
                let kind = match operation {
                    Operation::Bump(page) => usize::from(page >= plan.pages),
                    Operation::Look { page, writer } => 1 + usize::from(page >= plan.pages || writer >= plan.writers()),
                    Operation::Tell => 2,
                    Operation::Hear(writer) => 3 + usize::from(writer >= plan.writers()),
                    Operation::Guarded { .. } => 4,
                    Operation::Add { .. } => 5,
                    Operation::Swap(_) => 6,
                    Operation::Rest => 7,
                };
                seen[kind] = true;
            }
            assert_eq!(seen, [true; KINDS], "{plan:?}");
        }
    }
}
