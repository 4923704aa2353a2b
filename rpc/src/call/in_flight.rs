//! The table of calls in flight: who waits for which reply, until when, and how far the request is.
//!
//! A call's number on the wire is its slot here and the number of its use ([`CallId`]), so a reply finds its call without hashing,
//! and one that comes too late finds that the slot has moved on.

use std::time::Duration;

use crate::codec::Encoded;
use crate::time::Time;
use crate::transport::{BootEpoch, Peer};

use super::body::{Arrived, Body};
use super::error::{CallError, CallErrorKind, Ran};
use super::message::{CallId, How, MethodId, ServiceId, Status};
use super::wake::Wake;

/// What became of a call: the reply's status and body, or why there is none.
pub(crate) type Outcome = Result<(Status, Body), CallError>;

/// A reply as it came.
pub(crate) struct Answer<'a> {
    pub(crate) status: Status,
    pub(crate) body: Arrived<'a>,
}

/// What is asked of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) service: ServiceId,
    pub(crate) method: MethodId,
    pub(crate) how: How,
}

/// A session on which a call was sent for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    /// Which incarnation of the server has the other end.
    pub(crate) server: BootEpoch,
    /// How many sessions with that incarnation there have been, this one included.
    pub(crate) session: u32,
}

/// A call without an outcome.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) target: Target,
    pub(crate) deadline: Time,
    /// Of which the deadline came.
    pub(crate) timeout: Duration,
    /// The session that has the request now; none: it waits to be sent.
    pub(crate) sent: Option<Peer>,
    /// Where the request was sent first, since it was last certain that it had not run.
    pub(crate) origin: Option<Origin>,
    /// Whether it may have run where nobody can say any more.
    pub(crate) ran_elsewhere: bool,
    waiter: Option<Wake>,
    /// The encoded arguments; the buffer then takes the reply.
    pub(crate) buffer: Encoded,
}

impl Waiting {
    /// What is known of it while there is no reply.
    pub(crate) fn ran(&self) -> Ran {
        if self.sent.is_some() || self.origin.is_some() || self.ran_elsewhere { Ran::Maybe } else { Ran::No }
    }
}

#[derive(Debug)]
struct Slot {
    sequence: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting(Waiting),
    Done(Outcome),
}

/// All calls of one client.
#[derive(Debug)]
pub(crate) struct InFlight {
    slots: Vec<Slot>,
    /// Slots that were used and are free, the latest last: few calls use few slots, here and at the server.
    free: Vec<u16>,
    limit: usize,
    /// Of requests that wait for an outcome.
    bytes: usize,
    bytes_max: usize,
    /// Calls that wait.
    waiting: usize,
    oneway_lost: u64,
    /// No deadline is earlier than this. Replies do not move it, so a look at all the slots is due about once per timeout,
    /// not once per call.
    next_due: Time,
    wakes: Vec<Wake>,
}

impl InFlight {
    /// A table of at most `limit` calls, whose requests have at most `bytes_max` bytes (but one may be larger).
    pub(crate) fn new(limit: usize, bytes_max: usize) -> Self {
        let limit = limit.min(CallId::SLOTS_MAX);
        InFlight {
            slots: Vec::new(),
            free: Vec::new(),
            limit,
            bytes: 0,
            bytes_max,
            waiting: 0,
            oneway_lost: 0,
            next_due: Time::MAX,
            wakes: Vec::new(),
        }
    }

    /// A new call, which waits to be sent. `buffer` has the arguments.
    pub(crate) fn begin(
        &mut self,
        target: Target,
        now: Time,
        timeout: Duration,
        buffer: Encoded,
    ) -> Result<CallId, CallError> {
        if self.bytes > 0 && self.bytes + buffer.len() > self.bytes_max {
            return Err(CallError::new(CallErrorKind::Backlog { queued: self.bytes }, Ran::No));
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => self.grow()?,
        };
        let deadline = now + timeout;
        self.next_due = self.next_due.min(deadline);
        self.bytes += buffer.len();
        self.waiting += 1;
        let waiting =
            Waiting { target, deadline, timeout, sent: None, origin: None, ran_elsewhere: false, waiter: None, buffer };
        let mut sequence = 0;
        if let Some(slot) = self.slots.get_mut(usize::from(number)) {
            slot.sequence += 1;
            sequence = slot.sequence;
            slot.state = State::Waiting(waiting);
        }
        Ok(CallId::new(number, sequence))
    }

