//! Which calls of which client have begun, and the replies of those that are over: at most once, across sessions.
//!
//! A client's call has a slot and a sequence number there ([`CallId`]). The server keeps, for each slot, the last call that
//! began and its reply (RFC 8881, section 2.10.6; RIFL, SOSP 2015, names calls in the same way), so a call that comes again on
//! a later session is answered from the slot. A reply is let go when its slot is used again, when the transport says that
//! the client has received it, or when there is no room for it: then a call that comes again is told that it has run.
//!
//! A client is known from its first call until it is gone for some time, or others need the room. Nobody can say then what it
//! had run. The client numbers its sessions with this server, and a request says on which it was first sent: the
//! record of a client answers only for calls that were first sent on the session that began it, or later.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::codec::Encoded;
use crate::time::Time;
use crate::transport::{BootEpoch, Peer};

use super::message::{Call, CallId, Status};
use super::outbox::Reply;

/// What the memory of a slot, and of a client, is charged beyond the replies.
const SLOT_CHARGE: usize = size_of::<Slot>();
const CLIENT_CHARGE: usize = 256;
/// A buffer of at most this size stays with its slot for the next reply.
const BUFFER_KEPT_BYTES: usize = 512;
/// A reply of at least this size is kept in the buffer in which it was made.
const BUFFER_TAKEN_BYTES: usize = 64 << 10;

/// How much may be remembered of calls that are over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplyLimits {
    /// Whether calls are remembered at all. Without, a call that comes again runs again: for lessons.
    pub suppress_duplicates: bool,
    /// Slots and replies of one client, bytes.
    pub client_bytes: usize,
    /// The same for all clients together.
    pub bytes: usize,
    /// How long a client without a session is remembered.
    pub remember: Duration,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        ReplyLimits {
            suppress_duplicates: true,
            client_bytes: 4 << 20,
            bytes: 64 << 20,
            remember: Duration::from_secs(60),
        }
    }
}

/// What a request is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// A call that has not begun.
    New,
    /// One that has begun and is not over.
    Working,
    /// One that is over: the reply is in its slot, if it is kept.
    Over,
    /// One that its client has given up: a later call has its slot.
    Stale,
    /// One that may have run, for all that is known.
    Forgotten,
    /// One for which there is no slot.
    Full,
}

#[derive(Debug, Default)]
struct Slot {
    /// Of the last call that began; none has the number 0.
    sequence: u64,
    state: State,
    reply: Encoded,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Running,
    Kept(Status),
    NotKept,
}

#[derive(Debug, Default)]
struct Client {
    /// The session that began the record, as the client numbers them.
    since: u32,
    /// Its open sessions; replies go to the last.
    sessions: Vec<Peer>,
    /// When it was last seen, if it has no session.
    gone_since: Option<Time>,
    slots: Vec<Slot>,
    /// Bytes that are charged.
    bytes: usize,
    /// Slots whose replies were sent on the latest session and are kept.
    unconfirmed: Vec<u16>,
}

/// What is remembered of all clients.
#[derive(Debug)]
pub(crate) struct Slots {
    limits: ReplyLimits,
    clients: BTreeMap<BootEpoch, Client>,
    /// Those without a session, longest first; some may have come back.
    gone: VecDeque<(Time, BootEpoch)>,
    bytes: usize,
}

impl Slots {
    pub(crate) fn new(limits: ReplyLimits) -> Self {
        Slots { limits, clients: BTreeMap::new(), gone: VecDeque::new(), bytes: 0 }
    }

    /// A session of a client is over.
    pub(crate) fn lost(&mut self, now: Time, client: BootEpoch, peer: Peer) {
        let Some(record) = self.clients.get_mut(&client) else { return };
        record.sessions.retain(|session| *session != peer);
        record.unconfirmed.clear();
        if record.sessions.is_empty() && record.gone_since.is_none() {
            record.gone_since = Some(now);
            self.gone.push_back((now, client));
        }
    }

    /// Forgets the clients that have been gone for long enough.
    pub(crate) fn expire(&mut self, now: Time) {
        while self.gone.front().is_some_and(|(since, _)| *since + self.limits.remember <= now) {
            self.forget_oldest();
        }
    }

    /// When [`Self::expire`] has something to do.
    pub(crate) fn next_due(&self) -> Time {
        self.gone.front().map_or(Time::MAX, |(since, _)| *since + self.limits.remember)
    }

