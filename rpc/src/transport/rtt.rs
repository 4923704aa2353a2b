//! How long to wait for an acknowledgement.

use std::time::Duration;

use super::lessons::Lessons;

/// Wait this long at least: a thread that the scheduler has put aside comes back within a couple of milliseconds, and
/// to take it for a loss would only add to its load.
pub const FLOOR: Duration = Duration::from_millis(2);

/// Wait this long before there is a sample. RFC 6298 says one second for the Internet; the peers here are on the same
/// machine or in the same room, a needless copy does no harm, and a lost opening should not be felt.
pub const INITIAL: Duration = Duration::from_millis(20);

/// Back off up to this much (or the estimate itself when that is larger): a peer that comes back is found within it.
pub const BACKED_OFF_MAX: Duration = Duration::from_millis(200);

/// The estimator of RFC 6298 section 2. Samples of retransmitted fragments count as well, because every datagram has a
/// number of its own and the peer's own delay is taken out of the sample first.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rtt {
    /// Smoothed round trip and its mean deviation, nanoseconds; none before the first sample.
    smooth: Option<(u64, u64)>,
    /// How often the timer ran out since the last progress.
    backed_off: u32,
    lessons: Lessons,
}

impl Rtt {
    /// Without samples; perhaps with some rules switched off.
    pub fn new(lessons: Lessons) -> Self {
        Rtt { lessons, ..Rtt::default() }
    }

    /// One measured round trip, without the time that the peer waited.
    pub fn sample(&mut self, round_trip: Duration) {
        let sample = crate::time::nanoseconds(round_trip).min(60_000_000_000);
        self.smooth = Some(match self.smooth {
            None => (sample, sample / 2),
            Some((smooth, deviation)) => ((7 * smooth + sample) / 8, (3 * deviation + smooth.abs_diff(sample)) / 4),
        });
    }

    /// The smoothed round trip.
    pub fn smoothed(&self) -> Option<Duration> {
        self.smooth.map(|(smooth, _)| Duration::from_nanos(smooth))
    }

    /// The timer ran out.
    pub fn back_off(&mut self) {
        self.backed_off = self.backed_off.saturating_add(1);
    }

    /// How often the timer ran out since something was acknowledged.
    pub fn backed_off(&self) -> u32 {
        self.backed_off
    }

    /// Something was acknowledged.
    pub fn progress(&mut self) {
        self.backed_off = 0;
    }

    /// The retransmission timeout now. `ack_delay` is how long the peer may hold back an acknowledgement.
    pub fn timeout(&self, ack_delay: Duration) -> Duration {
        let base = match (self.lessons.fixed_timeout, self.smooth) {
            (Some(fixed), _) => fixed,
            (None, None) => INITIAL,
            (None, Some((smooth, deviation))) => {
                (Duration::from_nanos(smooth.saturating_add(4 * deviation)) + ack_delay).max(FLOOR)
            }
        };
        if self.lessons.no_back_off { base } else { backed_off(base, self.backed_off) }
    }
}

/// `base` times 1.5 to the power of `times`, but no more than [`BACKED_OFF_MAX`] unless `base` is.
pub fn backed_off(base: Duration, times: u32) -> Duration {
    let mut timeout = base;
    for _ in 0..times {
        if timeout >= BACKED_OFF_MAX {
            return BACKED_OFF_MAX.max(base);
        }
        timeout = timeout * 3 / 2;
    }
    timeout.min(BACKED_OFF_MAX.max(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn before_a_sample_the_initial_timeout_holds_and_backs_off_to_the_cap() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(US), INITIAL);
        rtt.back_off();
        assert_eq!(rtt.timeout(US), INITIAL * 3 / 2);
        (0..1000).for_each(|_| rtt.back_off());
        assert_eq!(rtt.timeout(US), BACKED_OFF_MAX);
        rtt.progress();
        assert_eq!(rtt.timeout(US), INITIAL);
    }

    #[test]
    fn the_first_sample_sets_the_estimate_as_the_rfc_says() {
        let mut rtt = Rtt::default();
        rtt.sample(Duration::from_millis(10));
        assert_eq!(rtt.smoothed(), Some(Duration::from_millis(10)));
        assert_eq!(rtt.timeout(Duration::ZERO), Duration::from_millis(30));
    }

    #[test]
    fn a_quick_network_waits_for_the_floor() {
        let mut rtt = Rtt::default();
        (0..100).for_each(|_| rtt.sample(10 * US));
        assert_eq!(rtt.timeout(500 * US), FLOOR);
    }

    #[test]
    fn a_slow_network_is_waited_for_beyond_the_cap() {
        let mut rtt = Rtt::default();
        (0..100).for_each(|_| rtt.sample(Duration::from_secs(1)));
        rtt.back_off();
        assert!(rtt.timeout(US) >= Duration::from_secs(1));
        rtt.sample(Duration::MAX);
        assert!(rtt.timeout(US) < Duration::from_secs(120));
    }
}