    fn grow(&mut self) -> Result<u16, CallError> {
        match u16::try_from(self.slots.len()) {
            Ok(number) if self.slots.len() < self.limit => {
                self.slots.push(Slot { sequence: 0, state: State::Free });
                Ok(number)
            }
            _ => Err(CallError::new(CallErrorKind::TooManyCalls { limit: self.limit }, Ran::No)),
        }
    }

    fn slot(&mut self, call: CallId) -> Option<&mut Slot> {
        self.slots.get_mut(call.slot()).filter(|slot| slot.sequence == call.sequence())
    }

    /// A call without an outcome.
    pub(crate) fn waiting(&mut self, call: CallId) -> Option<&mut Waiting> {
        match &mut self.slot(call)?.state {
            State::Waiting(waiting) => Some(waiting),
            State::Free | State::Done(_) => None,
        }
    }

    /// Every call without an outcome.
    pub(crate) fn all_waiting(&mut self) -> impl Iterator<Item = (CallId, &mut Waiting)> {
        (0..).zip(&mut self.slots).filter_map(|(number, slot)| match &mut slot.state {
            State::Waiting(waiting) => Some((CallId::new(number, slot.sequence), waiting)),
            State::Free | State::Done(_) => None,
        })
    }

    /// A reply came. False if nobody waits for it (any more).
    pub(crate) fn complete(&mut self, call: CallId, from: Peer, answer: Answer<'_>) -> bool {
        let Some(waiting) = self.waiting(call).filter(|waiting| waiting.sent == Some(from)) else { return false };
        let length = waiting.buffer.len();
        let spare = std::mem::take(&mut waiting.buffer);
        let outcome = match CallError::from_reply(answer.status, &answer.body) {
            // It did not run this time.
            Some(error) if error.ran == Ran::No && waiting.ran_elsewhere => Err(CallError { ran: Ran::Maybe, ..error }),
            _ => Ok((answer.status, answer.body.keep(|| spare.into_buffer()))),
        };
        self.bytes -= length;
        self.finish(call, outcome);
        true
    }

    /// A call has failed.
    pub(crate) fn fail(&mut self, call: CallId, error: CallError) {
        let Some(waiting) = self.waiting(call) else { return };
        if waiting.target.how == How::Oneway {
            // Nobody will ask.
            self.oneway_lost += 1;
            drop(self.release(call));
            return;
        }
        let length = waiting.buffer.len();
        self.bytes -= length;
        self.finish(call, Err(error));
    }

    /// Calls without a reply that failed.
    pub(crate) fn oneway_lost(&self) -> u64 {
        self.oneway_lost
    }

    fn finish(&mut self, call: CallId, outcome: Outcome) {
        let Some(slot) = self.slot(call) else { return };
        if let State::Waiting(waiting) = std::mem::replace(&mut slot.state, State::Done(outcome)) {
            self.waiting -= 1;
            self.wakes.extend(waiting.waiter);
        }
    }

    /// The outcome, if there is one: then the call is over, and its number dead.
    pub(crate) fn take(&mut self, call: CallId) -> Option<Outcome> {
        match self.slot(call)?.state {
            State::Free | State::Waiting(_) => None,
            State::Done(_) => match self.release(call)? {
                State::Done(outcome) => Some(outcome),
                State::Free | State::Waiting(_) => None,
            },
        }
    }

    /// Whom the outcome will wake. Returns who stood there before, to be dropped without the mutex (a task may own a task that waits
    /// here, too).
    #[must_use = "drop it without the mutex"]
    pub(crate) fn register(&mut self, call: CallId, waiter: Option<Wake>) -> Option<Wake> {
        match self.waiting(call) {
            Some(waiting) => std::mem::replace(&mut waiting.waiter, waiter),
            None => waiter,
        }
    }

