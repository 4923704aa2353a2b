//! The client's state under the mutex: the session with the server, and what becomes of calls when it ends.
//!
//! A session that ends takes no call with it. If the same incarnation of the server is met again in time, calls that run at most
//! once are sent again, and the server answers from their slots; if another one is met, they fail, and may have run. Idempotent
//! calls are sent again to whoever is met.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::driver::{Driver, Incoming};
use crate::time::Time;
use crate::transport::{BootEpoch, Channel, Countdown, LostReason, Outgoing, Peer, SendError};

use super::body::Arrived;
use super::client::{ClientConfig, ClientCounters, Request};
use super::endpoint::Role;
use super::error::{CallError, CallErrorKind, Ran};
use super::in_flight::{Answer, InFlight, Origin, Outcome, Target, Waiting};
use super::message::{self, Call, CallId, How, Message};
use super::wake::Wake;

/// The session that new calls go to.
#[derive(Clone, Copy)]
struct Session {
    peer: Peer,
    /// The server's end; none while it is opening.
    up: Option<Origin>,
}

/// A session that ended with calls without an answer.
#[derive(Clone, Copy)]
struct Lost {
    reason: LostReason,
    /// Until when the server may be met again.
    until: Time,
}

/// Calls one server.
pub(crate) struct Caller {
    server: SocketAddr,
    reconnect: Duration,
    session: Option<Session>,
    /// The latest session that was up.
    latest: Option<Origin>,
    lost: Option<Lost>,
    table: InFlight,
    /// Calls that wait to be sent, in order; some may be over.
    unsent: VecDeque<CallId>,
    counters: ClientCounters,
    stop: bool,
    failure: Option<String>,
}

impl Caller {
    pub(crate) fn new(server: SocketAddr, config: &ClientConfig) -> Self {
        Caller {
            server,
            reconnect: config.reconnect,
            session: None,
            latest: None,
            lost: None,
            table: InFlight::new(config.in_flight_max, config.in_flight_bytes_max),
            unsent: VecDeque::new(),
            counters: ClientCounters::default(),
            stop: false,
            failure: None,
        }
    }

    /// Begins a call; what can be sent now is.
    pub(crate) fn begin(
        &mut self,
        driver: &mut Driver,
        now: Time,
        Request { target, began, timeout, arguments }: Request,
    ) -> Result<CallId, CallError> {
        if let Some(failure) = &self.failure {
            return Err(CallError::new(CallErrorKind::Closed(failure.clone()), Ran::No));
        }
        let call = self.table.begin(target, began, timeout, arguments)?;
        self.counters.calls += 1;
        if self.unsent.len() > 2 * self.table.len() {
            let table = &mut self.table;
            self.unsent.retain(|call| table.waiting(*call).is_some());
        }
        self.unsent.push_back(call);
        self.pump(driver, now);
        Ok(call)
    }

    pub(crate) fn take(&mut self, call: CallId) -> Option<Outcome> {
        self.table.take(call)
    }

    #[must_use = "drop it without the mutex"]
    pub(crate) fn register(&mut self, call: CallId, waiter: Option<Wake>) -> Option<Wake> {
        self.table.register(call, waiter)
    }

    /// Nobody wants the outcome any more. Returns what is to be dropped without the mutex.
    #[must_use = "drop it without the mutex"]
    pub(crate) fn cancel(&mut self, driver: &mut Driver, call: CallId) -> impl Sized + use<> {
        let (sent, released) = self.table.cancel(call);
        if let Some(peer) = sent {
            self.counters.cancelled += 1;
            // A server that does not learn it works in vain, and no more.
            let _ = driver.send(peer, Channel::CALL, &[&message::cancel(call)]);
        }
        released
    }

    pub(crate) fn counters(&self) -> ClientCounters {
        ClientCounters { in_flight: self.table.len(), oneway_lost: self.table.oneway_lost(), ..self.counters }
    }

    /// The endpoint's thread is to end.
    pub(crate) fn stop(&mut self) {
        self.stop = true;
    }

