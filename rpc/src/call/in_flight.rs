//! The table of calls in flight: who waits for which reply, and until when.
//!
//! A call's number on the wire is its slot and the slot's generation, so a reply finds its call without hashing, and one
//! that comes too late finds that the generation has moved on.

use std::task::Waker;
use std::thread::Thread;
use std::time::Duration;

use crate::time::Time;
use crate::transport::Peer;

use super::endpoint::Wake;
use super::error::{CallError, CallErrorKind, Ran};
use super::message::{CallId, Status};

/// What became of a call: the reply's status and body, or why there is none.
pub(crate) type Outcome = Result<(Status, Vec<u8>), CallError>;

/// Who waits.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// A thread that parks.
    Thread(Thread),
    /// A task of some executor.
    Task(Waker),
}

impl From<Waiter> for Wake {
    fn from(waiter: Waiter) -> Wake {
        match waiter {
            Waiter::Thread(thread) => Wake::Thread(thread),
            Waiter::Task(waker) => Wake::Task(waker),
        }
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting(Waiting),
    Done(Outcome),
}

#[derive(Debug)]
struct Waiting {
    peer: Peer,
    deadline: Time,
    timeout: Duration,
    waiter: Option<Waiter>,
    /// The buffer that the reply will be copied to; it has been the request's.
    buffer: Vec<u8>,
}

/// All calls of one client.
#[derive(Debug)]
pub(crate) struct InFlight {
    slots: Vec<Slot>,
    free: Vec<u32>,
    limit: usize,
    /// No deadline is earlier than this. Replies do not move it, so a look at all the slots is due about once per timeout,
    /// not once per call.
    next_due: Time,
    wakes: Vec<Wake>,
}

impl InFlight {
    /// A table of at most `limit` calls.
    pub(crate) fn new(limit: usize) -> Self {
        InFlight { slots: Vec::new(), free: Vec::new(), limit, next_due: Time::MAX, wakes: Vec::new() }
    }

    /// The number for a new call. Nothing is kept until [`Self::begin`].
    pub(crate) fn reserve(&mut self) -> Result<CallId, CallError> {
        if self.free.is_empty() {
            if self.slots.len() >= self.limit {
                return Err(CallError::new(CallErrorKind::TooManyCalls { limit: self.limit }, Ran::No));
            }
            self.free.push(self.slots.len() as u32);
            self.slots.push(Slot { generation: 0, state: State::Free });
        }
        let index = self.free.last().copied().unwrap_or_default();
        let generation = self.slots.get(index as usize).map_or(0, |slot| slot.generation);
        Ok(CallId(u64::from(generation) << 32 | u64::from(index)))
    }

    /// The call just reserved has been sent.
    pub(crate) fn begin(
        &mut self,
        call: CallId,
        peer: Peer,
        now: Time,
        timeout: Duration,
        waiter: Option<Waiter>,
        buffer: Vec<u8>,
    ) {
        let deadline = now + timeout;
        self.next_due = self.next_due.min(deadline);
        self.free.pop();
        if let Some(slot) = self.slot(call) {
            slot.state = State::Waiting(Waiting { peer, deadline, timeout, waiter, buffer });
        }
    }

    fn slot(&mut self, call: CallId) -> Option<&mut Slot> {
        let (index, generation) = (call.0 as u32 as usize, (call.0 >> 32) as u32);
        self.slots.get_mut(index).filter(|slot| slot.generation == generation)
    }

    /// A reply came. False if nobody waits for it (any more).
    pub(crate) fn complete(&mut self, call: CallId, from: Peer, status: Status, body: &[u8]) -> bool {
        let Some(slot) = self.slot(call) else { return false };
        let State::Waiting(waiting) = &mut slot.state else { return false };
        if waiting.peer != from {
            return false;
        }
        let mut buffer = std::mem::take(&mut waiting.buffer);
        let waiter = waiting.waiter.take();
        buffer.clear();
        buffer.extend_from_slice(body);
        slot.state = State::Done(Ok((status, buffer)));
        self.wakes.extend(waiter.map(Wake::from));
        true
    }

    /// The outcome if there is one: then the call is over and its number dead. Otherwise `waiter` will be woken; what stood
    /// there before is left in its place, to be dropped without the mutex (it may own a task that waits here too).
    pub(crate) fn take(&mut self, call: CallId, waiter: &mut Option<Waiter>) -> Option<Outcome> {
        let slot = self.slot(call)?;
        match &mut slot.state {
            State::Free => None,
            State::Waiting(waiting) => {
                std::mem::swap(&mut waiting.waiter, waiter);
                None
            }
            State::Done(_) => match self.release(call) {
                Some(State::Done(outcome)) => Some(outcome),
                _ => None,
            },
        }
    }

    /// Nobody wants the outcome any more; a reply that still comes is late. Returns what is to be dropped without the mutex.
    #[must_use = "drop it without the mutex"]
    pub(crate) fn cancel(&mut self, call: CallId) -> impl Sized + use<> {
        self.release(call)
    }

    fn release(&mut self, call: CallId) -> Option<State> {
        let slot = self.slot(call).filter(|slot| !matches!(slot.state, State::Free))?;
        slot.generation = slot.generation.wrapping_add(1);
        let state = std::mem::replace(&mut slot.state, State::Free);
        self.free.push(call.0 as u32);
        Some(state)
    }

    /// Fails every call for which `error` gives one.
    fn fail(&mut self, error: impl Fn(&Waiting) -> Option<CallError>) {
        for slot in &mut self.slots {
            let State::Waiting(waiting) = &mut slot.state else { continue };
            if let Some(error) = error(waiting) {
                self.wakes.extend(waiting.waiter.take().map(Wake::from));
                slot.state = State::Done(Err(error));
            }
        }
    }