    /// Nobody wants the outcome any more; a reply that still comes is late. Returns the session that has the request, if there
    /// is no outcome, and what is to be dropped without the mutex.
    #[must_use = "drop it without the mutex"]
    pub(crate) fn cancel(&mut self, call: CallId) -> (Option<Peer>, impl Sized + use<>) {
        let state = self.release(call);
        let sent = match &state {
            Some(State::Waiting(waiting)) => waiting.sent,
            _ => None,
        };
        (sent, state)
    }

    fn release(&mut self, call: CallId) -> Option<State> {
        let slot = self.slot(call).filter(|slot| !matches!(slot.state, State::Free))?;
        let state = std::mem::replace(&mut slot.state, State::Free);
        if let State::Waiting(waiting) = &state {
            self.bytes -= waiting.buffer.len();
            self.waiting -= 1;
        }
        self.free.push(call.slot() as u16);
        Some(state)
    }

    /// Fails every call for which `error` gives one.
    pub(crate) fn fail_each(&mut self, error: impl Fn(&Waiting) -> Option<CallError>) {
        let failed: Vec<_> =
            self.all_waiting().filter_map(|(call, waiting)| error(waiting).map(|error| (call, error))).collect();
        failed.into_iter().for_each(|(call, error)| self.fail(call, error));
    }

    /// Fails the calls whose time is over.
    pub(crate) fn expire(&mut self, now: Time) {
        if now < self.next_due {
            return;
        }
        self.fail_each(|waiting| {
            let error = || CallError::new(CallErrorKind::Timeout(waiting.timeout), waiting.ran());
            (waiting.deadline <= now).then(error)
        });
        self.next_due = self.all_waiting().map(|(_, waiting)| waiting.deadline).min().unwrap_or(Time::MAX);
    }

    /// When [`Self::expire`] should look next.
    pub(crate) fn next_due(&self) -> Time {
        self.next_due
    }

    /// Calls begun and not taken or cancelled.
    pub(crate) fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// Whether no call waits for an outcome.
    pub(crate) fn is_quiet(&self) -> bool {
        self.waiting == 0
    }

    /// Moves the waiters of finished calls to the end of `wakes`.
    pub(crate) fn take_wakes(&mut self, wakes: &mut Vec<Wake>) {
        wakes.append(&mut self.wakes);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::driver::Received;
    use crate::transport::LostReason;

    const HERE: Peer = Peer { index: 1, generation: 1 };
    const SECOND: Duration = Duration::from_secs(1);
    const METHOD: MethodId = MethodId { number: 1, version: 1, schema: 0 };
    const TARGET: Target = Target { service: ServiceId(1), method: METHOD, how: How::AtMostOnce };

    fn table(limit: usize) -> InFlight {
        InFlight::new(limit, 100)
    }

    fn begin(table: &mut InFlight, peer: Peer, now: Time) -> CallId {
        let call = table.begin(TARGET, now, SECOND, Encoded::default()).expect("room");
        assert!(table.register(call, Some(Wake::Task(Waker::noop().clone()))).is_none());
        table.waiting(call).expect("it waits").sent = Some(peer);
        call
    }

    fn answer(status: Status, body: &[u8]) -> Answer<'_> {
        Answer { status, body: Arrived::at_end(Received::InDatagram(body), body.len()) }
    }

    fn woken(table: &mut InFlight) -> usize {
        let mut wakes = Vec::new();
        table.take_wakes(&mut wakes);
        wakes.len()
    }

