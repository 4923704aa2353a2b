//! What both ways of calling have in common: figures from durations and counts.

use std::time::{Duration, Instant};

use crate::figure::{Figure, Unit};
use crate::plan::RESULT_BYTES;

pub(crate) fn microseconds(took: Duration) -> f64 {
    took.as_nanos() as f64 / 1e3
}

/// Megabytes a second.
pub(crate) fn speed(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

/// The speed of a large result that took so long.
pub(crate) fn result_speed(took: Duration) -> f64 {
    speed(RESULT_BYTES.into(), took)
}

/// Counts calls a second until the time is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting {
    start: Instant,
    end: Instant,
}

impl Counting {
    pub(crate) fn begin(counting: Duration) -> Counting {
        let start = Instant::now();
        Counting { start, end: start + counting }
    }

    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.end
    }

    /// The figure of so many calls until now.
    pub(crate) fn rate(&self, name: &str, calls: u64) -> Figure {
        Figure::of(name, Unit::CallsPerSecond, vec![calls as f64 / self.start.elapsed().as_secs_f64()])
    }
}

/// Processor time for each of so many calls.
pub(crate) fn processor(name: &str, before: Duration, after: Duration, calls: u64) -> Figure {
    let took = after.saturating_sub(before);
    Figure::of(name, Unit::Microseconds, vec![microseconds(took) / calls.max(1) as f64])
}

/// An answer that is not the question.
pub(crate) fn expect_echo(sent: u64, got: u64) -> Result<(), String> {
    if sent == got { Ok(()) } else { Err(format!("wrong answer: {got} to {sent}")) }
}
