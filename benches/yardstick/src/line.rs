//! Counting what comes over a line while the clock runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::figure::{Figure, Unit};
use crate::plan::{Goodput, names};
use crate::timing::speed;

/// What has arrived of large results.
#[derive(Debug)]
pub struct Line {
    label: String,
    start: Instant,
    end: Instant,
    bytes: AtomicU64,
}

impl Line {
    /// The warm-up begins now.
    pub fn begin(plan: &Goodput) -> Line {
        let start = Instant::now() + plan.warm_up;
        Line { label: plan.label.clone(), start, end: start + plan.counting, bytes: AtomicU64::new(0) }
    }

    /// When the clock stops.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// How long that is from now; none when it has stopped.
    pub fn left(&self) -> Option<Duration> {
        self.end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// So many bytes have arrived, and are right.
    pub fn arrived(&self, bytes: u64) {
        let now = Instant::now();
        if now >= self.start && now < self.end {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// What it comes to.
    pub fn figure(&self, stack: &str) -> Figure {
        let speed = speed(self.bytes.load(Ordering::Relaxed), self.end - self.start);
        Figure::of(&names::goodput(stack, &self.label), Unit::MegabytesPerSecond, vec![speed])
    }
}