    #[test]
    fn a_reply_reaches_its_call_and_wakes_it_once() {
        let mut table = table(4);
        let calls = [begin(&mut table, HERE, Time::ZERO), begin(&mut table, HERE, Time::ZERO)];
        assert!(table.complete(calls[1], HERE, answer(Status::Done, b"one")));
        assert_eq!(woken(&mut table), 1);
        assert_eq!(table.take(calls[0]), None);
        assert_eq!(table.take(calls[1]), Some(Ok((Status::Done, b"one".to_vec().into()))));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_second_reply_and_a_reply_of_another_peer_are_nobodys() {
        let mut table = table(4);
        let call = begin(&mut table, HERE, Time::ZERO);
        assert!(!table.complete(call, Peer { index: 1, generation: 2 }, answer(Status::Done, b"")));
        assert!(table.complete(call, HERE, answer(Status::Done, b"first")));
        assert!(!table.complete(call, HERE, answer(Status::Done, b"second")));
        assert_eq!(table.take(call), Some(Ok((Status::Done, b"first".to_vec().into()))));
        assert!(!table.complete(call, HERE, answer(Status::Done, b"third")));
        assert!(!table.complete(CallId(u64::MAX), HERE, answer(Status::Done, b"")));
    }

    #[test]
    fn a_late_reply_never_reaches_the_next_call_in_the_slot() {
        let mut table = table(1);
        let first = begin(&mut table, HERE, Time::ZERO);
        assert_eq!(table.cancel(first).0, Some(HERE));
        let second = begin(&mut table, HERE, Time::ZERO);
        assert_eq!((first.slot(), first.sequence() + 1), (second.slot(), second.sequence()));
        assert!(!table.complete(first, HERE, answer(Status::Done, b"late")));
        assert_eq!(table.take(second), None);
        assert_eq!(table.cancel(first).0, None);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn the_limit_holds_and_a_finished_call_makes_room() {
        let mut table = table(1);
        let call = begin(&mut table, HERE, Time::ZERO);
        let error = table.begin(TARGET, Time::ZERO, SECOND, Encoded::default()).expect_err("full");
        assert_eq!(error, CallError::new(CallErrorKind::TooManyCalls { limit: 1 }, Ran::No));
        drop(table.cancel(call));
        assert!(table.begin(TARGET, Time::ZERO, SECOND, Encoded::default()).is_ok());
    }

    #[test]
    fn requests_are_limited_by_their_bytes_but_a_single_one_is_not() {
        let mut table = table(4);
        let large = table.begin(TARGET, Time::ZERO, SECOND, vec![0; 1_000].into()).expect("room");
        let error = table.begin(TARGET, Time::ZERO, SECOND, vec![0; 1].into()).expect_err("full");
        assert_eq!(error, CallError::new(CallErrorKind::Backlog { queued: 1_000 }, Ran::No));
        table.fail(large, error);
        assert!(table.begin(TARGET, Time::ZERO, SECOND, vec![0; 1].into()).is_ok());
    }

    #[test]
    fn only_calls_whose_time_is_over_expire_and_those_never_sent_did_not_run() {
        let mut table = table(4);
        let early = begin(&mut table, HERE, Time::ZERO);
        let unsent = table.begin(TARGET, Time::ZERO, SECOND, Encoded::default()).expect("room");
        let late = begin(&mut table, HERE, Time::ZERO + SECOND / 2);
        assert_eq!(table.next_due(), Time::ZERO + SECOND);
        table.expire(Time::ZERO + SECOND);
        assert_eq!(woken(&mut table), 1);
        let timeout = |ran| Some(Err(CallError::new(CallErrorKind::Timeout(SECOND), ran)));
        assert_eq!(table.take(early), timeout(Ran::Maybe));
        assert_eq!(table.take(unsent), timeout(Ran::No));
        assert_eq!(table.take(late), None);
        assert_eq!(table.next_due(), Time::ZERO + SECOND * 3 / 2);
    }

    #[test]
    fn calls_fail_by_choice() {
        let mut table = table(4);
        let there = Peer { index: 2, generation: 1 };
        let calls = [begin(&mut table, HERE, Time::ZERO), begin(&mut table, there, Time::ZERO)];
        let error = CallError::new(CallErrorKind::PeerLost { reason: LostReason::Silent }, Ran::Maybe);
        table.fail_each(|waiting| (waiting.sent == Some(HERE)).then(|| error.clone()));
        assert_eq!(table.take(calls[0]), Some(Err(error)));
        assert_eq!(table.take(calls[1]), None);
        assert!(!table.is_quiet());
    }

    #[test]
    fn a_refusal_does_not_hide_that_the_call_may_have_run_elsewhere() {
        let mut table = table(1);
        let call = begin(&mut table, HERE, Time::ZERO);
        table.waiting(call).expect("it waits").ran_elsewhere = true;
        assert!(table.complete(call, HERE, answer(Status::Overloaded, b"")));
        assert_eq!(table.take(call), Some(Err(CallError::new(CallErrorKind::Overloaded, Ran::Maybe))));
    }
}
