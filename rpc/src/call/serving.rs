//! The server's state under the mutex: who is connected, what waits, what runs, what was answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar};
use std::time::Duration;

use crate::codec::Encoded;
use crate::driver::{Driver, Incoming};
use crate::time::{self, Time};
use crate::transport::{BootEpoch, Channel, Peer};

use super::body::Arrived;
use super::context::Context;
use super::endpoint::Role;
use super::handler::{Served, Services};
use super::message::{self, Call, CallId, How, Message, Status};
use super::outbox::{Outbox, Reply};
use super::queue::{Job, Queue, QueueLimits};
use super::server::ServerCounters;
use super::slots::{Arrival, ReplyLimits, Slots};
use super::wake::Wake;

/// How long a stopping server waits for its callers to acknowledge the last replies.
const LINGER: Duration = Duration::from_secs(1);

/// How many buffers for the replies of errands are kept.
const ERRAND_BUFFERS_MAX: usize = 64;

/// What bounds a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) queue: QueueLimits,
    pub(crate) workers: usize,
    pub(crate) replies: ReplyLimits,
    pub(crate) outbox_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Serving,
    /// New requests are refused; the workers end, each after its call.
    Stopping,
    /// The workers have ended; the last replies are on their way.
    Lingering(Time),
    Finished,
}

/// A request that the endpoint's thread runs itself, without the mutex.
pub(crate) struct Errand {
    served: Served,
    context: Context,
}

/// A call that a worker runs.
#[derive(Debug)]
struct Running {
    client: BootEpoch,
    call: CallId,
    given_up: Arc<AtomicBool>,
}

/// Takes requests in, hands them to whoever runs them, and sends the replies.
pub(crate) struct Serving {
    services: Arc<Services>,
    sessions: BTreeMap<Peer, BootEpoch>,
    slots: Slots,
    queue: Queue,
    running: Vec<Running>,
    /// Requests that the endpoint's thread runs itself.
    errands: Vec<Errand>,
    /// Buffers for the replies to those.
    buffers: Vec<Encoded>,
    outbox: Outbox,
    phase: Phase,
    wakes: Vec<Wake>,
    /// Rings when there is a job, or none will come any more.
    job_came: Arc<Condvar>,
    /// Workers that wait for that.
    resting: usize,
    /// Rings that no worker has answered yet.
    rung: usize,
    pub(crate) counters: ServerCounters,
}

impl Serving {
    pub(crate) fn new(services: Arc<Services>, limits: Limits) -> Self {
        Serving {
            services,
            sessions: BTreeMap::new(),
            slots: Slots::new(limits.replies),
            queue: Queue::new(limits.queue, limits.workers),
            running: Vec::new(),
            errands: Vec::new(),
            buffers: Vec::new(),
            outbox: Outbox::new(limits.outbox_bytes),
            phase: Phase::Serving,
            wakes: Vec::new(),
            job_came: Arc::new(Condvar::new()),
            resting: 0,
            rung: 0,
            counters: ServerCounters::default(),
        }
    }

    /// The next request for a worker that can be told by `given_up` that nobody waits for it any more. What is late is refused.
    pub(crate) fn begin(&mut self, driver: &mut Driver, given_up: &Arc<AtomicBool>) -> Option<Job> {
        loop {
            let job = self.queue.pop()?;
            if job.is_late(time::now()) {
                self.expire(driver, job);
                continue;
            }
            let given_up = Arc::clone(given_up);
            self.running.push(Running { client: job.client, call: job.call.id, given_up });
            return Some(job);
        }
    }

    /// A request that began will not run: its caller waits no more.
    fn expire(&mut self, driver: &mut Driver, job: Job) {
        self.unbegin(&job);
        self.counters.expired += 1;
        self.refuse(driver, job.peer, &job.call, Status::Expired);
        self.queue.recycle(job.arguments);
    }

