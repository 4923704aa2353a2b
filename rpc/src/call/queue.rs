//! The server's state under the mutex: requests that wait for a worker, and who is connected.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar};
use std::time::Duration;

use crate::driver::{Driver, Incoming};
use crate::time::Time;
use crate::transport::{Channel, Peer};

use super::endpoint::{Role, Wake};
use super::message::{self, CallId, Message, MethodId, ServiceId, Status};
use super::server::ServerCounters;

/// How long a stopping server waits for its callers to acknowledge the last replies.
const LINGER: Duration = Duration::from_secs(1);
/// How many argument buffers are kept for the next requests, and how large at most.
const SPARE_BUFFERS_MAX: usize = 64;
const SPARE_BYTES_MAX: usize = 64 << 10;

/// How much may wait for a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
}

/// A request that waits for a worker, or is with one.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) peer: Peer,
    pub(crate) call: CallId,
    /// Index in the server's list.
    pub(crate) service: usize,
    pub(crate) method: MethodId,
    pub(crate) arguments: Vec<u8>,
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

/// Takes requests in and hands them to the workers.
pub(crate) struct Queue {
    services: Vec<ServiceId>,
    limits: QueueLimits,
    jobs: VecDeque<Job>,
    queued_bytes: usize,
    spare: Vec<Vec<u8>>,
    peers: BTreeSet<Peer>,
    phase: Phase,
    wakes: Vec<Wake>,
    /// Workers that wait for room in a peer's send queue.
    pub(crate) waiting_for_room: usize,
    /// Rings when there is a job, or none will come any more.
    pub(crate) job_came: Arc<Condvar>,
    /// Rings when a send queue may have become shorter.
    pub(crate) room_came: Arc<Condvar>,
    pub(crate) counters: ServerCounters,
}

impl Queue {
    pub(crate) fn new(services: Vec<ServiceId>, limits: QueueLimits) -> Self {
        Queue {
            services,
            limits,
            jobs: VecDeque::new(),
            queued_bytes: 0,
            spare: Vec::new(),
            peers: BTreeSet::new(),
            phase: Phase::Serving,
            wakes: Vec::new(),
            waiting_for_room: 0,
            job_came: Arc::new(Condvar::new()),
            room_came: Arc::new(Condvar::new()),
            counters: ServerCounters::default(),
        }
    }

    /// The next request for a worker.
    pub(crate) fn next(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        self.queued_bytes = self.queued_bytes.saturating_sub(job.arguments.len());
        Some(job)
    }

    /// Whether the workers should go on waiting for jobs.
    pub(crate) fn is_serving(&self) -> bool {
        self.phase == Phase::Serving
    }

    /// Requests that wait for a worker.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// A job is done: its buffer can serve another one.
    pub(crate) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// No more requests from now on; those that no worker has begun are refused.
    pub(crate) fn stop(&mut self, driver: &mut Driver) {
        if self.phase != Phase::Serving {
            return;
        }
        self.phase = Phase::Stopping;
        while let Some(job) = self.next() {
            self.refuse(driver, job.peer, job.call, Status::Stopping);
        }
        self.job_came.notify_all();
    }

    /// The workers have ended: the endpoint's thread ends too, as soon as the last replies are acknowledged.
    pub(crate) fn linger(&mut self, driver: &Driver) {
        if self.phase != Phase::Finished {
            self.phase = Phase::Lingering(driver.now() + LINGER);
        }
    }

    fn request(&mut self, driver: &mut Driver, peer: Peer, call: CallId, to: (ServiceId, MethodId), arguments: &[u8]) {
        if self.phase != Phase::Serving {
            return self.refuse(driver, peer, call, Status::Stopping);
        }
        let Some(service) = self.services.iter().position(|service| *service == to.0) else {
            return self.refuse(driver, peer, call, Status::UnknownService);
        };
        // One request is taken however large it is, or it would never be.
        let too_many_bytes = !self.jobs.is_empty() && self.queued_bytes + arguments.len() > self.limits.bytes;
        if self.jobs.len() >= self.limits.requests || too_many_bytes {
            self.counters.overloaded += 1;
            return self.refuse(driver, peer, call, Status::Overloaded);
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(arguments);
        self.queued_bytes += buffer.len();
        self.jobs.push_back(Job { peer, call, service, method: to.1, arguments: buffer });
        self.wakes.push(Wake::One(Arc::clone(&self.job_came)));
    }

    /// A refusal that finds no room in the send queue is given up: this thread must not wait.
    fn refuse(&mut self, driver: &mut Driver, peer: Peer, call: CallId, status: Status) {
        self.counters.refused += 1;
        if driver.send(peer, Channel::CALL, &[&message::reply_header(call, status)]).is_err() {
            self.counters.replies_dropped += 1;
        }
    }

    fn lost(&mut self, peer: Peer) {
        self.peers.remove(&peer);
        // Nobody can be told the results any more.
        let before = self.jobs.len();
        self.jobs.retain(|job| job.peer != peer);
        self.counters.refused += before.saturating_sub(self.jobs.len()) as u64;
        self.queued_bytes = self.jobs.iter().map(|job| job.arguments.len()).sum();
    }
}

impl Role for Queue {
    fn incoming(&mut self, driver: &mut Driver, incoming: Incoming<'_>) {
        match incoming {
            Incoming::Up { peer, .. } => {
                self.peers.insert(peer);
            }
            Incoming::Lost { peer, .. } => self.lost(peer),
            Incoming::Message { peer, channel: Channel::CALL, body } => match Message::parse(body) {
                Some(Message::Request { call, service, method, arguments }) => {
                    self.request(driver, peer, call, (service, method), arguments);
                }
                _ => self.counters.garbage += 1,
            },
            Incoming::Message { .. } => self.counters.garbage += 1,
        }
    }

    fn due(&mut self, driver: &Driver) {
        if self.waiting_for_room > 0 {
            self.wakes.push(Wake::All(Arc::clone(&self.room_came)));
        }
        if let Phase::Lingering(until) = self.phase {
            let acknowledged = self.peers.iter().all(|peer| driver.unacknowledged(*peer) == 0);
            if acknowledged || driver.now() >= until {
                self.phase = Phase::Finished;
            }
        }
    }

    fn next_due(&self) -> Time {
        match self.phase {
            Phase::Lingering(until) => until,
            Phase::Serving | Phase::Stopping | Phase::Finished => Time::MAX,
        }
    }

    fn finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    fn close(&mut self, driver: &mut Driver) {
        for peer in std::mem::take(&mut self.peers) {
            driver.close(peer);
        }
    }

    fn ended(&mut self, failure: Option<String>) {
        self.phase = Phase::Finished;
        self.counters.failed = failure.is_some();
        self.jobs.clear();
        self.wakes.push(Wake::All(Arc::clone(&self.job_came)));
        self.wakes.push(Wake::All(Arc::clone(&self.room_came)));
    }

    fn take_wakes(&mut self, wakes: &mut Vec<Wake>) {
        wakes.append(&mut self.wakes);
    }
}
