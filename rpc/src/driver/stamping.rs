//! When the kernel is to note when datagrams come.
//!
//! While one socket wants that (SO_TIMESTAMPING; timestamping.rst of the kernel's documentation), it does so for all of the machine,
//! and each datagram takes 0.08 us longer: a null call on an AMD EPYC 0.16 us, of 7.1. Whoever polls, and finds nothing between any two
//! datagrams, knows without it that none has waited. So it is asked for before a sleep, and once datagrams wait, and no more when that
//! has not happened for some time: to begin and to end takes the kernel some tens of microseconds.

use std::time::Duration;

use super::AWAY;
use crate::time::Time;

/// Where every look has found something for so long, datagrams wait.
const WAITING: Duration = Duration::from_micros(200);

/// For how long nothing must have waited before the kernel is not asked any more: at first, and twice as long each time that it was too
/// soon, up to the second.
const CALM: [Duration; 2] = [Duration::from_millis(2), Duration::from_secs(1)];

/// What came before the kernel was asked, and has no note, has been read so long after.
const READ: Duration = Duration::from_secs(1);

/// Whether notes are taken, and of what there are none.
#[derive(Debug)]
pub(super) struct Stamping {
    /// Somebody wants to know.
    is_wanted: bool,
    is_on: bool,
    /// How long nothing must have waited.
    calm: Duration,
    /// When something last may have.
    waited_at: Time,
    /// When the kernel was last asked, and when nothing had waited before that.
    asked_at: Time,
    unnoted_since: Time,
    /// When the kernel was last told to stop.
    stopped_at: Time,
}

impl Default for Stamping {
    fn default() -> Self {
        let long_ago = Time::ZERO;
        Stamping {
            is_wanted: false,
            is_on: false,
            calm: CALM[0],
            waited_at: long_ago,
            asked_at: long_ago,
            unnoted_since: long_ago,
            stopped_at: long_ago,
        }
    }
}

impl Stamping {
    /// Somebody wants to know from now on.
    pub fn want(&mut self) {
        self.is_wanted = true;
    }

    /// The kernel takes no notes.
    pub fn give_up(&mut self) {
        *self = Self::default();
    }

    pub fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Whoever looks is about to sleep, and has found nothing. Whether the kernel is to be asked.
    pub fn rests(&mut self, now: Time) -> bool {
        self.waits(now, now)
    }

    /// There are datagrams, or may be; the look before was at `before`, and one has last found nothing at `paused_at`. What the kernel is
    /// to be told, if anything.
    pub fn came(&mut self, now: Time, before: Time, paused_at: Time) -> Option<bool> {
        if now - before >= AWAY || now - paused_at >= WAITING {
            return self.waits(now, before.min(paused_at)).then_some(true);
        }
        let ends = self.is_on && now - self.waited_at >= self.calm;
        if ends {
            (self.is_on, self.stopped_at) = (false, now);
        }
        ends.then_some(false)
    }

    /// How long what has no note may have waited, where the look before was at `before`; zero if that is less than a millisecond.
    /// `is_noted`: it was read in such a way that there would be one.
    pub fn unnoted(&self, now: Time, before: Time, is_noted: bool) -> Duration {
        let longest = match is_noted {
            true if now - self.asked_at < READ => now - self.unnoted_since,
            true => Duration::ZERO,
            false => now - before,
        };
        if self.is_wanted && longest >= AWAY { longest } else { Duration::ZERO }
    }

    fn waits(&mut self, now: Time, unnoted_since: Time) -> bool {
        self.waited_at = now;
        let begins = self.is_wanted && !self.is_on;
        if begins {
            (self.is_on, self.asked_at, self.unnoted_since) = (true, now, unnoted_since);
            self.calm = if now - self.stopped_at >= CALM[1] { CALM[0] } else { (2 * self.calm).min(CALM[1]) };
        }
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);
    const MS: Duration = Duration::from_millis(1);

    fn wanted() -> (Stamping, Time) {
        let now = Time::ZERO + 10 * CALM[1];
        let mut stamping = Stamping::default();
        stamping.want();
        assert!(stamping.rests(now) && !stamping.rests(now));
        (stamping, now)
    }