    /// Forgets the client that has been gone for longest. False if none is.
    fn forget_oldest(&mut self) -> bool {
        let Some((since, client)) = self.gone.pop_front() else { return false };
        if self.clients.get(&client).is_some_and(|record| record.gone_since == Some(since))
            && let Some(record) = self.clients.remove(&client)
        {
            self.bytes -= record.bytes;
        }
        true
    }

    /// What this request of a client is, which came on the session `peer`. Nothing is remembered of a new one until
    /// [`Self::begin`].
    pub(crate) fn arrive(&mut self, client: BootEpoch, peer: Peer, call: &Call) -> Arrival {
        if !self.limits.suppress_duplicates {
            return Arrival::New;
        }
        if !self.clients.contains_key(&client) && !self.enlist(client, call.session) {
            return Arrival::Full;
        }
        let Some(record) = self.clients.get_mut(&client) else { return Arrival::Full };
        record.meet(peer);
        match record.slots.get(call.id.slot()) {
            Some(slot) if call.id.sequence() < slot.sequence => return Arrival::Stale,
            Some(slot) if call.id.sequence() == slot.sequence => {
                return if slot.state == State::Running { Arrival::Working } else { Arrival::Over };
            }
            _ => {}
        }
        let first_sent = call.session.checked_sub(u32::from(call.age));
        if first_sent.is_none_or(|first| first < record.since) {
            return Arrival::Forgotten;
        }
        let more = (call.id.slot() + 1).saturating_sub(record.slots.len()) * SLOT_CHARGE;
        if more > 0 && !self.make_room(client, more) { Arrival::Full } else { Arrival::New }
    }

    fn enlist(&mut self, client: BootEpoch, session: u32) -> bool {
        if !self.make_room(client, CLIENT_CHARGE) {
            return false;
        }
        self.clients.insert(client, Client { since: session, bytes: CLIENT_CHARGE, ..Client::default() });
        self.bytes += CLIENT_CHARGE;
        true
    }

    /// Makes room for so many bytes of a client, if need be by letting replies go, and clients that have no session.
    fn make_room(&mut self, client: BootEpoch, bytes: usize) -> bool {
        let own = |slots: &Self| slots.clients.get(&client).map_or(0, |record| record.bytes) + bytes;
        if own(self) > self.limits.client_bytes
            && let Some(record) = self.clients.get_mut(&client)
        {
            self.bytes -= record.release_all();
        }
        while self.bytes + bytes > self.limits.bytes && self.forget_oldest() {}
        if self.bytes + bytes > self.limits.bytes {
            self.bytes -= self.clients.values_mut().map(Client::release_all).sum::<usize>();
        }
        own(self) <= self.limits.client_bytes && self.bytes + bytes <= self.limits.bytes
    }

    /// A new call is going to run (or, as one that was given up before it came, never will).
    pub(crate) fn begin(&mut self, client: BootEpoch, call: CallId) {
        let Some(record) = self.clients.get_mut(&client) else { return };
        let before = record.bytes;
        if record.slots.len() <= call.slot() {
            record.bytes += (call.slot() + 1 - record.slots.len()) * SLOT_CHARGE;
            record.slots.resize_with(call.slot() + 1, Slot::default);
        }
        if let Some(slot) = record.slots.get_mut(call.slot()) {
            record.bytes -= slot.release();
            slot.sequence = call.sequence();
            slot.state = State::Running;
        }
        self.bytes = self.bytes + record.bytes - before;
    }

    /// A call that began is taken out again before it ran: it may begin another time.
    pub(crate) fn unbegin(&mut self, client: BootEpoch, call: CallId) {
        if let Some(slot) = self.slot(client, call) {
            slot.sequence = slot.sequence.saturating_sub(1);
            slot.state = State::NotKept;
        }
    }

    /// A call is over. Keeps the reply if there is room, and may take its buffer.
    pub(crate) fn finish(&mut self, client: BootEpoch, reply: &mut Reply) {
        let Some(record) = self.clients.get_mut(&client) else { return };
        let (call, length) = (reply.call, reply.body.len());
        let own = record.bytes + length;
        let fits = own <= self.limits.client_bytes && self.bytes + length <= self.limits.bytes;
        let Some(slot) = record.slots.get_mut(call.slot()).filter(|slot| slot.sequence == call.sequence()) else {
            return;
        };
        if !fits {
            slot.state = State::NotKept;
            return;
        }
        slot.state = State::Kept(reply.status);
        // To copy a long one costs more than to make another buffer; one that is mostly empty would hold what nobody is charged for.
        if length >= BUFFER_TAKEN_BYTES && reply.body.bytes.capacity() <= 2 * length {
            slot.reply = std::mem::take(&mut reply.body);
        } else {
            slot.reply.copy(&reply.body);
        }
        record.bytes = own;
        self.bytes += length;
        record.sent(call);
    }

