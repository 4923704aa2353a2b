//! When the latest datagrams left.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// How many are remembered; one per fragment of a full window.
const REMEMBERED: usize = 1_024;

/// So many stay when all has been acknowledged: no more memory than a session that sends a few datagrams at a time needs.
const KEPT: usize = 16;
/// A little more is not worth forgetting.
const KEPT_MAX: usize = 4 * KEPT;
/// Room for so many is not worth giving back: a session that always sends a few would ask for it again and again.
const ROOM_KEPT: usize = 2 * KEPT_MAX;

/// Numbers outgoing datagrams and remembers when the latest of them left.
#[derive(Clone, Debug, Default)]
pub(super) struct SentTimes {
    next: u64,
    /// The last one is that of datagram `next - 1`.
    times: VecDeque<Time>,
}

impl SentTimes {
    /// The number of the next datagram.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// As if as many datagrams had left, long ago.
    #[cfg(test)]
    pub fn skip_to(&mut self, packet: u64) {
        self.times.clear();
        self.next = packet;
    }

    /// The next datagram leaves now.
    pub fn record(&mut self, now: Time) {
        if self.times.len() >= REMEMBERED {
            self.times.pop_front();
        }
        self.times.push_back(now);
        self.next += 1;
    }

    /// When a datagram left, if that is remembered.
    pub fn at(&self, packet: u64) -> Option<Time> {
        let back = self.next.checked_sub(packet)?;
        let place = (self.times.len() as u64).checked_sub(back)?;
        self.times.get(place as usize).copied()
    }

    /// Whether [`Self::rest`] would do nothing.
    pub fn is_short(&self) -> bool {
        self.times.len() <= KEPT_MAX
    }

    /// Nothing is under way: forgets all but the latest, and the room for them.
    pub fn rest(&mut self) {
        if self.is_short() {
            return;
        }
        self.times.drain(..self.times.len().saturating_sub(KEPT));
        if self.times.capacity() > ROOM_KEPT {
            self.times.shrink_to(KEPT);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_and_a_rest_keeps_a_few() {
        let mut sent = SentTimes::default();
        (0..3_000).for_each(|number| sent.record(Time(1_000 + number)));
        assert_eq!((sent.next(), sent.at(3_000), sent.at(2_999)), (3_000, None, Some(Time(3_999))));
        assert_eq!((sent.at(1_976), sent.at(1_975)), (Some(Time(2_976)), None));
        assert_eq!(sent.newest_before(Time(3_999), Duration::from_nanos(1_000)), 1_999);
        sent.rest();
        assert_eq!((sent.at(2_984), sent.at(2_983)), (Some(Time(3_984)), None));
        assert!(sent.times.capacity() <= 2 * KEPT);
        sent.record(Time(5_000));
        assert_eq!((sent.at(3_000), sent.at(2_999)), (Some(Time(5_000)), Some(Time(3_999))));
    }
}
