//! How long the endpoint's thread sleeps while other threads drive.

use std::time::Duration;

use nix::sys::prctl::set_timerslack;

use super::{Core, Role};
use crate::time::Time;

/// While threads drive: how long the endpoint's thread sleeps at most, at first. It may look so much later than due at timers, for
/// who polls looks at them, too.
const SLACK: Duration = Duration::from_millis(1);
/// The same while they are so busy that to be interrupted for the sake of a last acknowledgement would cost more than to repeat
/// what waits for it: while somebody waits for at least one part in so many of the time.
pub(super) const SLACK_BUSY: Duration = Duration::from_millis(4);
const BUSY: u32 = 4;
/// The same when they have been at it for long without anything coming.
const SLACK_MAX: Duration = Duration::from_millis(256);

/// How much later than asked the kernel may then wake it (its timer slack, prctl(2)): so it does with the scheduler's next tick. An
/// interrupt of its own, of tens of microseconds on a virtual machine, was one of every 500 null calls.
const LEEWAY: Duration = SLACK_BUSY.saturating_sub(SLACK);

/// How the endpoint's thread goes by whether other threads drive.
pub(super) struct Watch {
    /// When it last looked.
    at: Time,
    /// How often that had been then, and how long they had waited.
    driven: u64,
    waited: Duration,
    slack: Duration,
    /// What the kernel was told.
    leeway: Duration,
}

impl Watch {
    /// For the calling thread, from `now` on.
    pub fn new(now: Time) -> Watch {
        Watch { at: now, driven: 0, waited: Duration::ZERO, slack: SLACK, leeway: Duration::ZERO }
    }

    /// Until when to sleep from `now` on.
    pub fn until<R: Role>(&mut self, core: &mut Core<R>, now: Time) -> Time {
        let often = core.driven - std::mem::replace(&mut self.driven, core.driven);
        let waited = core.waited - std::mem::replace(&mut self.waited, core.waited);
        let since = now - std::mem::replace(&mut self.at, now);
        self.slack = match often {
            0 => (2 * self.slack).min(SLACK_MAX),
            _ if waited * BUSY < since => SLACK,
            _ => SLACK_BUSY,
        };
        // Who waits without driving, as tasks do, relies on this thread.
        core.listens = core.drivers == 0 && (often == 0 || core.role.awaits());
        let due = core.next_due();
        core.asleep_until = match core.listens {
            true => due,
            false if due <= now + SLACK => now + self.slack.min(SLACK_BUSY),
            false => due.min(now + self.slack),
        };
        let others_look = often > 0 && self.slack == SLACK_BUSY && !core.listens && !core.led;
        self.allow(if others_look { LEEWAY } else { Duration::ZERO });
        core.asleep_until
    }

    /// For how long to ask, so as to wake after `time`, or as soon as matters to nobody ([`SLACK_BUSY`]).
    pub fn timeout(&self, time: Duration) -> Duration {
        if self.leeway.is_zero() { time } else { time.saturating_sub(self.leeway).max(SLACK) }
    }

    /// The same where somebody else is just driving.
    pub fn briefly(&mut self) -> Duration {
        self.allow(LEEWAY);
        self.timeout(SLACK_BUSY)
    }

    fn allow(&mut self, leeway: Duration) {
        // Zero stands for what the thread began with, 50 us. Where more cannot be had, it wakes on time.
        if leeway != self.leeway && set_timerslack(leeway.as_nanos() as libc::c_ulong).is_ok() {
            self.leeway = leeway;
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::prctl::get_timerslack;

    use super::*;
    use crate::call::caller::Caller;
    use crate::call::client::ClientConfig;
    use crate::driver::{Driver, DriverConfig};

    #[test]
    fn a_leeway_is_the_kernels_for_as_long_as_it_is_given_and_bounds_what_is_asked_for() {
        let ms = Duration::from_millis;
        let usual = get_timerslack().unwrap();
        let mut watch = Watch::new(Time::ZERO);
        assert_eq!(watch.timeout(ms(2)), ms(2));
        let brief = watch.briefly();
        assert_eq!(get_timerslack().unwrap() as u128, LEEWAY.as_nanos());
        assert_eq!(brief + LEEWAY, SLACK_BUSY);
        // Never at once, or it would not sleep at all.
        assert_eq!([ms(0), ms(2), ms(10)].map(|time| watch.timeout(time)), [SLACK, SLACK, ms(10) - LEEWAY]);
        watch.allow(Duration::ZERO);
        assert_eq!((get_timerslack().unwrap(), watch.timeout(ms(2))), (usual, ms(2)));
    }

    #[test]
    fn there_is_leeway_only_while_others_look_all_the_time() {
        let server = "127.0.0.1:9".parse().unwrap();
        let driver = Driver::bind("127.0.0.1:0".parse().unwrap(), DriverConfig::plain()).unwrap();
        let mut core = Core::new(driver, Caller::new(server, &ClientConfig::plain()));
        let (mut watch, mut now) = (Watch::new(Time::ZERO), Time::ZERO);
        // Threads that drive, how often one has found something in the last millisecond, the part of it that they waited, and whether
        // one sleeps at the socket.
        let cases = [
            (1, 100, 0.9, false, true),
            (1, 100, 0.1, false, false),
            (0, 100, 0.9, false, true),
            (1, 100, 0.9, true, false),
            (1, 100, 0.9, false, true),
            (1, 0, 0.0, false, false),
            (1, 100, 0.9, false, true),
            (0, 0, 0.0, false, false),
        ];
        for (case, (drivers, often, part, led, expected)) in cases.into_iter().enumerate() {
            now += SLACK;
            (core.drivers, core.led) = (drivers, led);
            core.driven += often;
            core.waited += SLACK.mul_f64(part);
            watch.until(&mut core, now);
            assert_eq!(watch.leeway == LEEWAY, expected, "{case}");
            assert_eq!(get_timerslack().unwrap() as u128 == LEEWAY.as_nanos(), expected, "{case}");
        }
    }
}
