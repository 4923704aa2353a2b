//! How much may be under way: Copa (V. Arun and H. Balakrishnan, "Copa: Practical Delay-Based Congestion Control for the
//! Internet", NSDI 2018), in its default mode.
//!
//! Copa reads congestion from delay alone, so a datagram that was lost by accident slows nothing down. The queue at the
//! bottleneck shows as what the round trip takes above its minimum, `dq`; a sender aims at the rate `1 / (delta dq)`, and moves
//! its window towards it by `v / (delta window)` for each datagram that is acknowledged. Flows that share a bottleneck see the
//! same queue, so they aim at the same rate, and each leaves about `1 / delta` datagrams in it. While they move about that point
//! the queue runs empty every few round trips, and a flow that comes late measures the true minimum, too.
//!
//! What is not Copa's:
//!
//! - `delta` is 0.1 and not 0.5. Programs are woken late, by more than two datagrams take on a fast network, and that must not pass
//!   for a queue. (A deployment of Copa went further, to 0.04: N. Garg, "Evaluating COPA congestion control for improved video
//!   performance", Facebook Engineering, 2019.)
//! - With so small a `delta` the queue does not run empty by itself, and whoever came late would take the others' datagrams for a
//!   part of the way, and more than its share. So a flow that has not met its smallest round trip for a second closes its window
//!   for two round trips and looks for it, as BBR does (N. Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue
//!   14(5), 2016).
//! - A queue too short to be seen in delays, such as a receive buffer into which many send, shows by losing much of what comes:
//!   when more than a third is lost the window is halved. Accidents of one in five do not come near that.
//! - When the retransmission timer runs out again and again, the window starts anew, as RFC 9002 section 7.6 has it.
//! - A sender that does not use its window learns nothing about it, and leaves it as it is.
//!
//! There is no mode that competes with senders which fill every queue, such as TCP's Reno or Cubic: to those Copa gives way.
//! Nothing is paced: where much is sent, acknowledgements are asked for so often that they set the pace.

use std::time::Duration;

use super::windowed_min::WindowedMin;
use crate::time::{Time, nanoseconds};

/// `1 / delta`: how many datagrams a flow leaves in the queue.
const QUEUED: u64 = 10;

/// How many datagrams may be under way before anything is known (RFC 6928).
const INITIAL: usize = 10;

/// The least that may be under way, datagrams.
const LEAST: usize = 2;

/// For how long the smallest round trip counts.
const MINIMUM_FOR: Duration = Duration::from_secs(10);

/// The smallest round trip is looked for when it was not met for so long, and for so many round trips.
const BOTTOM_FOR: Duration = Duration::from_secs(1);
const BOTTOM_FOR_ROUNDS: u32 = 40;
/// For how many round trips the window is closed then: neighbours notice within one, and close theirs, too.
const DRAIN_FOR_ROUNDS: u32 = 2;

/// The velocity doubles once the window has moved in the same direction for so many round trips.
const STEADY: u32 = 3;

/// Loss is judged by no fewer datagrams than this: where one in five is lost, a third of so many hardly ever is.
const JUDGED: usize = 64;

/// The congestion window of one session, bytes.
#[derive(Clone, Debug)]
pub struct Congestion {
    /// What a full datagram is charged.
    unit: usize,
    limit: usize,
    window: usize,
    /// Doubling for every round trip, until a queue is seen.
    is_starting: bool,
    minimum: WindowedMin,
    standing: WindowedMin,
    /// Nanoseconds.
    smoothed: Option<u64>,
    round: Round,
    velocity: usize,
    /// For how many rounds the window has moved in one direction, and whether that is up.
    steady: (u32, bool),
    acked: usize,
    lost: usize,
    /// When the smallest round trip was last met, or looked for.
    bottom_at: Time,
    drain: Option<Drain>,
}

/// The window is closed for a moment, so that the queue runs empty and the smallest round trip shows.
#[derive(Copy, Clone, Debug)]
struct Drain {
    /// What to go back to.
    window: usize,
    /// Until when; none while more is under way than should be.
    until: Option<Time>,
}

/// One round trip.
#[derive(Copy, Clone, Debug, Default)]
struct Round {
    began: Time,
    /// The window was so large then.
    window: usize,
}

impl Congestion {
    /// A session's window at its beginning. A full datagram is charged `unit` bytes; the window is never larger than `limit`
    /// (two datagrams, if that is more).
    pub fn new(unit: usize, limit: usize) -> Self {
        let mut congestion = Congestion {
            unit,
            limit,
            window: INITIAL * unit,
            is_starting: true,
            minimum: WindowedMin::default(),
            standing: WindowedMin::default(),
            smoothed: None,
            round: Round::default(),
            velocity: 1,
            steady: (0, true),
            acked: 0,
            lost: 0,
            bottom_at: Time::ZERO,
            drain: None,
        };
        congestion.bound();
        congestion
    }

