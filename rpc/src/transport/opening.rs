//! A session that is being opened, and what openings of others are known.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::link::{Agreed, Context};
use super::pool::Pool;
use super::rtt::{INITIAL, backed_off};
use super::send::FRAGMENT_CHARGE;
use super::types::{BootEpoch, LostReason};
use crate::security::noise::{Initiator, Keys};
use crate::time::Time;
use crate::wire::SessionId;

/// How long a genuine answer may still come after a refusal that nobody can vouch for.
const HINT_PATIENCE: Duration = Duration::from_secs(1);

/// Our side of an opening: says hello until somebody answers.
#[derive(Debug)]
pub(super) struct Opening {
    pub local: SessionId,
    pub started: Time,
    pub hello_now: bool,
    /// The datagram that says it.
    pub hello: Vec<u8>,
    /// With a key: what reads the answer.
    pub initiator: Option<Initiator>,
    /// What somebody has said against it, who may be anybody.
    hint: Option<LostReason>,
    hellos: u32,
    hello_at: Time,
    give_up_at: Time,
    /// Messages that wait for the session, by channel.
    pub pending: VecDeque<(u8, Vec<u8>)>,
    /// What they are charged.
    pub pending_bytes: usize,
}

impl Opening {
    pub fn new(now: Time, local: SessionId, give_up_at: Time, hello: Vec<u8>, initiator: Option<Initiator>) -> Self {
        Opening {
            local,
            started: now,
            hello_now: true,
            hello,
            initiator,
            hint: None,
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

    /// Somebody refuses, and may be anybody: that is the reason if no genuine answer comes soon.
    pub fn hint(&mut self, now: Time, reason: LostReason) {
        self.hint.get_or_insert(reason);
        self.give_up_at = self.give_up_at.min(now + HINT_PATIENCE);
    }

    /// A reason when it is time to give up.
    pub fn timeout(&mut self, now: Time, cx: &mut Context<'_>) -> Option<LostReason> {
        if self.hello_at <= now {
            self.hello_now = true;
            self.hellos = self.hellos.saturating_add(1);
            let wait = crate::time::nanoseconds(backed_off(INITIAL, self.hellos));
            let jitter = cx.random.below(wait / 8);
            self.hello_at = now + Duration::from_nanos(wait + jitter);
        }
        (self.give_up_at <= now).then_some(self.hint.unwrap_or(LostReason::Unreachable))
    }
}

/// Somebody's hello that we have answered. The session comes to be when a datagram arrives that names both numbers:
/// only then is it certain that the hello was neither forged nor a late copy. Until then it costs no more than this.
#[derive(Debug)]
pub(super) struct Candidate {
    pub addr: SocketAddr,
    pub agreed: Agreed,
    noted: Time,
    expires: Time,
    sealed: Option<Box<Sealed>>,
}

/// What a hello with a key was, and what came of it.
#[derive(Debug)]
pub(super) struct Sealed {
    /// The handshake message, to know the same hello again.
    pub question: Box<[u8]>,
    /// The datagram that answers it.
    pub answer: Box<[u8]>,
    pub keys: Keys,
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

    /// The datagram that answered this very hello before.
    pub fn answer_to(&self, now: Time, addr: SocketAddr, remote: SessionId, question: &[u8]) -> Option<&[u8]> {
        let mut fresh = self.queue.iter().filter(|candidate| candidate.addr == addr && candidate.expires > now);
        fresh.find_map(|candidate| {
            let sealed = candidate.sealed.as_ref()?;
            (candidate.agreed.remote == remote && *sealed.question == *question).then_some(&*sealed.answer)
        })
    }

    /// The keys for data that names these numbers.
    pub fn keys_mut(&mut self, now: Time, addr: SocketAddr, local: SessionId, remote: SessionId) -> Option<&mut Keys> {
        let mut fresh = self.queue.iter_mut().rev().filter(|it| it.addr == addr && it.expires > now);
        let found = fresh.find(|it| it.agreed.local == local && it.agreed.remote == remote)?;
        found.sealed.as_mut().map(|sealed| &mut sealed.keys)
    }

    /// Whether any of them, from wherever, is to be addressed by this number.
    pub fn any_local(&self, local: SessionId) -> bool {
        self.queue.iter().any(|candidate| candidate.agreed.local == local)
    }

    /// Notes one; the oldest makes room.
    pub fn add(&mut self, addr: SocketAddr, agreed: Agreed, noted: Time, expires: Time, sealed: Option<Sealed>) {
        if self.queue.len() >= Self::COUNT_MAX {
            self.queue.pop_front();
        }
        self.queue.push_back(Candidate { addr, agreed, noted, expires, sealed: sealed.map(Box::new) });
    }

    /// It has become a session, which gets its keys. What the same address said hello for before is over: its last words may still
    /// come, and must not end the session that followed.
    pub fn settle(&mut self, addr: SocketAddr, agreed: &Agreed) -> Option<Keys> {
        let is_it = |candidate: &Candidate| candidate.addr == addr && candidate.agreed == *agreed;
        let place = self.queue.iter().rposition(is_it)?;
        let later = self.queue.split_off(place + 1);
        let sealed = self.queue.pop_back().and_then(|candidate| candidate.sealed);
        self.queue.retain(|candidate| candidate.addr != addr);
        self.queue.extend(later);
        sealed.map(|sealed| sealed.keys)
    }

    /// The incarnation `alive` has answered a hello of ours from the time `asked`: others that had said hello by then are dead.
    pub fn drop_dead(&mut self, addr: SocketAddr, alive: BootEpoch, asked: Time) {
        self.queue.retain(|it| it.addr != addr || it.agreed.boot == alive || it.noted > asked);
    }
}
