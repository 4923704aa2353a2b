//! Points in time as plain numbers, so that pure code needs no clock.

use std::ops::{Add, AddAssign, Sub};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since an arbitrary origin that the owner of the clock chose; [`now`] has the system's. Good for about 584 years.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(pub u64);

impl Time {
    /// The origin.
    pub const ZERO: Time = Time(0);
    /// Later than every moment that occurs.
    pub const MAX: Time = Time(u64::MAX);
}

/// What the time is (clock_gettime(2), CLOCK_MONOTONIC), for all drivers of a process the same. An [`Instant`] is of the same clock, but
/// takes three times as many instructions to make, to compare and to subtract.
pub fn now() -> Time {
    // Every kernel that this runs on has this clock.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap_or(TimeSpec::new(0, 0));
    Time((now.tv_sec() as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec() as u64))
}

/// One moment on both clocks.
fn paired() -> (Instant, Time) {
    static PAIRED: OnceLock<(Instant, Time)> = OnceLock::new();
    // Whoever is interrupted between the two tries again.
    let pair = || {
        let (before, instant, after) = (now(), Instant::now(), now());
        (after - before, instant, before + (after - before) / 2)
    };
    *PAIRED.get_or_init(|| {
        let best = (0..16).map(|_| pair()).min_by_key(|(apart, ..)| *apart);
        best.map_or_else(|| (Instant::now(), now()), |(_, instant, time)| (instant, time))
    })
}

impl From<Instant> for Time {
    /// On the clock of [`now`].
    fn from(instant: Instant) -> Time {
        let (origin, time) = paired();
        if instant >= origin { time + (instant - origin) } else { time.before(origin - instant) }
    }
}

impl From<Time> for Instant {
    /// Of a time on the clock of [`now`].
    fn from(time: Time) -> Instant {
        let (origin, at) = paired();
        if time >= at { origin + (time - at) } else { origin - (at - time) }
    }
}

/// A [`Duration`] as nanoseconds; what does not fit is cut to the largest.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

/// The earlier of two times, of which there may be none.
pub(crate) fn sooner(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

impl Time {
    /// So much earlier; no earlier than [`Time::ZERO`].
    fn before(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(nanoseconds(duration)))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates at [`Time::MAX`].
    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(nanoseconds(duration)))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Time {
    type Output = Duration;

    /// The time that passed; zero when `earlier` is in truth later.
    fn sub(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sooner_of_two_times_is_the_only_one_if_there_is_only_one() {
        let (early, late) = (Some(Time(1)), Some(Time(2)));
        assert_eq!([sooner(early, late), sooner(late, early)], [early; 2]);
        assert_eq!([sooner(late, None), sooner(None, late), sooner(None, None)], [late, late, None]);
    }

    #[test]
    fn an_instant_and_its_time_are_the_same_moment() {
        let (early, instant, late) = (now(), Instant::now(), now());
        let (second, apart) = (Duration::from_secs(1), Duration::from_millis(1));
        for instant in [instant - second, instant, instant + second] {
            assert_eq!(Instant::from(Time::from(instant)), instant);
        }
        // The two were read a moment apart when they were paired.
        assert!(early <= Time::from(instant) + apart && Time::from(instant) <= late + apart);
        assert_eq!(Time::from(instant + second) - Time::from(instant), second);
        assert!(Instant::from(Time::MAX) > instant + second);
    }

    #[test]
    fn adding_and_subtracting_saturate_instead_of_wrapping() {
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
        assert_eq!(Time(5) + Duration::MAX, Time::MAX);
        assert_eq!(Time(5) - Time(9), Duration::ZERO);
        assert_eq!(Time(9) - Time(5), Duration::from_nanos(4));
    }
}
