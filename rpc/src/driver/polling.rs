//! Whether to poll or to sleep.
//!
//! Waking a thread takes longer than a datagram's round trip, so whoever waits for an answer, or has just served another node,
//! polls for a while and yields the processor in between. It stops when others want the processor: to wake a thread on a busy
//! processor is cheap, and to keep it from one is not.

use std::time::Duration;

use crate::time::{self, Time};

/// How long to poll between two yields where others have run. A yield takes as long as to look, and what comes meanwhile waits for its
/// end; so while nobody else wants the processor it is twice as long after each of them, up to the second.
const YIELD_EVERY: [Duration; 2] = [Duration::from_micros(5), Duration::from_micros(40)];

/// Whoever polls yields at least once in this time, however promptly what he looks for comes: others who want the processor do not wait
/// until the scheduler takes it from him.
const YIELD_AFTER: Duration = Duration::from_micros(250);

/// A yield that takes this long let somebody else run.
const SHARED: Duration = Duration::from_nanos(1500);

/// So many such yields, each without anything to do after it, end the polling.
const STRIKES: u32 = 10;

/// A yield that takes this long was to somebody who computes: a datagram may have waited for all that time. Shorter ones happen on
/// virtual machines without anybody else wanting the processor.
const LATE: Duration = Duration::from_micros(500);

/// How long polling rests after a late yield at first; twice as long after each further one, up to the second. Who polls for as long
/// without one begins anew.
const REST: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(32)];

/// Who ran during a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// There was none.
    None,
    /// Nobody.
    Alone,
    /// Another thread.
    Shared,
}

/// What yields have shown of the processor: whoever polls next begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long to poll between two yields.
    every: Duration,
    /// The longest that may become.
    most: Duration,
    /// At the first yield after the last [`Polling::expect`], others ran.
    is_crowded: bool,
    /// When the last yield was over.
    yielded_at: Time,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { every: YIELD_EVERY[0], most: YIELD_EVERY[1], is_crowded: false, yielded_at: Time::ZERO }
    }
}

impl Pace {
    /// For whoever looks elsewhere, too, at each yield: it comes no less often where nobody else runs.
    pub fn steady() -> Pace {
        Pace { most: YIELD_EVERY[0], ..Pace::default() }
    }
}

/// What went before a yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// Something that may have woken somebody: that he runs says nothing of others.
    Work,
    /// What is answered elsewhere.
    Request,
    /// Another yield.
    Yield,
}

/// One thread's polling.
#[derive(Debug)]
pub struct Polling {
    /// How long to poll when nothing comes.
    length: Duration,
    until: Time,
    yield_at: Time,
    strikes: u32,
    rest: Duration,
    rests_until: Time,
    before: Before,
    pace: Pace,
}

impl Polling {
    /// Polls from `now` on, for `length` at a time, for what others are to send.
    pub fn new(length: Duration, now: Time, mut pace: Pace) -> Polling {
        if now - pace.yielded_at > 2 * YIELD_AFTER {
            // Nobody has polled lately.
            pace.yielded_at = now;
        }
        let mut polling = Polling {
            length,
            until: now,
            yield_at: now,
            strikes: 0,
            rest: REST[0],
            rests_until: now,
            before: Before::Request,
            pace,
        };
        polling.expect(now);
        polling
    }

    /// What its yields have shown.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Something was done at `now`: more may come soon.
    pub fn restart(&mut self, now: Time) {
        self.extend(now);
        self.before = Before::Work;
        // Whoever was woken by what was done is to run first.
        self.yield_at = now;
    }

    /// The last datagram left at `now`, and nobody was woken: what comes next answers it, unless others want the processor.
    pub fn expect(&mut self, now: Time) {
        self.extend(now);
        self.before = Before::Request;
        // Who polls for a short while yields in it, too.
        let every = self.pace.every.min(self.length / 4);
        let soon = (now + every).min(self.pace.yielded_at + YIELD_AFTER);
        self.yield_at = if self.pace.is_crowded { now } else { soon };
    }

    fn extend(&mut self, now: Time) {
        if now >= self.rests_until + REST[1] {
            self.rest = REST[0];
        }
        if now >= self.rests_until {
            self.until = now + self.length;
            self.strikes = 0;
        }
    }

    /// A thread that ran has gone to sleep: the processor may be free again.
    pub fn end_rest(&mut self, now: Time) {
        self.rests_until = self.rests_until.min(now);
    }

    /// Whether to look once more.
    pub fn goes_on(&self, now: Time) -> bool {
        now < self.until && self.strikes < STRIKES
    }

    /// There was nothing: lets others run, now and then.
    pub fn pause(&mut self, now: Time) -> Pause {
        if now < self.yield_at {
            return Pause::None;
        }
        let before = time::now();
        std::thread::yield_now();
        let back = time::now();
        self.yielded(back, back - before)
    }

