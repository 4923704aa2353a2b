//! Whether the peer of an open session lives: when to ask it, and when to give it up.

use std::time::Duration;

use super::config::TransportConfig;
use super::rtt::{INITIAL, backed_off};
use super::types::LostReason;
use crate::planted::{Bug, Planted};
use crate::time::{Time, sooner};

/// A ping that is not answered is repeated this much sooner than the first one came: on a bad link one answer in two is lost,
/// and a peer must not be given up for that.
const PING_HASTE: u32 = 4;
/// And at least so soon, so that there are enough of them before the peer is given up.
const PING_AGAIN_MAX: Duration = Duration::from_millis(100);
/// Who hesitates asks later by this part of the pause between pings: by more than a thread sleeps too long.
const HESITATION: u32 = 8;
/// So many pings must go unanswered before a peer is given up: those of one whole pause between pings.
const PINGS_UNANSWERED_MIN: u32 = PING_HASTE + 1;

/// How long a peer has to answer when somebody says, without proof, that it is gone.
const DOUBT_PATIENCE: Duration = Duration::from_millis(500);
/// So often it is asked meanwhile.
const DOUBT_PINGS: u32 = 10;

/// What is known of the peer's life.
#[derive(Debug)]
pub(super) struct Liveness {
    /// Since when the peer owes an acknowledgement without having said anything.
    owed_since: Time,
    heard_at: Time,
    /// Whether the peer has sent anything on this session: before that it may not know that the session is open.
    confirmed: bool,
    ping_now: bool,
    pings_unanswered: u32,
    /// Whether this side is the one that asks later.
    hesitates: bool,
    ping_at: Option<Time>,
    /// Why the peer may be gone, and when that is certain unless it says something.
    doubt: Option<(Time, LostReason)>,
    pub(super) planted: Planted,
}

impl Liveness {
    /// Of a session that opens now. The peer is asked at once. One of the two `hesitates`: it is to hear the other's question before its
    /// own is due. If both asked at once, which takes no more than that their threads wake equally late, both would be
    /// answered, at twice the cost.
    pub fn new(now: Time, hesitates: bool) -> Self {
        Liveness {
            owed_since: now,
            heard_at: now,
            confirmed: false,
            ping_now: true,
            pings_unanswered: 0,
            hesitates,
            ping_at: Some(now + INITIAL),
            doubt: None,
            planted: Planted::default(),
        }
    }

    /// The peer knows of the session.
    pub fn confirm(&mut self) {
        if !self.confirmed {
            self.confirmed = true;
            self.ping_now = false;
        }
    }

    /// Whether it does.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// The peer has said something that it had not said before.
    pub fn heard(&mut self, now: Time, config: &TransportConfig) {
        self.heard_at = now;
        self.pings_unanswered = 0;
        self.doubt = None;
        let pause = |every| if self.hesitates { every + every / HESITATION } else { every };
        self.ping_at = config.keep_alive.map(|keep| now + pause(keep.ping_every));
    }

    /// The peer owes an acknowledgement from now on.
    pub fn owes(&mut self, now: Time) {
        self.owed_since = now;
    }

    /// Whether the next datagram is to ask for an answer.
    pub fn asks(&self) -> bool {
        self.ping_now
    }

    /// That datagram has left.
    pub fn asked(&mut self) {
        self.ping_now = false;
    }

    /// When [`Self::timeout`] has something to do. `owes`: something was sent and is not acknowledged.
    pub fn next_timeout(&self, owes: bool, config: &TransportConfig) -> Option<Time> {
        let doubted = self.doubt.map(|(until, _)| until);
        sooner(sooner(self.ping_at, doubted), self.dead_at(owes, config))
    }

    /// When to give the peer up if it stays silent.
    fn dead_at(&self, owes: bool, config: &TransportConfig) -> Option<Time> {
        if self.planted.has(Bug::SilenceTolerated) {
            return None;
        }
        if !self.confirmed {
            return Some(self.heard_at + config.connect_timeout);
        }
        match config.keep_alive {
            // A program that was stopped itself, and now finds its clock far ahead, asks before it judges.
            Some(keep) => (self.pings_unanswered >= PINGS_UNANSWERED_MIN).then_some(self.heard_at + keep.dead_after),
            None => owes.then(|| self.heard_at.max(self.owed_since) + config.give_up_after),
        }
    }

    /// Asks the peer if that is due; a reason gives it up.
    pub fn timeout(&mut self, now: Time, owes: bool, config: &TransportConfig) -> Option<LostReason> {
        if self.dead_at(owes, config).is_some_and(|at| at <= now) {
            return Some(LostReason::Silent);
        }
        if let Some((_, reason)) = self.doubt.filter(|(until, _)| *until <= now) {
            return Some(reason);
        }
        if self.ping_at.is_some_and(|at| at <= now) {
            self.ping(now, config);
        }
        None
    }

    fn ping(&mut self, now: Time, config: &TransportConfig) {
        self.ping_now = true;
        self.pings_unanswered = self.pings_unanswered.saturating_add(1);
        self.ping_at = if self.doubt.is_some() {
            Some(now + DOUBT_PATIENCE / DOUBT_PINGS)
        } else if self.confirmed {
            config.keep_alive.map(|keep| now + (keep.ping_every / PING_HASTE).min(PING_AGAIN_MAX))
        } else {
            Some(now + backed_off(INITIAL, self.pings_unanswered))
        };
    }

    /// Something says that the peer is gone, and cannot prove it: asks the peer. The first reason is the one that counts.
    pub fn doubt(&mut self, now: Time, reason: LostReason) {
        if self.doubt.is_none() {
            self.doubt = Some((now + DOUBT_PATIENCE, reason));
            self.ping_now = true;
            self.ping_at = Some(now + DOUBT_PATIENCE / DOUBT_PINGS);
        }
    }
}
