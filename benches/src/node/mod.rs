//! What the measured processes do. Node 0 measures and prints its figures, one a line.

mod faults;
mod floor;
mod processors;
mod streams;
mod sync;

use std::time::Instant;

use dsm_core::{Dsm, PAGE_BYTES, Placement, SharedArray};

use crate::figure::{Figure, Unit};

const WORDS_PER_PAGE: usize = PAGE_BYTES / 8;

/// A kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Two nodes: faults, synchronisation.
    Pair,
    /// Two nodes that stream.
    Streams,
    /// Two nodes that sleep while they wait.
    Sleeping,
    /// Four nodes: the page comes through a forward, or has three readers.
    Four,
    /// Eight nodes at a barrier.
    Eight,
    /// Nothing of ours.
    Floor,
    /// Nothing of ours, and both sides sleep.
    FloorSleeping,
}

impl Part {
    /// All, in the order in which they take turns.
    pub const ALL: [Part; 7] =
        [Part::Floor, Part::Pair, Part::Streams, Part::FloorSleeping, Part::Sleeping, Part::Four, Part::Eight];

    /// As the command line has it.
    pub fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map_or_else(String::new, |value| value.get_name().to_string())
    }

    /// How many processes it takes.
    pub fn nodes(self) -> usize {
        match self {
            Part::Floor | Part::FloorSleeping | Part::Pair | Part::Streams | Part::Sleeping => 2,
            Part::Four => 4,
            Part::Eight => 8,
        }
    }

    /// Whether its nodes fetch pages ahead: where single faults are measured they must not.
    pub fn prefetches(self) -> bool {
        self == Part::Streams
    }

    /// How its nodes wait, for people.
    pub fn waiting(self) -> &'static str {
        if self.sleeps() { "sleeping" } else { "polling 100 us" }
    }

    /// Whether both sides sleep while they wait.
    pub fn sleeps(self) -> bool {
        matches!(self, Part::Sleeping | Part::FloorSleeping)
    }
}

/// Plays `part` in this process, with `samples` accesses of each kind.
///
/// # Errors
///
/// A sentence for the user.
pub fn play(part: Part, samples: usize) -> Result<(), String> {
    if matches!(part, Part::Floor | Part::FloorSleeping) {
        return floor::play(samples, part.sleeps());
    }
    let dsm = Dsm::join().map_err(|error| error.to_string())?;
    let bench = Bench { dsm: &dsm, order: shuffled(samples) };
    match part {
        Part::Pair => {
            bench.pair_faults()?;
            bench.pair_sync();
            bench.pair_processors()?;
        }
        Part::Streams => bench.streams()?,
        Part::Sleeping => bench.read_fault("remote_read_fault_sleeping", Placement::Node(1))?,
        Part::Four => {
            bench.read_fault("forwarded_read_fault", Placement::Node(2))?;
            bench.upgrade_with_three_readers()?;
            bench.barrier("barrier_4");
        }
        _ => bench.barrier("barrier_8"),
    }
    dsm.finalize().map_err(|error| error.to_string())
}

struct Bench<'d> {
    dsm: &'d Dsm,
    order: Vec<usize>,
}

impl<'d> Bench<'d> {
    fn is_first(&self) -> bool {
        self.dsm.rank() == 0
    }

    /// As many pages as there are samples.
    fn pages(&self, placement: Placement) -> Result<SharedArray<'d, u64>, String> {
        self.dsm.alloc(self.order.len() * WORDS_PER_PAGE, placement).map_err(|error| error.to_string())
    }

    /// Microseconds of `access` to the first word of each page, in shuffled order.
    fn each_page(&self, mut access: impl FnMut(usize)) -> Vec<f64> {
        self.order.iter().map(|&page| microseconds(|| access(page * WORDS_PER_PAGE))).collect()
    }
}

fn say(name: &str, samples: Vec<f64>) {
    println!("{}", Figure::of(name, Unit::Microseconds, samples));
}

fn microseconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / 1e3
}

/// Has the compiler believe that the value is needed.
fn consume(value: u64) {
    let _ = std::hint::black_box(value);
}

/// What is stored in a page, different for each.
fn written(page: usize) -> u64 {
    (page as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The numbers below `count` in an order that looks random and is always the same: Fisher and Yates' shuffle, driven by Knuth's
/// MMIX generator.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 42u64;
    for last in (1..count).rev() {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        order.swap(last, (state >> 33) as usize % (last + 1));
    }
    order
}