    /// What a full datagram is charged.
    pub fn unit(&self) -> usize {
        self.unit
    }

    /// How many bytes may be under way.
    pub fn window(&self) -> usize {
        self.window
    }

    /// One measured round trip, without the time that the peer waited; `smoothed` is the mean of the latest.
    pub fn sample(&mut self, now: Time, round_trip: Duration, smoothed: Duration) {
        let (round_trip, smoothed) = (nanoseconds(round_trip), nanoseconds(smoothed));
        self.smoothed = Some(smoothed);
        if self.minimum.get().is_none_or(|minimum| round_trip <= minimum) {
            self.bottom_at = now;
        }
        self.minimum.sample(now, round_trip, nanoseconds(MINIMUM_FOR));
        self.standing.sample(now, round_trip, smoothed / 2);
    }

    /// So many bytes were found lost.
    pub fn lost(&mut self, bytes: usize) {
        self.lost += bytes;
    }

    /// So many bytes were acknowledged, while `flying` were under way.
    pub fn acked(&mut self, now: Time, bytes: usize, flying: usize) {
        self.acked += bytes;
        let (Some(standing), Some(minimum), Some(smoothed)) = (self.standing.get(), self.minimum.get(), self.smoothed)
        else {
            return;
        };
        self.judge_loss();
        let smoothed = Duration::from_nanos(smoothed);
        if self.drains(now, smoothed, flying) || flying * 2 < self.window {
            return;
        }
        let queueing = standing.saturating_sub(minimum);
        // window / standing <= 1 / (delta queueing), without the divisions.
        let aim = u128::from(QUEUED) * self.unit as u128 * u128::from(standing);
        let is_below = self.window as u128 * u128::from(queueing) <= aim;
        if self.is_starting && is_below {
            self.window += bytes;
            self.bound();
            return;
        }
        self.is_starting = false;
        self.steer(now, smoothed);
        // No faster than at the start.
        let step = (self.velocity * QUEUED as usize * self.unit * bytes / self.window.max(1)).min(bytes);
        self.window = if is_below { self.window + step } else { self.window.saturating_sub(step) };
        self.bound();
    }

    /// The retransmission timer has run out several times, and nothing has been acknowledged in between.
    pub fn stalled(&mut self) {
        self.window = 0;
        self.drain = None;
        self.is_starting = true;
        self.velocity = 1;
        self.steady = (0, true);
        self.bound();
    }

    /// Whether the window is closed to look for the smallest round trip: when that has not been met for long. Flows that share a
    /// queue see each other's drains, so theirs come to fall together, and the queue runs empty.
    fn drains(&mut self, now: Time, smoothed: Duration, flying: usize) -> bool {
        let least = LEAST * self.unit;
        match &mut self.drain {
            None => {
                let patience = BOTTOM_FOR.max(BOTTOM_FOR_ROUNDS * smoothed);
                if self.is_starting || flying * 2 < self.window || now - self.bottom_at < patience {
                    return false;
                }
                self.drain = Some(Drain { window: self.window, until: None });
                self.window = least;
            }
            Some(Drain { until: until @ None, .. }) => {
                if flying <= least {
                    *until = Some(now + DRAIN_FOR_ROUNDS * smoothed);
                }
            }
            Some(Drain { window, until: Some(until) }) => {
                if now >= *until {
                    self.window = *window;
                    self.bottom_at = now;
                    self.drain = None;
                }
            }
        }
        true
    }

    /// Once for each round trip: which way has the window gone, and for how long?
    fn steer(&mut self, now: Time, smoothed: Duration) {
        if now < self.round.began + smoothed {
            return;
        }
        let is_up = self.window > self.round.window;
        let (rounds, before) = self.steady;
        if is_up == before {
            self.steady.0 = rounds.saturating_add(1);
            if self.steady.0 >= STEADY {
                self.velocity = (self.velocity * 2).min(self.limit / self.unit.max(1) + 1);
            }
        } else {
            self.steady = (0, is_up);
            self.velocity = 1;
        }
        self.round = Round { began: now, window: self.window };
    }

    fn judge_loss(&mut self) {
        if self.acked + self.lost < JUDGED * self.unit {
            return;
        }
        if self.lost * 2 > self.acked {
            self.window /= 2;
            self.is_starting = false;
            self.velocity = 1;
            self.bound();
        }
        (self.acked, self.lost) = (0, 0);
    }

