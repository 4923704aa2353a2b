//! What a process does between two accesses.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// What is computed before an access "after work": as long as those who wait go on polling, so that then they sleep, or are about to.
pub const WORK: Duration = Duration::from_micros(100);

/// Arithmetic that takes a while; none, by default.
#[derive(Clone, Copy, Default)]
pub(super) struct Work {
    steps: u64,
}

impl Work {
    /// As much as takes [`WORK`] on a processor of its own.
    pub(super) fn measured() -> Work {
        const LAPS: usize = 20;
        let lap = Work { steps: 100_000 };
        let quickest = (0..LAPS)
            .map(|_| {
                let start = Instant::now();
                lap.work();
                start.elapsed()
            })
            .min();
        let nanoseconds = quickest.unwrap_or_default().as_nanos().max(1) as u64;
        Work { steps: lap.steps * WORK.as_nanos() as u64 / nanoseconds }
    }

    /// Does it.
    pub(super) fn work(self) {
        black_box((0..self.steps).fold(1, |sum, step| black_box(sum + step)));
    }

    /// What it takes alone.
    pub(super) fn seconds(self) -> f64 {
        if self.steps == 0 { 0.0 } else { WORK.as_secs_f64() }
    }
}
