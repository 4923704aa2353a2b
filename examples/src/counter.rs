//! One word that every node wants to add to: three ways, one of them wrong.
//!
//! To add one is to load, add and store. Two nodes that both load 7 both store 8, and one of the two additions is lost,
//! although each load and each store was carried out correctly: sequential consistency orders single accesses, it does
//! not tie two of them together. A *lock* around the three steps does, at the price of moving the lock and the page
//! from node to node. An *atomic* operation does it with one message each way: the page's home adds, and nothing moves.

use std::time::Duration;

use dsm_core::{Dsm, Error, Placement};

use crate::figures::{Meter, Totals};

/// How the nodes add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Load and store while holding a lock.
    Lock,
    /// One atomic operation at the page's home.
    FetchAdd,
    /// Load and store, and nothing else: wrong as soon as two nodes do it.
    Unprotected,
}

impl Way {
    /// All of them, in the order in which [`run`] takes them.
    pub const ALL: [Way; 3] = [Way::Lock, Way::FetchAdd, Way::Unprotected];

    /// A word for the table.
    pub fn name(self) -> &'static str {
        match self {
            Way::Lock => "lock",
            Way::FetchAdd => "fetch_add",
            Way::Unprotected => "unprotected",
        }
    }
}

/// What became of one counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How it was added to.
    pub way: Way,
    /// What all nodes together added.
    pub expected: u64,
    /// What stood there in the end.
    pub found: u64,
    /// From the first addition to the last, on the slowest node.
    pub elapsed: Duration,
    /// Messages of all nodes together.
    pub messages: u64,
}

impl Tally {
    /// Additions that left no trace.
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.found)
    }
}

/// Collective. Every node adds one, `increments` times, in each of the three ways. Every node gets the same counts.
///
/// # Errors
/// The memory cannot be had.
pub fn run(dsm: &Dsm, increments: u64) -> Result<Vec<Tally>, Error> {
    Way::ALL.into_iter().map(|way| run_way(dsm, way, increments)).collect()
}

fn run_way(dsm: &Dsm, way: Way, increments: u64) -> Result<Tally, Error> {
    let counter = dsm.alloc::<u64>(1, Placement::Node(0))?;
    let meter = Meter::start(dsm);
    for _ in 0..increments {
        match way {
            Way::Lock => {
                let _held = dsm.lock(0);
                counter.set(0, counter.get(0) + 1);
            }
            Way::FetchAdd => {
                counter.fetch_add(0, 1);
            }
            Way::Unprotected => {
                let seen = counter.get(0);
                // Another node may store its sum just here; ours, made from what we saw before, then overwrites it.
                counter.set(0, seen + 1);
            }
        }
    }
    let cost = meter.stop(dsm, increments, Totals::default())?;
    let (expected, found) = (cost.work, counter.get(0));
    Ok(Tally { way, expected, found, elapsed: cost.elapsed, messages: cost.total().messages })
}
