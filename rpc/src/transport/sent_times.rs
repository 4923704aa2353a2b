//! When the latest datagrams left.

use std::time::Duration;

use crate::time::Time;

/// How many are remembered; one per fragment of a full window.
const REMEMBERED: u64 = 1_024;

/// Numbers outgoing datagrams and remembers when the latest of them left.
#[derive(Clone, Debug)]
pub(super) struct SentTimes {
    next: u64,
    times: Box<[Time]>,
}

impl Default for SentTimes {
    fn default() -> Self {
        SentTimes { next: 0, times: vec![Time::ZERO; REMEMBERED as usize].into_boxed_slice() }
    }
}

impl SentTimes {
    /// The number of the next datagram.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The next datagram leaves now.
    pub fn record(&mut self, now: Time) {
        if let Some(slot) = self.times.get_mut((self.next % REMEMBERED) as usize) {
            *slot = now;
        }
        self.next += 1;
    }

    /// When a datagram left, if that is remembered.
    pub fn at(&self, packet: u64) -> Option<Time> {
        let recent = packet < self.next && self.next - packet <= REMEMBERED;
        if recent { self.times.get((packet % REMEMBERED) as usize).copied() } else { None }
    }

    /// The newest datagram that left `age` ago or earlier. Those that are forgotten are old enough.
    pub fn newest_before(&self, now: Time, age: Duration) -> u64 {
        let mut packet = self.next.saturating_sub(1);
        while let Some(sent) = self.at(packet) {
            if sent + age <= now || packet == 0 {
                break;
            }
            packet -= 1;
        }
        packet
    }
}