    /// A worker has run a request, or tried to, since `began`. Returns the buffer for its next reply.
    pub(crate) fn end(
        &mut self,
        driver: &mut Driver,
        served: Served,
        began: Time,
        given_up: &Arc<AtomicBool>,
    ) -> Encoded {
        self.running.retain(|running| !Arc::ptr_eq(&running.given_up, given_up));
        if served.status != Status::Expired {
            self.queue.learn(served.job.service, served.job.call.method, time::now() - began);
        }
        self.answer(driver, served, given_up.load(Ordering::Relaxed))
    }

    /// Sends the reply, unless the caller has given up. Returns the reply's buffer.
    fn answer(&mut self, driver: &mut Driver, mut served: Served, given_up: bool) -> Encoded {
        if served.status == Status::Expired {
            self.expire(driver, served.job);
            return served.body;
        }
        match served.status {
            Status::Done => self.counters.done += 1,
            Status::Panicked => self.counters.panics += 1,
            Status::BadResult => {}
            _ => self.counters.refused += 1,
        }
        let Job { peer, client, call, ref mut arguments, .. } = served.job;
        self.queue.recycle(std::mem::take(arguments));
        let remembered = call.how == How::AtMostOnce;
        if given_up {
            self.counters.cancelled += 1;
            if remembered {
                self.slots.abandon(client, call.id);
            }
        } else if call.how != How::Oneway {
            let session = if remembered { self.slots.session(client) } else { None };
            let mut reply = Reply { call: call.id, status: served.status, body: std::mem::take(&mut served.body) };
            let sent = self.outbox.send(driver, session.unwrap_or(peer), &mut reply);
            self.counters.replies_dropped += u64::from(!sent);
            if remembered {
                self.slots.finish(client, &mut reply);
            }
            served.body = reply.body;
        }
        served.into_buffer()
    }

    /// Whether the workers should go on waiting for jobs.
    pub(crate) fn is_serving(&self) -> bool {
        self.phase == Phase::Serving
    }

    /// A worker has nothing to do: it is to wait for this.
    pub(crate) fn rest(&mut self) -> Arc<Condvar> {
        self.resting += 1;
        Arc::clone(&self.job_came)
    }

    /// A worker has waited.
    pub(crate) fn rested(&mut self) {
        self.resting = self.resting.saturating_sub(1);
        self.rung = self.rung.saturating_sub(1);
    }

    /// What was done, and is to be done.
    pub(crate) fn counters(&self) -> ServerCounters {
        ServerCounters { waiting: self.queue.len(), reply_bytes: self.slots.bytes(), ..self.counters }
    }

    /// No more requests from now on; those that no worker has begun are refused.
    pub(crate) fn stop(&mut self, driver: &mut Driver) {
        if self.phase != Phase::Serving {
            return;
        }
        self.phase = Phase::Stopping;
        for job in self.queue.take(|_| true) {
            self.unbegin(&job);
            self.refuse(driver, job.peer, &job.call, Status::Stopping);
        }
        self.job_came.notify_all();
    }

    /// The workers have ended: the endpoint's thread ends too, as soon as the last replies are acknowledged.
    pub(crate) fn linger(&mut self, driver: &Driver) {
        if self.phase != Phase::Finished {
            let now = time::now();
            self.phase = Phase::Lingering(now + LINGER);
            self.finish(driver, now);
        }
    }

    /// Ends the lingering, if that is over.
    fn finish(&mut self, driver: &Driver, now: Time) {
        if let Phase::Lingering(until) = self.phase {
            let acknowledged = self.sessions.keys().all(|peer| driver.unacknowledged(*peer) == 0);
            if acknowledged || now >= until {
                self.phase = Phase::Finished;
            }
        }
    }

    fn request(&mut self, driver: &mut Driver, peer: Peer, mut call: Call, arguments: Arrived<'_>, waited: Duration) {
        let Some(&client) = self.sessions.get(&peer) else { return };
        call.time_left = call.time_left.map(|left| left.saturating_sub(waited));
        if call.how == How::AtMostOnce && !self.is_new(driver, peer, client, &call) {
            return;
        }
        match self.admit(driver, peer, client, call, arguments) {
            Ok(()) => {}
            Err(status) => self.refuse(driver, peer, &call, status),
        }
    }