    /// The call is over, and nobody wants its reply.
    pub(crate) fn abandon(&mut self, client: BootEpoch, call: CallId) {
        if let Some(slot) = self.slot(client, call) {
            slot.state = State::NotKept;
        }
    }

    /// The call is given up, perhaps before its request has come: that will not run any more.
    pub(crate) fn give_up(&mut self, client: BootEpoch, call: CallId) {
        let Some(record) = self.clients.get_mut(&client) else { return };
        let Some(slot) = record.slots.get_mut(call.slot()).filter(|slot| slot.sequence < call.sequence()) else {
            return;
        };
        let released = slot.release();
        slot.sequence = call.sequence();
        slot.state = State::NotKept;
        record.bytes -= released;
        self.bytes -= released;
    }

    /// The reply of a call that is over, to be sent again; [`Status::NotKept`] if it is not there any more.
    pub(crate) fn reply(&mut self, client: BootEpoch, call: CallId) -> Reply {
        let lost = Reply { call, status: Status::NotKept, body: Encoded::default() };
        let Some(record) = self.clients.get_mut(&client) else { return lost };
        record.sent(call);
        match record.slots.get(call.slot()).map(|slot| (slot.state, &slot.reply)) {
            Some((State::Kept(status), body)) => Reply { call, status, body: body.clone() },
            _ => lost,
        }
    }

    /// The session to which replies for a client go now.
    pub(crate) fn session(&self, client: BootEpoch) -> Option<Peer> {
        self.clients.get(&client)?.sessions.last().copied()
    }

    /// Whether [`Self::confirm`] would let replies go.
    pub(crate) fn awaits_confirmation(&self, client: BootEpoch) -> bool {
        self.clients.get(&client).is_some_and(|record| !record.unconfirmed.is_empty())
    }

    /// A client has received whatever was sent to it: it will not ask for that again.
    pub(crate) fn confirm(&mut self, client: BootEpoch) {
        let Some(record) = self.clients.get_mut(&client) else { return };
        let before = record.bytes;
        for number in record.unconfirmed.drain(..) {
            if let Some(slot) = record.slots.get_mut(usize::from(number)) {
                record.bytes -= slot.release();
            }
        }
        self.bytes = self.bytes + record.bytes - before;
    }

    /// Bytes that are charged for all that is remembered.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn slot(&mut self, client: BootEpoch, call: CallId) -> Option<&mut Slot> {
        let slot = self.clients.get_mut(&client)?.slots.get_mut(call.slot())?;
        (slot.sequence == call.sequence()).then_some(slot)
    }
}

impl Client {
    /// It has sent something on this session.
    fn meet(&mut self, peer: Peer) {
        if self.sessions.last() != Some(&peer) {
            self.sessions.retain(|session| *session != peer);
            self.sessions.push(peer);
            self.gone_since = None;
            // What was sent on another session may not have been received.
            self.unconfirmed.clear();
        }
    }

    /// The reply in this slot has been sent on the latest session.
    fn sent(&mut self, call: CallId) {
        self.unconfirmed.push(call.slot() as u16);
        if self.unconfirmed.len() > 2 * self.slots.len() {
            self.unconfirmed.sort_unstable();
            self.unconfirmed.dedup();
        }
    }

    /// Lets all replies go; returns how many bytes.
    fn release_all(&mut self) -> usize {
        self.unconfirmed.clear();
        let released = self.slots.iter_mut().map(Slot::release).sum();
        self.bytes -= released;
        released
    }
}

impl Slot {
    /// Lets the reply go; returns its bytes.
    fn release(&mut self) -> usize {
        let State::Kept(_) = self.state else { return 0 };
        self.state = State::NotKept;
        let released = self.reply.len();
        if self.reply.bytes.capacity() > BUFFER_KEPT_BYTES {
            self.reply = Encoded::default();
        }
        self.reply.clear();
        released
    }
}

#[cfg(test)]
mod tests;