    fn yielded(&mut self, back: Time, took: Duration) -> Pause {
        let before = std::mem::replace(&mut self.before, Before::Yield);
        self.pace.yielded_at = back;
        if before == Before::Request {
            self.pace.is_crowded = took >= SHARED;
        }
        if took < SHARED {
            self.pace.every = (2 * self.pace.every).min(self.pace.most);
            self.yield_at = back + self.pace.every;
            return Pause::Alone;
        }
        if before != Before::Work {
            self.pace.every = YIELD_EVERY[0];
        }
        self.strikes += 1;
        if took >= LATE {
            self.until = back;
            self.rests_until = back + self.rest;
            self.rest = (self.rest * 2).min(REST[1]);
        }
        Pause::Shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    fn polling() -> (Polling, Time) {
        let now = time::now();
        (Polling::new(400 * US, now, Pace { yielded_at: now, ..Pace::default() }), now)
    }

    #[test]
    fn polling_ends_when_nothing_comes_for_its_length() {
        let (mut polling, now) = polling();
        assert!(polling.goes_on(now + 399 * US) && !polling.goes_on(now + 400 * US));
        polling.restart(now + 50 * US);
        assert!(polling.goes_on(now + 449 * US) && !polling.goes_on(now + 450 * US));
    }

    #[test]
    fn whoever_was_woken_runs_at_once_and_who_waits_for_an_answer_looks_for_it_first() {
        let (mut polling, now) = polling();
        polling.expect(now);
        assert_eq!(polling.pause(now), Pause::None);
        assert!(polling.goes_on(now + 399 * US) && !polling.goes_on(now + 400 * US));
        polling.restart(now);
        assert_ne!(polling.pause(now), Pause::None);
    }

    #[test]
    fn who_waits_for_an_answer_yields_at_once_where_others_ran_the_last_time() {
        let (mut polling, now) = polling();
        for took in [SHARED, SHARED / 2, SHARED] {
            polling.expect(now);
            polling.yielded(now, took);
            // Those who ran after something was done say nothing of that.
            polling.restart(now);
            polling.yielded(now, SHARED);
            polling.expect(now);
            assert_eq!(polling.yield_at == now, took >= SHARED);
        }
    }

    #[test]
    fn who_is_alone_yields_ever_less_often_and_who_comes_next_knows_it() {
        let (mut polling, now) = polling();
        for every in [10, 20, 40, 40].map(|us| us * US) {
            assert_eq!(polling.yielded(now, SHARED / 2), Pause::Alone);
            assert_eq!(polling.yield_at, now + every);
        }
        assert_eq!(Polling::new(400 * US, now, polling.pace()).yield_at, now + YIELD_EVERY[1]);
        // But not less often than would fit into the time for which it polls.
        assert_eq!(Polling::new(40 * US, now, polling.pace()).yield_at, now + 10 * US);
        // Whoever was woken by what was done is no other.
        polling.restart(now);
        polling.yielded(now, SHARED);
        assert_eq!(polling.pace.every, YIELD_EVERY[1]);
        polling.yielded(now, SHARED);
        assert_eq!(polling.pace.every, YIELD_EVERY[0]);
        let mut steady = Polling::new(400 * US, now, Pace::steady());
        steady.yielded(now, SHARED / 2);
        assert_eq!(steady.yield_at, now + YIELD_EVERY[0]);
    }

    #[test]
    fn whoever_is_answered_at_once_yields_now_and_then() {
        let (mut polling, start) = polling();
        let mut now = start;
        // Each answer comes before the next yield is due.
        while polling.yield_at > now {
            assert!(now < start + YIELD_AFTER);
            polling.expect(now);
            now += 2 * US;
        }
        assert_eq!(polling.yield_at, start + YIELD_AFTER);
        polling.yielded(now, SHARED / 2);
        polling.expect(now);
        assert!(polling.yield_at > now);
    }

    #[test]
    fn polling_of_no_length_never_begins() {
        let now = time::now();
        let mut polling = Polling::new(Duration::ZERO, now, Pace::default());
        polling.restart(now);
        assert!(!polling.goes_on(now));
    }

    #[test]
    fn somebody_else_who_runs_again_and_again_ends_the_polling() {
        let (mut polling, now) = polling();
        (0..STRIKES).for_each(|_| {
            assert!(polling.goes_on(now));
            polling.yielded(now, 4 * US);
        });
        assert!(!polling.goes_on(now));
        polling.restart(now);
        assert!(polling.goes_on(now));
    }

    #[test]
    fn polling_rests_after_a_late_yield_and_longer_after_the_next() {
        let (mut polling, mut now) = polling();
        for rest in [2, 4, 8, 16, 32, 32].map(Duration::from_millis) {
            polling.yielded(now, LATE);
            polling.restart(now + (rest - US));
            assert!(!polling.goes_on(now + (rest - US)));
            now += rest;
            polling.restart(now);
            assert!(polling.goes_on(now));
        }
        // Long after the last one it begins anew.
        now += REST[1] + REST[1];
        polling.restart(now);
        polling.yielded(now, LATE);
        polling.restart(now + REST[0]);
        assert!(polling.goes_on(now + REST[0]));
    }

    #[test]
    fn polling_rests_no_more_when_a_thread_has_gone_to_sleep() {
        let (mut polling, now) = polling();
        polling.yielded(now, LATE);
        polling.end_rest(now + US);
        polling.restart(now + US);
        assert!(polling.goes_on(now + US));
    }
}
