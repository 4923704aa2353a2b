//! Mutual exclusion by nothing but loads and stores of shared memory.
//!
//! Before processors had an instruction for it, one contender was kept out while another was in by plain words in memory:
//! Dekker's algorithm for two (in Dijkstra's words, 1965), Peterson's shorter one (1981), Lamport's bakery for any number (1974).
//! All three are right only where memory is sequentially consistent: each contender announces itself by a store and then looks at
//! the others, and if the load could overtake the store, two would come in at once. So they are a test that no memory with a
//! wrong order survives for long, and they show what sequential consistency is worth.
//!
//! Between nodes the shared memory keeps that order by itself. Between two threads of *one* node there is only the processor,
//! which lets a load overtake an earlier store of the same thread (its store waits in a queue): there the fence in `announce` is needed.
//! The compiler, too, may swap relaxed accesses, and the fences hold it back.
//!
//! Each program counts: a contender that is inside adds to a common counter by a load and a store, and watches that nobody
//! else signs the visitors' book meanwhile. A lost addition or a strange signature means that two were inside.

mod bakery;
mod contest;
mod dekker;
mod peterson;

use std::sync::atomic::{Ordering, fence};

use dsm_core::{Dsm, Error, PAGE_BYTES, Placement, SharedArray};

pub use bakery::Bakery;
pub use contest::{Contest, Tally, main, run};
pub use dekker::Dekker;
pub use peterson::Peterson;

/// A way to keep all but one contender out.
pub trait MutualExclusion<'d>: Sized + Sync {
    /// How many contenders it can tell apart.
    const CONTENDERS_MAX: usize;

    /// Its words in memory, for so many contenders. Collective.
    ///
    /// # Errors
    /// The memory cannot be had.
    fn new(dsm: &'d Dsm, contenders: usize, spread: Spread) -> Result<Self, Error>;

    /// Waits until contender `me` is the only one inside.
    fn enter(&self, me: usize);

    /// Contender `me`, who is inside, leaves.
    fn leave(&self, me: usize);
}

/// Where an algorithm's words lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Side by side on one page, which all contenders steal from each other.
    OnePage,
    /// Each on a page of its own, the pages' homes going round the nodes.
    Pages,
}

/// Words of shared memory, all 0 at first.
#[derive(Clone, Copy)]
pub(crate) struct Words<'d> {
    array: SharedArray<'d, u64>,
    stride: usize,
}

impl<'d> Words<'d> {
    /// So many. Collective.
    fn new(dsm: &'d Dsm, count: usize, spread: Spread) -> Result<Words<'d>, Error> {
        let stride = match spread {
            Spread::OnePage => 1,
            Spread::Pages => PAGE_BYTES / size_of::<u64>(),
        };
        let array = dsm.alloc(count * stride, Placement::Cyclic { block_bytes: PAGE_BYTES })?;
        Ok(Words { array, stride })
    }

    fn get(&self, index: usize) -> u64 {
        self.array.get(index * self.stride)
    }

    fn set(&self, index: usize, value: u64) {
        self.array.set(index * self.stride, value);
    }
}

/// What this thread stored so far is seen by all before it loads or stores anything else.
fn announce() {
    fence(Ordering::SeqCst);
}

/// What happens inside begins after the way in and ends before the way out.
fn boundary() {
    fence(Ordering::SeqCst);
}

/// Looks again and again until it is so.
fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        std::thread::yield_now();
    }
}