    /// Whether a call that is to run at most once has not begun; what has is answered.
    fn is_new(&mut self, driver: &mut Driver, peer: Peer, client: BootEpoch, call: &Call) -> bool {
        if self.slots.awaits_confirmation(client) && driver.unacknowledged(peer) == 0 {
            self.slots.confirm(client);
        }
        match self.slots.arrive(client, peer, call) {
            Arrival::New => return true,
            Arrival::Working => {
                self.counters.duplicates += 1;
                // If it finds no room nothing is lost: the reply follows in any case.
                let _ = driver.send(peer, Channel::CALL, &[&message::working(call.id)]);
            }
            Arrival::Over => {
                self.counters.duplicates += 1;
                let mut reply = self.slots.reply(client, call.id);
                let sent = self.outbox.send(driver, peer, &mut reply);
                self.counters.replies_dropped += u64::from(!sent);
            }
            Arrival::Stale => self.counters.duplicates += 1,
            Arrival::Forgotten => self.refuse(driver, peer, call, Status::Forgotten),
            Arrival::Full => {
                self.counters.overloaded += 1;
                self.refuse(driver, peer, call, Status::Overloaded);
            }
        }
        false
    }

    /// Takes a new request in, or says why not.
    fn admit(
        &mut self,
        driver: &Driver,
        peer: Peer,
        client: BootEpoch,
        call: Call,
        arguments: Arrived<'_>,
    ) -> Result<(), Status> {
        if self.phase != Phase::Serving {
            return Err(Status::Stopping);
        }
        let position = self.services.list.iter().position(|service| service.id() == call.service);
        let service = position.ok_or(Status::UnknownService)?;
        let inline = self.is_inline(service, &call);
        if call.time_left == Some(Duration::ZERO) {
            self.counters.expired += 1;
            return Err(Status::Expired);
        }
        if self.outbox.is_crowded() || !inline && !self.queue.has_room(arguments.len(), call.time_left) {
            self.counters.overloaded += 1;
            return Err(Status::Overloaded);
        }
        if call.how == How::AtMostOnce {
            self.slots.begin(client, call.id);
        }
        let deadline = call.time_left.map(|left| driver.received_at() + left);
        let expected = if inline { Duration::ZERO } else { self.queue.estimate(service, call.method) };
        let arguments = self.queue.keep(arguments);
        let job = Job { peer, client, call, deadline, service, arguments, expected };
        if inline {
            let context = Context::new(job.deadline, None);
            let body = self.buffers.pop().unwrap_or_default();
            self.errands.push(Errand { served: Served::new(job, body), context });
            return Ok(());
        }
        self.queue.push(job);
        if self.resting > self.rung {
            self.rung += 1;
            self.wakes.push(Wake::One(Arc::clone(&self.job_came)));
        }
        Ok(())
    }

    fn is_inline(&self, service: usize, call: &Call) -> bool {
        let Some(interface) = self.services.list.get(service).map(|service| service.interface()) else { return false };
        let place = interface.find(call.method).ok();
        place.and_then(|place| interface.methods.get(place)).is_some_and(|method| method.inline)
    }

    /// A call that began will not run after all.
    fn unbegin(&mut self, job: &Job) {
        if job.call.how == How::AtMostOnce {
            self.slots.unbegin(job.client, job.call.id);
        }
    }

    fn refuse(&mut self, driver: &mut Driver, peer: Peer, call: &Call, status: Status) {
        self.counters.refused += 1;
        let mut reply = Reply { call: call.id, status, body: Encoded::default() };
        if call.how != How::Oneway && !self.outbox.send(driver, peer, &mut reply) {
            self.counters.replies_dropped += 1;
        }
    }

    /// Nobody waits for this call any more.
    fn cancel(&mut self, peer: Peer, call: CallId) {
        let Some(&client) = self.sessions.get(&peer) else { return };
        let waiting = self.queue.take(|job| job.client == client && job.call.id == call);
        if let Some(job) = waiting.into_iter().next() {
            self.counters.cancelled += 1;
            self.slots.abandon(client, call);
            self.queue.recycle(job.arguments);
        } else if let Some(running) = self.running.iter().find(|run| run.client == client && run.call == call) {
            running.given_up.store(true, Ordering::Relaxed);
        } else {
            // It may be that the request has yet to come.
            self.slots.give_up(client, call);
        }
    }