    /// Datagrams came at `now`: the last look, and the last that found nothing, were so long before.
    fn came(stamping: &mut Stamping, now: Time, since: Duration, busy: Duration) -> Option<bool> {
        let before = |duration| Time::ZERO + ((now - Time::ZERO) - duration);
        stamping.came(now, before(since), before(busy))
    }

    #[test]
    fn nobody_is_asked_for_what_nobody_wants_or_what_cannot_be_had() {
        for is_tried in [false, true] {
            let (mut stamping, now) = wanted();
            if is_tried {
                stamping.give_up();
            } else {
                stamping = Stamping::default();
            }
            assert!(!stamping.rests(now + MS));
            assert_eq!(came(&mut stamping, now + 5 * MS, 4 * MS, 4 * MS), None);
            assert_eq!(
                [true, false].map(|is_noted| stamping.unnoted(now + 5 * MS, now, is_noted)),
                [Duration::ZERO; 2]
            );
        }
    }

    #[test]
    fn notes_end_after_a_calm_and_begin_before_a_sleep_and_where_datagrams_wait() {
        type Wakes = fn(&mut Stamping, Time) -> bool;
        let wakes: [Wakes; 3] = [
            |stamping, now| stamping.rests(now),
            |stamping, now| came(stamping, now, AWAY, US) == Some(true),
            |stamping, now| came(stamping, now, US, WAITING) == Some(true),
        ];
        for wake in wakes {
            let (mut stamping, start) = wanted();
            assert_eq!(came(&mut stamping, start + (CALM[0] - US), US, US), None);
            assert_eq!(came(&mut stamping, start + CALM[0], US, US), Some(false));
            assert_eq!(came(&mut stamping, start + CALM[0] + MS, AWAY - US, WAITING - US), None);
            let again = start + 2 * CALM[0];
            assert!(wake(&mut stamping, again));
            // What waits while there are notes puts their end off.
            assert!(!wake(&mut stamping, again + MS));
            assert_eq!(came(&mut stamping, again + (2 * CALM[0] + MS - US), US, US), None);
            assert_eq!(came(&mut stamping, again + 2 * CALM[0] + MS, US, US), Some(false));
        }
    }

    #[test]
    fn who_sleeps_after_every_few_datagrams_soon_is_not_switched_to_and_fro() {
        let (mut stamping, mut now) = wanted();
        let mut switches = 0;
        for _ in 0..1_000 {
            for _ in 0..500 {
                now += 10 * US;
                switches += usize::from(came(&mut stamping, now, 10 * US, US).is_some());
            }
            switches += usize::from(stamping.rests(now));
        }
        assert!(switches <= 4, "{switches}");
        // Whoever has been calm for long has changed.
        let end = now + 2 * CALM[1];
        while now < end {
            now += 10 * US;
            came(&mut stamping, now, 10 * US, US);
        }
        assert!(stamping.rests(now));
        assert_eq!(came(&mut stamping, now + CALM[0], US, US), Some(false));
    }

    #[test]
    fn what_came_before_there_were_notes_may_have_waited_since_nothing_did() {
        let (mut stamping, start) = wanted();
        let stopped = start + CALM[0];
        assert_eq!(came(&mut stamping, stopped, US, US), Some(false));
        // A look that comes late finds something, and goes on to read what is there.
        let late = stopped + 40 * MS;
        assert_eq!(stamping.unnoted(late, stopped, false), 40 * MS);
        assert_eq!(stamping.came(late, stopped, stopped), Some(true));
        assert_eq!(stamping.unnoted(late + MS, late, true), 41 * MS);
        // What is read without asking for a note came just now, as far as anybody knows.
        assert_eq!(stamping.unnoted(late + 2 * MS, late + 2 * MS, false), Duration::ZERO);
        // By then all of that has been read.
        assert_eq!(stamping.unnoted(late + READ, late, true), Duration::ZERO);
        // In a sleep there are notes; what has none came before the kernel began to take them, a little later.
        assert_eq!(came(&mut stamping, late + 2 * READ, US, US), Some(false));
        let asleep = late + 3 * READ;
        assert!(stamping.rests(asleep));
        assert_eq!(stamping.unnoted(asleep + US, asleep, true), Duration::ZERO);
        assert_eq!(stamping.unnoted(asleep + 3 * MS, asleep, true), 3 * MS);
    }
}