    fn bound(&mut self) {
        let least = LEAST * self.unit;
        self.window = self.window.clamp(least, self.limit.max(least));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: usize = 1_500;
    const LIMIT: usize = 200 * UNIT;
    const BASE: Duration = Duration::from_millis(10);

    /// One round trip in which the whole window is acknowledged, a datagram at a time, and takes `round_trip`.
    fn round(congestion: &mut Congestion, now: &mut Time, round_trip: Duration) {
        let count = (congestion.window() / UNIT) as u32;
        for _ in 0..count {
            *now += round_trip / count;
            congestion.sample(*now, round_trip, round_trip);
            congestion.acked(*now, UNIT, congestion.window());
        }
    }

    fn rounds(congestion: &mut Congestion, now: &mut Time, count: usize, round_trip: Duration) {
        (0..count).for_each(|_| round(congestion, now, round_trip));
    }

    #[test]
    fn the_window_doubles_until_it_meets_its_limit_where_no_queue_is_seen() {
        let (mut congestion, mut now) = (Congestion::new(UNIT, LIMIT), Time::ZERO);
        assert_eq!(congestion.window(), INITIAL * UNIT);
        round(&mut congestion, &mut now, BASE);
        assert_eq!(congestion.window(), 2 * INITIAL * UNIT);
        rounds(&mut congestion, &mut now, 5, BASE);
        assert_eq!(congestion.window(), LIMIT);
    }

    #[test]
    fn a_queue_shrinks_the_window_and_an_empty_one_lets_it_grow() {
        let (mut congestion, mut now) = (Congestion::new(UNIT, LIMIT), Time::ZERO);
        rounds(&mut congestion, &mut now, 8, BASE);
        rounds(&mut congestion, &mut now, 30, 3 * BASE);
        // Two thirds of what is under way stand in the queue: with 10 datagrams there, 15 are under way.
        assert!((8 * UNIT..30 * UNIT).contains(&congestion.window()), "{}", congestion.window());
        let small = congestion.window();
        rounds(&mut congestion, &mut now, 8, BASE);
        assert!(congestion.window() > 2 * small);
    }

    #[test]
    fn one_loss_in_five_changes_nothing_and_one_in_two_halves_the_window() {
        let (mut congestion, mut now) = (Congestion::new(UNIT, LIMIT), Time::ZERO);
        rounds(&mut congestion, &mut now, 8, BASE);
        for _ in 0..1_000 {
            congestion.lost(UNIT);
            (0..4).for_each(|_| congestion.acked(now, UNIT, congestion.window()));
        }
        assert_eq!(congestion.window(), LIMIT);
        congestion.lost(JUDGED / 2 * UNIT);
        congestion.acked(now, JUDGED / 2 * UNIT, 0);
        assert_eq!(congestion.window(), LIMIT / 2);
    }

    #[test]
    fn a_window_that_is_not_used_stays_as_it_is() {
        let (mut congestion, mut now) = (Congestion::new(UNIT, LIMIT), Time::ZERO);
        let before = congestion.window();
        for _ in 0..1_000 {
            now += BASE;
            congestion.sample(now, BASE, BASE);
            congestion.acked(now, UNIT, UNIT);
        }
        assert_eq!(congestion.window(), before);
    }

    #[test]
    fn two_datagrams_may_always_be_under_way() {
        let (mut congestion, mut now) = (Congestion::new(UNIT, LIMIT), Time::ZERO);
        rounds(&mut congestion, &mut now, 2, BASE);
        rounds(&mut congestion, &mut now, 500, 1_000 * BASE);
        assert!(congestion.window() >= LEAST * UNIT);
        congestion.stalled();
        assert_eq!(congestion.window(), LEAST * UNIT);
        assert_eq!(Congestion::new(60_000, 1_000).window(), 120_000);
    }

    #[test]
    fn the_window_closes_for_a_moment_when_the_smallest_round_trip_was_not_met_for_long() {
        let (mut congestion, mut now) = (Congestion::new(UNIT, LIMIT), Time::ZERO);
        rounds(&mut congestion, &mut now, 10, BASE);
        let began = now;
        let mut flying = congestion.window();
        let (mut closed, mut largest) = (0, 0);
        while now - began < Duration::from_secs(10) {
            now += BASE;
            congestion.sample(now, BASE * 5 / 4, BASE * 5 / 4);
            congestion.acked(now, flying, flying);
            flying = congestion.window();
            closed += usize::from(flying == LEAST * UNIT);
            if now - began > Duration::from_secs(8) {
                largest = largest.max(flying);
            }
        }
        // Once in a second, for two round trips and those in which they begin and end.
        assert!((18..60).contains(&closed), "{closed}");
        assert!(largest > 10 * UNIT, "it opens again");
    }

    #[test]
    fn a_minimum_that_has_become_wrong_is_forgotten() {
        let (mut congestion, mut now) = (Congestion::new(UNIT, LIMIT), Time::ZERO);
        rounds(&mut congestion, &mut now, 8, BASE);
        rounds(&mut congestion, &mut now, 1_000, 3 * BASE);
        assert_eq!(congestion.window(), LIMIT, "the way has become longer, and there is no queue");
    }
}
