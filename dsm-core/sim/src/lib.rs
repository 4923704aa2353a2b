//! Whole clusters in one deterministic process.
//!
//! A run simulates 2 to 64 nodes: on each the real protocol machines (`protocol`) over the real transport (`rpc`'s, which has no
//! clock and no socket), over a simulated network, with simulated memory, program threads and time. One seed decides everything:
//! how many nodes, pages and threads, what their programs do, and what goes wrong: loss, duplication, reordering,
//! corruption, late datagrams, partitions, full sockets, slow nodes, nodes that stand still, the death of a node. The same seed
//! gives the same run, to the last bit, on every machine; so a failure found at night is a failure that can be stepped through.
//!
//! A run has two phases, as in TigerBeetle's and FoundationDB's simulators.
//!
//! 1. *Safety.* Everything may go wrong, and nothing wrong may come of it. After every step is checked: a page has one writer or
//!    many readers; every copy that a program can read is the newest; every load gives the newest value; bytes never land in a
//!    mapped page, and no copy is taken of one that the program can store to; a page is not taken away while it is held; a lock
//!    has one holder; a message is delivered once, and as it was sent; nobody leaves a barrier before everybody has come; no node is given up that lives. At the end what the
//!    threads saw is judged once more, by itself: is it [sequentially consistent](history)?
//! 2. *Liveness.* The network heals, and everything must be finished within [`FINISH_MAX`] of simulated time. Where a node
//!    died, every other must have noticed within [`NOTICE_MAX`], and must name the right one.
//!
//! The node of a run is a double of `dsm-core`'s engine, which is bound to the kernel; remote atomic operations, which are the
//! engine's and not a protocol's, are left out, and which pages are fetched ahead is left to chance. Two things are added that the runtime must bear though the transport and most kernels
//! spare it them: a protocol hears a message once more, and the kernel drops a mapping.
//!
//! The checks after a step look at the pages that the step has touched: the others are as they were when they were checked
//! last.
//!
//! ```
//! let report = sim::run(42, &sim::Options::default());
//! assert_eq!(report.verdict, Ok(()));
//! ```
#![forbid(unsafe_code)]

mod cluster;
mod ghost;
pub mod history;
mod memory;
mod network;
mod node;
mod program;
mod random;
mod report;
mod scenario;
mod summary;
mod text;
mod trace;
mod violation;

pub use cluster::{FINISH_MAX, NOTICE_MAX};
pub use network::Faults;
pub use node::{Fatal, Machines};
pub use program::{ThreadId, Word};
pub use report::{FAULT_KINDS_MIN, Report};
pub use scenario::{Death, Links, Manner, OPERATIONS_MIN, Scenario, Trouble};
pub use summary::Summary;
pub use trace::Listener;
pub use violation::{Failure, Violation};

/// What is not left to the seed.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How many nodes, where the seed shall not decide (2 to 64).
    pub nodes: Option<usize>,
    /// Called for the machines of every node before the run: a test may break them here, to see that it is noticed.
    pub prepare: &'a dyn Fn(&mut Machines),
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { nodes: None, prepare: &|_| {} }
    }
}

/// Runs a seed.
pub fn run(seed: u64, options: &Options<'_>) -> Report {
    run_scenario(Scenario::draw(seed, options.nodes), seed, options.prepare, None)
}

/// Runs a seed and tells `listener` what happens, line by line.
pub fn trace(seed: u64, options: &Options<'_>, listener: Listener<'_>) -> Report {
    run_scenario(Scenario::draw(seed, options.nodes), seed, options.prepare, Some(listener))
}

fn run_scenario(
    scenario: Scenario,
    seed: u64,
    prepare: &dyn Fn(&mut Machines),
    listener: Option<Listener<'_>>,
) -> Report {
    cluster::Cluster::new(scenario, prepare, listener).run(seed)
}
