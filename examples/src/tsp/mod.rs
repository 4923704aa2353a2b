//! The travelling salesman by parallel branch and bound, over shared memory and over RPC.
//!
//! A tour visits every city once and comes home; the shortest one is wanted, and the proof that there is none shorter.
//! The search tree is cut into *tasks* (the first few cities of a tour, [`Prefix`]); workers take tasks from a queue
//! and search below each depth first. Whatever cannot beat the best tour known so far is cut off, so every worker wants
//! to know the others' best at once: one small word, read all the time and written seldom. That is what shared memory
//! is good at, and [`over_dsm`] and [`over_rpc`] show what each way pays for it.
//!
//! [`Problem`] and [`search`](Problem::search) are pure; what differs between the two ways stands behind [`Best`].

mod bound;
mod choice;
mod formula;
pub mod instances;
pub mod over_dsm;
pub mod over_rpc;
mod problem;
mod search;
pub mod tsplib;

use std::fmt;
use std::time::Duration;

pub use choice::{Choice, Chosen};
pub use problem::{ASCENT_ROUNDS, ASCENT_ROUNDS_MAX, DEPTH_MAX, Prefix, Problem};
pub use search::{Best, LocalBest};

/// A symmetric instance: cities `0..cities()` and the distance between any two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    name: String,
    cities: usize,
    distances: Vec<u32>,
}

impl Instance {
    /// `distances` is the full matrix, row by row; the parser has checked that it is symmetric.
    pub(crate) fn new(name: String, cities: usize, distances: Vec<u32>) -> Self {
        debug_assert_eq!(distances.len(), cities * cities);
        Self { name, cities, distances }
    }

    /// The name in the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of cities, [`tsplib::CITIES_MIN`] to [`tsplib::CITIES_MAX`].
    pub fn cities(&self) -> usize {
        self.cities
    }

    /// The distance between two cities, in the instance's own unit. Panics when there is no such city.
    pub fn distance(&self, from: usize, to: usize) -> u32 {
        assert!(from < self.cities && to < self.cities, "city {from} or {to} of {}", self.cities);
        self.distances[from * self.cities + to]
    }

    /// The length of a closed tour, or `None` when `tour` does not visit every city exactly once. This is the check for
    /// tours that come from elsewhere.
    pub fn tour_length(&self, tour: &[u8]) -> Option<u32> {
        let mut visited = 0u64;
        for &city in tour {
            if usize::from(city) >= self.cities || visited & (1 << city) != 0 {
                return None;
            }
            visited |= 1 << city;
        }
        if tour.len() != self.cities {
            return None;
        }
        let legs = tour.iter().zip(tour.iter().cycle().skip(1));
        Some(legs.map(|(&from, &to)| self.distance(from.into(), to.into())).sum())
    }
}

/// What a run found, and what it cost all its processes together.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Length of the shortest tour.
    pub length: u32,
    /// That tour: every city once.
    pub tour: Vec<u8>,
    /// Nodes of the search tree that were expanded.
    pub expanded: u64,
    /// Tasks the tree was cut into.
    pub tasks: usize,
    /// Processes that worked.
    pub workers: usize,
    /// From the first task's making to the last one's end.
    pub elapsed: Duration,
    /// Messages that crossed the network, each counted once.
    pub messages: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tour: Vec<String> = self.tour.iter().map(|city| (city + 1).to_string()).collect();
        writeln!(f, "length    {}", self.length)?;
        writeln!(f, "tour      {}", tour.join(" "))?;
        writeln!(f, "searched  {} nodes in {} tasks by {} workers", self.expanded, self.tasks, self.workers)?;
        writeln!(f, "time      {:.3} s", self.elapsed.as_secs_f64())?;
        write!(f, "network   {} messages, {} bytes", self.messages, self.bytes)
    }
}

/// Solves in this process alone, with one thread. The reference for the others.
pub fn solve_alone(problem: &Problem, depth: usize) -> Report {
    let start = std::time::Instant::now();
    let best = LocalBest::new(problem.first_tour());
    let tasks = problem.tasks(depth);
    let expanded = tasks.iter().map(|&prefix| problem.search(prefix, &best)).sum();
    let (length, tour) = best.into_inner();
    let elapsed = start.elapsed();
    Report { length, tour, expanded, tasks: tasks.len(), workers: 1, elapsed, messages: 0, bytes: 0 }
}
