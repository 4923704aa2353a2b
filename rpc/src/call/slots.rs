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
    reply: Vec<u8>,
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
        if length >= BUFFER_TAKEN_BYTES && reply.body.capacity() <= 2 * length {
            slot.reply = std::mem::take(&mut reply.body);
        } else {
            slot.reply.extend_from_slice(&reply.body);
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
    pub(crate) fn reply(&mut self, client: BootEpoch, call: CallId) -> (Status, &[u8]) {
        let Some(record) = self.clients.get_mut(&client) else { return (Status::NotKept, &[]) };
        record.sent(call);
        match record.slots.get(call.slot()).map(|slot| (slot.state, &slot.reply)) {
            Some((State::Kept(status), reply)) => (status, reply),
            _ => (Status::NotKept, &[]),
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
        if self.reply.capacity() > BUFFER_KEPT_BYTES {
            self.reply = Vec::new();
        }
        self.reply.clear();
        released
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{How, MethodId, ServiceId};
    use super::*;

    const CLIENT: BootEpoch = BootEpoch(1);

    fn peer(index: u32) -> Peer {
        Peer { index, generation: 0 }
    }

    fn call(slot: u16, sequence: u64, session: u32, age: u8) -> Call {
        let (id, service, method) =
            (CallId::new(slot, sequence), ServiceId(0), MethodId { number: 0, version: 1, schema: 0 });
        Call { id, how: How::AtMostOnce, session, age, time_left: None, service, method }
    }

    fn slots(client_bytes: usize, bytes: usize) -> Slots {
        Slots::new(ReplyLimits { client_bytes, bytes, ..ReplyLimits::default() })
    }

    fn reply(call: CallId, body: &[u8]) -> Reply {
        Reply { call, status: Status::Done, body: body.to_vec() }
    }

    /// A call that came, ran, and was answered.
    fn run(slots: &mut Slots, client: BootEpoch, call: &Call, body: &[u8]) {
        assert_eq!(slots.arrive(client, peer(0), call), Arrival::New);
        slots.begin(client, call.id);
        slots.finish(client, &mut reply(call.id, body));
    }

    #[test]
    fn a_call_that_comes_again_is_answered_from_its_slot() {
        let mut slots = slots(1 << 20, 1 << 20);
        let first = call(0, 1, 1, 0);
        assert_eq!(slots.arrive(CLIENT, peer(0), &first), Arrival::New);
        slots.begin(CLIENT, first.id);
        slots.lost(Time::ZERO, CLIENT, peer(0));
        let again = call(0, 1, 2, 1);
        assert_eq!(slots.arrive(CLIENT, peer(1), &again), Arrival::Working);
        assert_eq!(slots.session(CLIENT), Some(peer(1)));
        slots.finish(CLIENT, &mut reply(first.id, b"once"));
        assert_eq!(slots.arrive(CLIENT, peer(1), &again), Arrival::Over);
        assert_eq!(slots.reply(CLIENT, first.id), (Status::Done, &b"once"[..]));
    }

    #[test]
    fn a_long_reply_is_kept_in_its_buffer_unless_that_is_mostly_empty() {
        let mut slots = slots(1 << 20, 1 << 20);
        for (number, room, moved) in [(1, BUFFER_TAKEN_BYTES, true), (2, 4 * BUFFER_TAKEN_BYTES, false)] {
            let id = CallId::new(0, number);
            slots.arrive(CLIENT, peer(0), &call(0, number, 1, 0));
            slots.begin(CLIENT, id);
            let before = slots.bytes();
            let mut body = Vec::with_capacity(room);
            body.resize(BUFFER_TAKEN_BYTES, 7);
            let mut reply = Reply { call: id, status: Status::Done, body };
            slots.finish(CLIENT, &mut reply);
            assert_eq!(reply.body.is_empty(), moved);
            assert_eq!(slots.bytes() - before, BUFFER_TAKEN_BYTES);
            assert_eq!(slots.reply(CLIENT, id), (Status::Done, &[7; BUFFER_TAKEN_BYTES][..]));
        }
    }

    #[test]
    fn a_later_call_in_the_slot_releases_the_reply_and_makes_the_earlier_one_stale() {
        let mut slots = slots(1 << 20, 1 << 20);
        run(&mut slots, CLIENT, &call(0, 1, 1, 0), &[7; 1000]);
        let before = slots.bytes();
        assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 2, 1, 0)), Arrival::New);
        slots.begin(CLIENT, CallId::new(0, 2));
        assert_eq!(slots.bytes(), before - 1000);
        assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 1, 1, 0)), Arrival::Stale);
    }

    #[test]
    fn what_the_client_has_received_is_let_go_and_never_runs_again() {
        let mut slots = slots(1 << 20, 1 << 20);
        run(&mut slots, CLIENT, &call(0, 1, 1, 0), &[7; 1000]);
        let before = slots.bytes();
        assert!(slots.awaits_confirmation(CLIENT));
        slots.confirm(CLIENT);
        assert_eq!(slots.bytes(), before - 1000);
        assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 1, 1, 0)), Arrival::Over);
        assert_eq!(slots.reply(CLIENT, CallId::new(0, 1)), (Status::NotKept, &b""[..]));
    }

    #[test]
    fn a_reply_that_was_sent_on_a_lost_session_is_kept_although_the_next_session_is_quiet() {
        let mut slots = slots(1 << 20, 1 << 20);
        run(&mut slots, CLIENT, &call(0, 1, 1, 0), b"lost");
        slots.lost(Time::ZERO, CLIENT, peer(0));
        assert_eq!(slots.arrive(CLIENT, peer(1), &call(1, 1, 2, 0)), Arrival::New);
        slots.confirm(CLIENT);
        assert_eq!(slots.arrive(CLIENT, peer(1), &call(0, 1, 2, 1)), Arrival::Over);
        assert_eq!(slots.reply(CLIENT, CallId::new(0, 1)), (Status::Done, &b"lost"[..]));
    }

    #[test]
    fn a_call_that_is_older_than_the_record_may_have_run() {
        let mut slots = slots(1 << 20, 1 << 20);
        run(&mut slots, CLIENT, &call(0, 1, 1, 0), b"");
        slots.lost(Time::ZERO, CLIENT, peer(0));
        slots.expire(Time::ZERO + ReplyLimits::default().remember);
        assert_eq!(slots.bytes(), 0);
        // Also on the session after the one that began the new record.
        assert_eq!(slots.arrive(CLIENT, peer(1), &call(1, 1, 2, 0)), Arrival::New);
        slots.lost(Time::ZERO, CLIENT, peer(1));
        for (session, age) in [(2, 1), (3, 2)] {
            assert_eq!(slots.arrive(CLIENT, peer(session), &call(0, 1, session, age)), Arrival::Forgotten);
        }
        assert_eq!(slots.arrive(CLIENT, peer(3), &call(0, 2, 3, 1)), Arrival::New);
    }

    #[test]
    fn a_client_that_comes_back_in_time_is_remembered() {
        let mut slots = slots(1 << 20, 1 << 20);
        run(&mut slots, CLIENT, &call(0, 1, 1, 0), b"kept");
        slots.lost(Time::ZERO, CLIENT, peer(0));
        assert_eq!(slots.arrive(CLIENT, peer(1), &call(0, 1, 2, 1)), Arrival::Over);
        slots.expire(Time::MAX);
        assert_eq!(slots.arrive(CLIENT, peer(1), &call(0, 1, 2, 1)), Arrival::Over);
    }

    #[test]
    fn a_call_that_was_taken_out_before_it_ran_may_begin_another_time() {
        let mut slots = slots(1 << 20, 1 << 20);
        assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 1, 1, 0)), Arrival::New);
        slots.begin(CLIENT, CallId::new(0, 1));
        slots.unbegin(CLIENT, CallId::new(0, 1));
        assert_eq!(slots.arrive(CLIENT, peer(1), &call(0, 1, 2, 1)), Arrival::New);
    }

    #[test]
    fn a_call_that_was_given_up_before_it_came_does_not_run() {
        let mut slots = slots(1 << 20, 1 << 20);
        run(&mut slots, CLIENT, &call(0, 1, 1, 0), b"one");
        slots.give_up(CLIENT, CallId::new(0, 2));
        assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 2, 1, 0)), Arrival::Over);
        assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 3, 1, 0)), Arrival::New);
        // What nobody has a slot for is not remembered.
        slots.give_up(CLIENT, CallId::new(9, 1));
        assert_eq!(slots.arrive(CLIENT, peer(0), &call(9, 1, 1, 0)), Arrival::New);
    }

    #[test]
    fn a_reply_without_room_is_not_kept_and_its_call_does_not_run_again() {
        let mut slots = slots(1 << 10, 1 << 20);
        run(&mut slots, CLIENT, &call(0, 1, 1, 0), &[0; 1 << 10]);
        assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 1, 1, 0)), Arrival::Over);
        assert_eq!(slots.reply(CLIENT, CallId::new(0, 1)).0, Status::NotKept);
        assert!(slots.bytes() < 1 << 10);
    }

    #[test]
    fn memory_is_bounded_whatever_slots_and_clients_are_named() {
        let mut slots = slots(1 << 12, 1 << 14);
        for number in 0..1_000u32 {
            let client = BootEpoch(u64::from(number % 50));
            let call = call((number * 37 % 3_000) as u16, u64::from(number) + 1, 1, 0);
            if slots.arrive(client, peer(number % 50), &call) == Arrival::New {
                slots.begin(client, call.id);
                slots.finish(client, &mut reply(call.id, &[0; 100]));
            }
            assert!(slots.bytes() <= 1 << 14);
        }
        assert_eq!(slots.arrive(CLIENT, peer(1), &call(u16::MAX, 1, 1, 0)), Arrival::Full);
        // Clients that are gone make room for others.
        (0..50).for_each(|number| slots.lost(Time::ZERO, BootEpoch(u64::from(number)), peer(number)));
        assert_eq!(slots.arrive(BootEpoch(99), peer(99), &call(0, 1, 1, 0)), Arrival::New);
    }

    #[test]
    fn without_suppression_every_request_is_new() {
        let mut slots = Slots::new(ReplyLimits { suppress_duplicates: false, ..ReplyLimits::default() });
        for _ in 0..2 {
            run(&mut slots, CLIENT, &call(0, 1, 1, 0), b"twice");
        }
        assert_eq!(slots.bytes(), 0);
    }
}