    /// Sends what waits, as far as there is a session and its window lets it go at once. What it does not waits here: in the
    /// transport its deadline would not count, and nobody could take it back.
    fn pump(&mut self, driver: &mut Driver, now: Time) {
        while let Some(&call) = self.unsent.front() {
            // What is late is about to be told so.
            if self.table.waiting(call).is_none_or(|waiting| waiting.sent.is_some() || waiting.deadline <= now) {
                self.unsent.pop_front();
                continue;
            }
            match self.session {
                None => {
                    if let Err(error) = self.connect(driver) {
                        self.unsent.pop_front();
                        self.fail(call, error.into());
                    }
                }
                Some(Session { up: None, .. }) => return,
                // Acknowledgements make room; so does the end of the session.
                Some(Session { peer, .. }) if !driver.has_room(peer) => return,
                Some(Session { peer, up: Some(origin) }) => match self.send(driver, now, peer, origin, call) {
                    Ok(()) => {
                        self.unsent.pop_front();
                    }
                    // Acknowledgements make room.
                    Err(SendError::Backlog { queued }) if queued > 0 => return,
                    // The driver is about to report it.
                    Err(SendError::Gone) => return,
                    Err(error) => {
                        self.unsent.pop_front();
                        self.fail(call, error.into());
                    }
                },
            }
        }
    }

    fn connect(&mut self, driver: &mut Driver) -> Result<(), SendError> {
        let peer = driver.connect(self.server)?;
        self.session = Some(Session { peer, up: None });
        Ok(())
    }

    fn send(
        &mut self,
        driver: &mut Driver,
        now: Time,
        peer: Peer,
        origin: Origin,
        id: CallId,
    ) -> Result<(), SendError> {
        let Some(waiting) = self.table.waiting(id) else { return Ok(()) };
        let first = waiting.origin.map_or(origin.session, |first| first.session);
        let Target { service, method, how } = waiting.target;
        let call = Call {
            id,
            how,
            session: origin.session,
            // Older than the wire can say is as good as forgotten.
            age: u8::try_from(origin.session - first).unwrap_or(u8::MAX),
            time_left: Some(waiting.deadline - now),
            service,
            method,
        };
        let countdown = Some(Countdown { place: message::TIME_LEFT, until: waiting.deadline });
        let [before, long, behind] = waiting.buffer.parts();
        let parts: [&[u8]; 4] = [&message::request_header(&call), before, long, behind];
        let owner = waiting.buffer.lent();
        driver.send_message(peer, Channel::CALL, Outgoing { parts: &parts, countdown, owner })?;
        self.counters.repeated += u64::from(waiting.ran() != Ran::No);
        waiting.sent = Some(peer);
        waiting.origin = waiting.origin.or(Some(origin));
        if how == How::Oneway {
            // That was all.
            drop(self.table.cancel(id));
        }
        Ok(())
    }

    /// A request that cannot be sent did not run now, but may have before.
    fn fail(&mut self, call: CallId, error: CallError) {
        let Some(ran) = self.table.waiting(call).map(|waiting| waiting.ran()) else { return };
        self.table.fail(call, CallError { ran, ..error });
    }

    /// A session is open, perhaps one that this side did not ask for: a server that restarted may open the next one itself.
    fn up(&mut self, driver: &mut Driver, peer: Peer, server: BootEpoch) {
        let session = match self.latest {
            Some(latest) if latest.server == server => latest.session.saturating_add(1),
            _ => 1,
        };
        let origin = Origin { server, session };
        self.latest = Some(origin);
        self.session = Some(Session { peer, up: Some(origin) });
        self.lost = None;
        self.leave_others(server);
        self.pump(driver, driver.received_at());
    }

    /// Calls that have been with another incarnation of the server do not run here, unless that does no harm.
    fn leave_others(&mut self, server: BootEpoch) {
        for (_, waiting) in self.table.all_waiting() {
            if waiting.target.how == How::Idempotent && waiting.origin.is_some_and(|origin| origin.server != server) {
                waiting.origin = None;
                waiting.ran_elsewhere = true;
            }
        }
        let reason = LostReason::Restarted;
        self.table.fail_each(|waiting| {
            let elsewhere = waiting.origin.is_some_and(|origin| origin.server != server);
            elsewhere.then(|| CallError::new(CallErrorKind::PeerLost { reason }, Ran::Maybe))
        });
    }

