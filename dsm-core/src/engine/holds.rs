//! The minimum hold times that run.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::{Epoch, Page};
use rpc::time::Time;

/// How long a page that was just installed is kept from being taken away: long enough for the woken thread to get to its access.
pub(crate) const HOLD: Duration = Duration::from_micros(50);

/// Running hold times, in the order in which they end (all have the same length).
#[derive(Debug, Default)]
pub(crate) struct Holds {
    queue: VecDeque<(Time, Page, Epoch)>,
}

impl Holds {
    /// Starts one.
    pub(crate) fn start(&mut self, now: Time, page: Page, epoch: Epoch) {
        self.queue.push_back((now + HOLD, page, epoch));
    }

    /// Takes out one that has ended.
    pub(crate) fn pop_expired(&mut self, now: Time) -> Option<(Page, Epoch)> {
        let &(end, page, epoch) = self.queue.front()?;
        (end <= now).then(|| {
            self.queue.pop_front();
            (page, epoch)
        })
    }

    /// When the next one ends.
    pub(crate) fn next(&self) -> Option<Time> {
        self.queue.front().map(|(end, ..)| *end)
    }
}
