//! A session that is being opened, and what openings of others are known.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::link::{Agreed, Context};
use super::pool::Pool;
use super::rtt::{INITIAL, backed_off};
use super::send::FRAGMENT_CHARGE;
use super::types::BootEpoch;
use crate::time::Time;
use crate::wire::SessionId;

/// Our side of an opening: says hello until somebody answers.
#[derive(Debug)]
pub(super) struct Opening {
    pub local: SessionId,
    pub started: Time,
    pub hello_now: bool,
    hellos: u32,
    hello_at: Time,
    give_up_at: Time,
    /// Messages that wait for the session, by channel.
    pub pending: VecDeque<(u8, Vec<u8>)>,
    /// What they are charged.
    pub pending_bytes: usize,
}

impl Opening {
    pub fn new(now: Time, local: SessionId, give_up_at: Time) -> Self {
        Opening {
            local,
            started: now,
            hello_now: true,
            hellos: 0,
            hello_at: now + INITIAL,
            give_up_at,
            pending: VecDeque::new(),
            pending_bytes: 0,
        }
    }

    /// Keeps a message, the concatenation of `parts` (`total` bytes), until the session is open.
    pub fn push(&mut self, channel: u8, parts: &[&[u8]], total: usize, pool: &mut Pool) {
        let mut bytes = pool.take(total);
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        self.pending_bytes += total + FRAGMENT_CHARGE;
        self.pending.push_back((channel, bytes));
    }

    pub fn next_timeout(&self) -> Time {
        self.hello_at.min(self.give_up_at)
    }

    /// True when it is time to give up.
    pub fn timeout(&mut self, now: Time, cx: &mut Context<'_>) -> bool {
        if self.hello_at <= now {
            self.hello_now = true;
            self.hellos = self.hellos.saturating_add(1);
            let wait = crate::time::nanoseconds(backed_off(INITIAL, self.hellos));
            let jitter = cx.random.below(wait / 8);
            self.hello_at = now + std::time::Duration::from_nanos(wait + jitter);
        }
        self.give_up_at <= now
    }
}

/// Somebody's hello that we have answered. The session comes to be when a datagram arrives that names both numbers:
/// only then is it certain that the hello was neither forged nor a late copy. Until then it costs no more than this.
#[derive(Copy, Clone, Debug)]
pub(super) struct Candidate {
    pub addr: SocketAddr,
    pub agreed: Agreed,
    noted: Time,
    expires: Time,
}

/// The latest openings of others.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    queue: VecDeque<Candidate>,
}

impl Candidates {
    const COUNT_MAX: usize = 256;

    /// What was answered to the same hello before, so that the answer stays the same.
    pub fn find(&self, now: Time, addr: SocketAddr, test: impl Fn(&Agreed) -> bool) -> Option<Agreed> {
        let mut fresh = self.queue.iter().rev().filter(|candidate| candidate.addr == addr && candidate.expires > now);
        fresh.find(|candidate| test(&candidate.agreed)).map(|candidate| candidate.agreed)
    }

    /// Notes one; the oldest makes room.
    pub fn add(&mut self, addr: SocketAddr, agreed: Agreed, noted: Time, expires: Time) {
        if self.queue.len() >= Self::COUNT_MAX {
            self.queue.pop_front();
        }
        self.queue.push_back(Candidate { addr, agreed, noted, expires });
    }

    /// It has become a session. What the same address said hello for before is over: its last words may still come, and must
    /// not end the session that followed.
    pub fn settle(&mut self, addr: SocketAddr, agreed: &Agreed) {
        let is_it = |candidate: &Candidate| candidate.addr == addr && candidate.agreed == *agreed;
        let Some(place) = self.queue.iter().position(is_it) else { return };
        let later = self.queue.split_off(place + 1);
        self.queue.retain(|candidate| candidate.addr != addr);
        self.queue.extend(later);
    }

    /// The incarnation `alive` has answered a hello of ours from the time `asked`: others that had said hello by then are dead.
    pub fn drop_dead(&mut self, addr: SocketAddr, alive: BootEpoch, asked: Time) {
        self.queue.retain(|it| it.addr != addr || it.agreed.boot == alive || it.noted > asked);
    }
}
