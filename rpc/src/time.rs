//! Points in time as plain numbers, so that pure code needs no clock.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// Nanoseconds since an arbitrary origin that the owner of the clock chose (a [`crate::driver::Driver`] counts from its
/// own birth). Good for about 584 years.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(pub u64);

impl Time {
    /// The origin.
    pub const ZERO: Time = Time(0);
    /// Later than every moment that occurs.
    pub const MAX: Time = Time(u64::MAX);
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
    fn adding_and_subtracting_saturate_instead_of_wrapping() {
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
        assert_eq!(Time(5) + Duration::MAX, Time::MAX);
        assert_eq!(Time(5) - Time(9), Duration::ZERO);
        assert_eq!(Time(9) - Time(5), Duration::from_nanos(4));
    }
}
