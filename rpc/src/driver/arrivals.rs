//! Receive buffers, what was found in them, and how long that had waited.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use super::socket::{BATCH, DATAGRAM_BYTES};

/// Datagrams that were read in one go.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// Room for [`BATCH`] datagrams, one after the other.
    pub buffer: Vec<u8>,
    /// How long each is, and who sent it.
    pub found: [(usize, SocketAddr); BATCH],
    /// When each came, where that is known.
    pub stamps: [Option<SystemTime>; BATCH],
    /// How long each has waited in the socket's buffer; zero where nobody knows.
    waited: [Duration; BATCH],
}

impl Arrivals {
    pub fn new() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Arrivals {
            buffer: vec![0; BATCH * DATAGRAM_BYTES],
            found: [(0, nowhere); BATCH],
            stamps: [None; BATCH],
            waited: [Duration::ZERO; BATCH],
        }
    }

    pub fn datagram(&self, place: usize) -> &[u8] {
        let length = self.found.get(place).map_or(0, |(length, _)| *length);
        let start = place * DATAGRAM_BYTES;
        self.buffer.get(start..start + length).unwrap_or_default()
    }

    /// The same bytes, to be opened in place.
    pub fn datagram_mut(&mut self, place: usize) -> &mut [u8] {
        let length = self.found.get(place).map_or(0, |(length, _)| *length);
        let start = place * DATAGRAM_BYTES;
        self.buffer.get_mut(start..start + length).unwrap_or_default()
    }

    /// How long it has waited in the socket's buffer, as of [`Self::settle`].
    pub fn waited(&self, place: usize) -> Duration {
        self.waited.get(place).copied().unwrap_or_default()
    }

    /// Reckons how long the first `count` have waited until now: not for longer than `longest`, whatever clocks were set meanwhile, and
    /// for `unknown` where nobody noted when they came.
    pub fn settle(&mut self, count: usize, longest: Duration, unknown: Duration) {
        let mut clock = None;
        for (waited, stamp) in self.waited.iter_mut().zip(&mut self.stamps).take(count) {
            let mut since = |stamp| clock.get_or_insert_with(SystemTime::now).duration_since(stamp).unwrap_or_default();
            *waited = stamp.take().map_or(unknown, &mut since).min(longest);
        }
    }

    /// Who sent it.
    pub fn from(&self, place: usize) -> Option<SocketAddr> {
        self.found.get(place).map(|(_, from)| *from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_reckoned_once_and_bounded_whatever_the_clock_says() {
        let (ms, now) = (Duration::from_millis(1), SystemTime::now());
        let mut arrivals = Arrivals::new();
        arrivals.stamps[0] = Some(now - 20 * ms);
        // The clock was set back, and forward, since these came.
        arrivals.stamps[1] = Some(now + 3_600_000 * ms);
        arrivals.stamps[2] = Some(SystemTime::UNIX_EPOCH);
        arrivals.settle(4, 3_000_000 * ms, 5 * ms);
        assert!((20 * ms..1_000_000 * ms).contains(&arrivals.waited(0)), "{:?}", arrivals.waited(0));
        assert_eq!([1, 2, 3].map(|place| arrivals.waited(place)), [Duration::ZERO, 3_000_000 * ms, 5 * ms]);
        arrivals.settle(4, 3_000_000 * ms, Duration::ZERO);
        assert_eq!([0, 1, 2, 3].map(|place| arrivals.waited(place)), [Duration::ZERO; 4]);
    }
}