    fn lost(&mut self, driver: &mut Driver, peer: Peer, reason: LostReason) {
        let lost = |waiting: &Waiting| CallError::new(CallErrorKind::PeerLost { reason }, waiting.ran());
        let current = self.session.filter(|session| session.peer == peer);
        if current.is_some() {
            self.session = None;
        }
        if current.is_some_and(|session| session.up.is_none()) {
            // Nobody was met. For calls that may have run, that is no news.
            let patient = self.lost.is_some_and(|lost| lost.until > driver.received_at());
            self.table.fail_each(|waiting| {
                let ends = waiting.sent.is_none() && !(patient && waiting.ran() != Ran::No);
                ends.then(|| lost(waiting))
            });
        }
        // This incarnation will not be met again.
        let dead = matches!(reason, LostReason::Refused | LostReason::Restarted);
        self.table.fail_each(|waiting| {
            let ends = waiting.sent == Some(peer) && dead && waiting.target.how != How::Idempotent;
            ends.then(|| lost(waiting))
        });
        for (call, waiting) in self.table.all_waiting().filter(|(_, waiting)| waiting.sent == Some(peer)) {
            waiting.sent = None;
            // Without a slot at the server, a call that may have run may run again.
            waiting.ran_elsewhere |= waiting.target.how == How::Idempotent;
            self.unsent.push_back(call);
        }
        if !self.unsent.is_empty() {
            let now = driver.received_at();
            self.lost.get_or_insert(Lost { reason, until: now + self.reconnect });
            self.pump(driver, now);
        }
    }

    /// The server was not met again in time.
    fn give_up(&mut self, Lost { reason, .. }: Lost) {
        self.lost = None;
        self.table.fail_each(|waiting| {
            let ends = waiting.sent.is_none() && waiting.ran() != Ran::No;
            ends.then(|| CallError::new(CallErrorKind::PeerLost { reason }, waiting.ran()))
        });
    }
}

impl Role for Caller {
    type Errand = std::convert::Infallible;
    type Means = ();

    fn means(&self) {}

    fn incoming(&mut self, driver: &mut Driver, incoming: Incoming<'_>) {
        match incoming {
            Incoming::Up { peer, addr, boot } if addr == self.server => self.up(driver, peer, boot),
            // Somebody else, who found this port: it gets no calls, and no answers.
            Incoming::Up { .. } => {}
            Incoming::Message { peer, channel: Channel::CALL, body: message, .. } => match Message::parse(&message) {
                Some(Message::Reply { call, status, body }) => {
                    let length = body.len();
                    let body = Arrived::at_end(message, length);
                    if !self.table.complete(call, peer, Answer { status, body }) {
                        self.counters.late_replies += 1;
                    }
                }
                Some(Message::Working(_)) => self.counters.working += 1,
                _ => self.counters.garbage += 1,
            },
            Incoming::Message { .. } => self.counters.garbage += 1,
            Incoming::Lost { peer, reason, .. } => self.lost(driver, peer, reason),
        }
    }

    fn take_errands(&mut self, _errands: &mut Vec<Self::Errand>) {}

    fn run(_means: &(), errand: &mut Self::Errand, _now: Time) {
        match *errand {}
    }

    fn done(&mut self, _driver: &mut Driver, errand: Self::Errand) {
        match errand {}
    }

    fn due(&mut self, driver: &mut Driver) {
        let now = driver.received_at();
        self.table.expire(now);
        if let Some(lost) = self.lost.filter(|lost| lost.until <= now) {
            self.give_up(lost);
        }
        if !self.unsent.is_empty() {
            self.pump(driver, now);
        }
    }

    fn next_due(&self) -> Time {
        self.table.next_due().min(self.lost.map_or(Time::MAX, |lost| lost.until))
    }

    fn awaits(&self) -> bool {
        !self.table.is_quiet()
    }

    fn finished(&self) -> bool {
        self.stop
    }

    fn close(&mut self, driver: &mut Driver) {
        if let Some(session) = self.session.take() {
            driver.close(session.peer);
        }
    }

    fn ended(&mut self, failure: Option<String>) {
        let failure = failure.unwrap_or_else(|| "it was closed".to_owned());
        self.table.fail_each(|waiting| Some(CallError::new(CallErrorKind::Closed(failure.clone()), waiting.ran())));
        self.failure = Some(failure);
    }

    fn take_wakes(&mut self, wakes: &mut Vec<Wake>) {
        self.table.take_wakes(wakes);
    }
}
