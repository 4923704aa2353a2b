//! Small jobs, each over shared memory and over RPC: same algorithm, same input, same answer.
//!
//! Every job comes in four forms: for each way the *naive* one, which walks into the trap of its abstraction, and the one that a
//! good programmer writes. Shared memory pays for each page that moves, whatever is on it; so it wants things that are used
//! together to lie together, and things that are not to lie apart. RPC pays for each call, whatever is in it; so it wants many
//! things in one call.
//!
//! | job | shows |
//! | --- | --- |
//! | [`tickets`] | one hot word |
//! | [`neighbours`] | false sharing: words that nobody shares on a page that everybody does |
//! | [`chain`] | pointers followed one after the other |
//! | [`table`] | a hash table, some keys much more popular than others |
//! | [`stream`] | large items from one to all others |
//! | [`salesman`] | a queue of tasks, and one number that everybody looks at |
//! | [`matrix`] | much work on data that all read |
//! | [`plate`] | neighbours that exchange their edges, round after round |
//! | [`sorting`] | everybody sends something to everybody |
//! | [`rank`] | a real graph, whose edges lead everywhere |
//!
//! Each node hands in a number, and the sum of these is the answer, which [`Pair::answer`] computes without memory and network.
//! [`Pair::plain`] does the work of all nodes in one process and ordinary memory: what the job would cost if nothing were remote.

pub mod chain;
pub mod desk;
pub mod matrix;
pub mod neighbours;
pub mod plate;
pub mod rank;
pub mod salesman;
pub mod sorting;
mod source;
pub mod stream;
pub mod table;
pub mod tickets;

use std::time::{Duration, Instant};

use dsm_core::Dsm;
use rpc::{CallError, StartError};
use thiserror::Error;

use crate::figures::{Meter, Totals};

/// Words in a page.
const PAGE: usize = dsm_core::PAGE_BYTES / 8;

/// What a form is written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Shared memory.
    Dsm,
    /// Calls to a server at node 0.
    Rpc,
}

/// One way to do a job.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Its name in tables and on command lines.
    pub name: &'static str,
    /// What it is written over.
    pub over: Over,
    /// What it does, in a few words.
    pub what: &'static str,
    /// The top-level items that it consists of, as their declarations begin.
    items: &'static [&'static str],
    run: fn(&Dsm, u64) -> Result<Outcome, PairError>,
}

/// A job in all its forms.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// Its name in tables and on command lines.
    pub name: &'static str,
    /// What it shows.
    pub shows: &'static str,
    /// What its size counts.
    pub unit: &'static str,
    /// A size that takes half a millisecond and more in the quickest form, and less than a second in the slowest.
    pub size: u64,
    /// A size that takes a few tens of milliseconds.
    pub quick_size: u64,
    /// The naive form over shared memory, the good one, and the two over RPC.
    pub forms: &'static [Form],
    source: &'static str,
    answer: fn(u64, u64) -> u64,
    plain: fn(u64, u64) -> Plain,
}

/// All of them.
pub const ALL: [Pair; 10] = [
    tickets::PAIR,
    neighbours::PAIR,
    chain::PAIR,
    table::PAIR,
    stream::PAIR,
    salesman::PAIR,
    matrix::PAIR,
    plate::PAIR,
    sorting::PAIR,
    rank::PAIR,
];

/// What one process alone gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    /// The answer of so many nodes.
    pub answer: u64,
    /// How long the work took that [`Outcome::elapsed`] counts.
    pub elapsed: Duration,
}

/// What a run gave, and what it cost all nodes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The sum of what the nodes handed in.
    pub answer: u64,
    /// From the moment at which all were ready to the end of the slowest.
    pub elapsed: Duration,
    /// What each node did.
    pub nodes: Vec<Totals>,
}

impl Outcome {
    /// What all nodes did together.
    pub fn total(&self) -> Totals {
        self.nodes.iter().copied().sum()
    }
}

/// Why a job could not be done.
#[derive(Debug, Error)]
pub enum PairError {
    /// The memory cannot be had.
    #[error("shared memory: {0}")]
    Dsm(#[from] dsm_core::Error),
    /// No socket, or no thread.
    #[error("cannot start: {0}")]
    Start(#[from] StartError),
    /// The server did not answer.
    #[error("call to the server failed: {0}")]
    Call(#[from] CallError),
}

impl Pair {
    /// The answer for so many nodes.
    pub fn answer(&self, nodes: usize, size: u64) -> u64 {
        (self.answer)(nodes as u64, size)
    }

    /// Does the work of so many nodes here, one thing after the other, in ordinary memory.
    pub fn plain(&self, nodes: usize, size: u64) -> Plain {
        (self.plain)(nodes as u64, size)
    }

    /// Lines of code of a form: what it needs beside what all jobs use.
    pub fn lines(&self, form: &Form) -> usize {
        form.items.iter().filter_map(|item| source::lines_of(self.source, item)).sum()
    }
}

impl Form {
    /// Whether it walks into the trap of its abstraction.
    pub fn is_naive(&self) -> bool {
        self.name.ends_with("-naive")
    }

    /// Collective: every node with the same arguments, and every node gets the same outcome.
    ///
    /// # Errors
    /// [`PairError`]. The nodes that succeed wait for the others until these have ended.
    pub fn run(&self, dsm: &Dsm, size: u64) -> Result<Outcome, PairError> {
        (self.run)(dsm, size)
    }
}

/// The plain form's part that counts.
fn timed(work: impl FnOnce() -> u64) -> Plain {
    let start = Instant::now();
    let answer = work();
    Plain { answer, elapsed: start.elapsed() }
}

/// Does the part that counts: all begin together, and the slowest ends it.
fn measured(dsm: &Dsm, work: impl FnOnce() -> Result<u64, PairError>) -> Result<Outcome, PairError> {
    measured_with(dsm, Totals::default, work)
}

/// The same where a node does something besides, which `so_far` knows.
fn measured_with(
    dsm: &Dsm,
    so_far: impl Fn() -> Totals,
    work: impl FnOnce() -> Result<u64, PairError>,
) -> Result<Outcome, PairError> {
    let (before, meter) = (so_far(), Meter::start(dsm));
    let handed_in = work()?;
    let cost = meter.stop(dsm, handed_in, so_far() - before)?;
    Ok(Outcome { answer: cost.work, elapsed: cost.elapsed, nodes: cost.nodes })
}

/// Numbers that look random and are the same everywhere: SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014).
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