    /// The session that these calls were sent on is over.
    pub(crate) fn fail_peer(&mut self, peer: Peer, error: &CallError) {
        self.fail(|waiting| (waiting.peer == peer).then(|| error.clone()));
    }

    /// Nothing will come any more.
    pub(crate) fn fail_all(&mut self, error: &CallError) {
        self.fail(|_| Some(error.clone()));
    }

    /// Fails the calls whose time is over. Their requests may be on their way, so they may run.
    pub(crate) fn expire(&mut self, now: Time) {
        if now < self.next_due {
            return;
        }
        self.fail(|waiting| {
            (waiting.deadline <= now).then(|| CallError::new(CallErrorKind::Timeout(waiting.timeout), Ran::Maybe))
        });
        let deadlines = self.slots.iter().filter_map(|slot| match &slot.state {
            State::Waiting(waiting) => Some(waiting.deadline),
            _ => None,
        });
        self.next_due = deadlines.min().unwrap_or(Time::MAX);
    }

    /// When [`Self::expire`] should look next.
    pub(crate) fn next_due(&self) -> Time {
        self.next_due
    }

    /// Calls begun and not taken or cancelled.
    pub(crate) fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// Moves the waiters of finished calls to the end of `wakes`.
    pub(crate) fn take_wakes(&mut self, wakes: &mut Vec<Wake>) {
        wakes.append(&mut self.wakes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::LostReason;

    const HERE: Peer = Peer { index: 1, generation: 1 };
    const SECOND: Duration = Duration::from_secs(1);

    fn begin(table: &mut InFlight, peer: Peer, now: Time) -> CallId {
        let call = table.reserve().expect("room");
        table.begin(call, peer, now, SECOND, waiter(), Vec::new());
        call
    }

    fn waiter() -> Option<Waiter> {
        Some(Waiter::Task(Waker::noop().clone()))
    }

    fn woken(table: &mut InFlight) -> usize {
        let mut wakes = Vec::new();
        table.take_wakes(&mut wakes);
        wakes.len()
    }

    #[test]
    fn a_reply_reaches_its_call_and_wakes_it_once() {
        let mut table = InFlight::new(4);
        let calls = [begin(&mut table, HERE, Time::ZERO), begin(&mut table, HERE, Time::ZERO)];
        assert!(table.complete(calls[1], HERE, Status::Done, b"one"));
        assert_eq!(woken(&mut table), 1);
        assert_eq!(table.take(calls[0], &mut waiter()), None);
        assert_eq!(table.take(calls[1], &mut waiter()), Some(Ok((Status::Done, b"one".to_vec()))));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_second_reply_and_a_reply_of_another_peer_are_nobodys() {
        let mut table = InFlight::new(4);
        let call = begin(&mut table, HERE, Time::ZERO);
        assert!(!table.complete(call, Peer { index: 1, generation: 2 }, Status::Done, b""));
        assert!(table.complete(call, HERE, Status::Done, b"first"));
        assert!(!table.complete(call, HERE, Status::Done, b"second"));
        assert_eq!(table.take(call, &mut waiter()), Some(Ok((Status::Done, b"first".to_vec()))));
        assert!(!table.complete(call, HERE, Status::Done, b"third"));
        assert!(!table.complete(CallId(u64::MAX), HERE, Status::Done, b""));
    }

    #[test]
    fn a_late_reply_never_reaches_the_next_call_in_the_slot() {
        let mut table = InFlight::new(1);
        let first = begin(&mut table, HERE, Time::ZERO);
        drop(table.cancel(first));
        let second = begin(&mut table, HERE, Time::ZERO);
        assert_ne!(first, second);
        assert!(!table.complete(first, HERE, Status::Done, b"late"));
        assert_eq!(table.take(second, &mut waiter()), None);
        drop(table.cancel(first));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn the_limit_holds_and_a_finished_call_makes_room() {
        let mut table = InFlight::new(1);
        let call = begin(&mut table, HERE, Time::ZERO);
        let error = table.reserve().expect_err("full");
        assert_eq!(error, CallError::new(CallErrorKind::TooManyCalls { limit: 1 }, Ran::No));
        drop(table.cancel(call));
        assert!(table.reserve().is_ok());
    }

    #[test]
    fn only_calls_whose_time_is_over_expire() {
        let mut table = InFlight::new(4);
        let early = begin(&mut table, HERE, Time::ZERO);
        let late = begin(&mut table, HERE, Time::ZERO + SECOND / 2);
        assert_eq!(table.next_due(), Time::ZERO + SECOND);
        table.expire(Time::ZERO + SECOND);
        assert_eq!(woken(&mut table), 1);
        let timeout = CallError::new(CallErrorKind::Timeout(SECOND), Ran::Maybe);
        assert_eq!(table.take(early, &mut waiter()), Some(Err(timeout)));
        assert_eq!(table.take(late, &mut waiter()), None);
        assert_eq!(table.next_due(), Time::ZERO + SECOND * 3 / 2);
    }

    #[test]
    fn a_lost_session_fails_its_own_calls_only() {
        let mut table = InFlight::new(4);
        let there = Peer { index: 2, generation: 1 };
        let calls = [begin(&mut table, HERE, Time::ZERO), begin(&mut table, there, Time::ZERO)];
        let error = CallError::new(CallErrorKind::PeerLost { reason: LostReason::Silent }, Ran::Maybe);
        table.fail_peer(HERE, &error);
        assert_eq!(table.take(calls[0], &mut waiter()), Some(Err(error)));
        assert_eq!(table.take(calls[1], &mut waiter()), None);
    }
}