    fn lost(&mut self, now: Time, peer: Peer) {
        let Some(client) = self.sessions.remove(&peer) else { return };
        self.slots.lost(now, client, peer);
        // Nobody can be told the results any more. If the client comes back, it sends again what it still wants.
        let gone = self.slots.session(client).is_none();
        for job in self.queue.take(|job| job.peer == peer && (gone || job.call.how != How::AtMostOnce)) {
            self.unbegin(&job);
            self.counters.refused += 1;
        }
    }
}

impl Role for Serving {
    type Errand = Errand;
    type Means = Arc<Services>;

    fn means(&self) -> Arc<Services> {
        Arc::clone(&self.services)
    }

    fn incoming(&mut self, driver: &mut Driver, incoming: Incoming<'_>) {
        match incoming {
            Incoming::Up { peer, boot, .. } => {
                self.sessions.insert(peer, boot);
            }
            Incoming::Lost { peer, .. } => self.lost(driver.received_at(), peer),
            Incoming::Message { peer, channel: Channel::CALL, body, waited } => match Message::parse(&body) {
                Some(Message::Request { call, arguments }) => {
                    let length = arguments.len();
                    self.request(driver, peer, call, Arrived::at_end(body, length), waited);
                }
                Some(Message::Cancel(call)) => self.cancel(peer, call),
                _ => self.counters.garbage += 1,
            },
            Incoming::Message { .. } => self.counters.garbage += 1,
        }
    }

    fn take_errands(&mut self, errands: &mut Vec<Errand>) {
        errands.append(&mut self.errands);
    }

    fn run(services: &Arc<Services>, Errand { served, context }: &mut Errand, now: Time) {
        served.run(services, context, now);
    }

    fn done(&mut self, driver: &mut Driver, Errand { served, .. }: Errand) {
        let buffer = self.answer(driver, served, false);
        if self.buffers.len() < ERRAND_BUFFERS_MAX {
            self.buffers.push(buffer);
        }
    }

    fn due(&mut self, driver: &mut Driver) {
        if !self.outbox.is_empty() {
            self.counters.replies_dropped += self.outbox.flush(driver);
        }
        let now = driver.received_at();
        self.slots.expire(now);
        self.finish(driver, now);
    }

    fn next_due(&self) -> Time {
        let phase = match self.phase {
            Phase::Lingering(until) => until,
            Phase::Serving | Phase::Stopping | Phase::Finished => Time::MAX,
        };
        phase.min(self.slots.next_due())
    }

    fn awaits(&self) -> bool {
        false
    }

    fn finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    fn close(&mut self, driver: &mut Driver) {
        for peer in std::mem::take(&mut self.sessions).into_keys() {
            driver.close(peer);
        }
    }

    fn ended(&mut self, failure: Option<String>) {
        self.phase = Phase::Finished;
        self.counters.failed = failure.is_some();
        drop(self.queue.take(|_| true));
        self.wakes.push(Wake::All(Arc::clone(&self.job_came)));
    }

    fn take_wakes(&mut self, wakes: &mut Vec<Wake>) {
        wakes.append(&mut self.wakes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ByteOrder;
    use crate::driver::DriverConfig;

    #[test]
    fn a_server_from_which_nobody_awaits_anything_ends_at_once() {
        let driver = Driver::bind("127.0.0.1:0".parse().unwrap(), DriverConfig::plain()).unwrap();
        let services = Services { list: Vec::new(), order: ByteOrder::Network };
        let limits = Limits {
            queue: QueueLimits { requests: 1, bytes: 1 },
            workers: 1,
            outbox_bytes: 1 << 10,
            replies: ReplyLimits::default(),
        };
        let mut serving = Serving::new(Arc::new(services), limits);
        serving.linger(&driver);
        assert!(serving.finished());
    }
}
