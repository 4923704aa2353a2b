//! Requests that wait for a worker, and whether another one should.
//!
//! A queue that only a count bounds is, under overload, always full: everybody waits for as long as the whole queue takes, and
//! most have gone when their turn comes. So a request is refused at once when what is before it would take most of the
//! time that its caller has left; what is admitted is then served in time (the goal of Nichols and Jacobson's CoDel, 2012,
//! reached at the entrance, because here the time that work takes can be estimated and deadlines are known).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::time::Time;
use crate::transport::{BootEpoch, Peer};

use super::body::{Arrived, Body};
use super::message::{Call, MethodId};

/// How many argument buffers are kept for the next requests, and how large at most.
const SPARE_BUFFERS_MAX: usize = 64;
const SPARE_BYTES_MAX: usize = 64 << 10;
/// A request is admitted if what is before it takes at most this part of the time that its caller has left: the rest is for
/// running it, for the way back, and for errors of the estimate.
const WAIT_PART: (u32, u32) = (1, 2);
/// Of so many methods the time that they take is remembered.
const METHODS_MAX: usize = 4_096;

/// How much may wait for a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
}

/// A request that waits to run, or runs.
#[derive(Debug)]
pub(crate) struct Job {
    /// The session on which it came.
    pub(crate) peer: Peer,
    pub(crate) client: BootEpoch,
    pub(crate) call: Call,
    /// When its caller stops waiting.
    pub(crate) deadline: Option<Time>,
    /// Index in the server's list.
    pub(crate) service: usize,
    pub(crate) arguments: Body,
    /// How long it is expected to run.
    pub(crate) expected: Duration,
}

impl Job {
    /// Whether its caller does not wait any more.
    pub(crate) fn is_late(&self, now: Time) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// The requests that wait.
#[derive(Debug)]
pub(crate) struct Queue {
    limits: QueueLimits,
    workers: u32,
    jobs: VecDeque<Job>,
    bytes: usize,
    /// How long the jobs are expected to run, one after the other.
    expected: Duration,
    /// How long methods take, smoothed.
    estimates: BTreeMap<(usize, u16), Duration>,
    spare: Vec<Vec<u8>>,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits, workers: usize) -> Self {
        Queue {
            limits,
            workers: u32::try_from(workers).unwrap_or(u32::MAX).max(1),
            jobs: VecDeque::new(),
            bytes: 0,
            expected: Duration::ZERO,
            estimates: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    /// Whether a request with so many bytes of arguments, whose caller waits for `left`, should wait here.
    pub(crate) fn has_room(&self, bytes: usize, left: Option<Duration>) -> bool {
        if self.jobs.is_empty() {
            // One request is taken however large it is, or it would never be.
            return true;
        }
        let wait = self.expected / self.workers;
        self.jobs.len() < self.limits.requests
            && self.bytes + bytes <= self.limits.bytes
            && left.is_none_or(|left| wait <= left * WAIT_PART.0 / WAIT_PART.1)
    }

    /// How long a method is expected to run.
    pub(crate) fn estimate(&self, service: usize, method: MethodId) -> Duration {
        self.estimates.get(&(service, method.number)).copied().unwrap_or_default()
    }

    /// A method has run for so long: an exponentially weighted mean, as RFC 6298's of round trips.
    pub(crate) fn learn(&mut self, service: usize, method: MethodId, took: Duration) {
        if let Some(estimate) = self.estimates.get_mut(&(service, method.number)) {
            *estimate = (*estimate * 7 + took) / 8;
        } else if self.estimates.len() < METHODS_MAX {
            self.estimates.insert((service, method.number), took);
        }
    }

    /// One more.
    pub(crate) fn push(&mut self, job: Job) {
        self.bytes += job.arguments.len();
        self.expected += job.expected;
        self.jobs.push_back(job);
    }

    /// The next one.
    pub(crate) fn pop(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        self.subtract(&job);
        Some(job)
    }

    /// Takes out those for which `gone` says so.
    pub(crate) fn take(&mut self, gone: impl Fn(&Job) -> bool) -> Vec<Job> {
        let mut taken = Vec::new();
        for job in std::mem::take(&mut self.jobs) {
            if gone(&job) { taken.push(job) } else { self.jobs.push_back(job) }
        }
        taken.iter().for_each(|job| self.subtract(job));
        taken
    }

    fn subtract(&mut self, job: &Job) {
        self.bytes = self.bytes.saturating_sub(job.arguments.len());
        self.expected = self.expected.saturating_sub(job.expected);
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Keeps arguments in a buffer that has served before, if there is one, unless they came in one of their own.
    pub(crate) fn keep(&mut self, arguments: Arrived<'_>) -> Body {
        arguments.keep(|| self.spare.pop().unwrap_or_default())
    }

    /// The buffer of these arguments can serve again.
    pub(crate) fn recycle(&mut self, arguments: Body) {
        let mut buffer = arguments.into_buffer();
        if self.spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{CallId, How, ServiceId};
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const METHOD: MethodId = MethodId { number: 0, version: 1, schema: 0 };

    fn job(queue: &Queue, bytes: usize) -> Job {
        let call = Call {
            id: CallId::new(0, 1),
            how: How::Idempotent,
            session: 1,
            age: 0,
            time_left: None,
            service: ServiceId(0),
            method: METHOD,
        };
        Job {
            peer: Peer { index: 0, generation: 0 },
            client: BootEpoch(1),
            call,
            deadline: None,
            service: 0,
            arguments: vec![0; bytes].into(),
            expected: queue.estimate(0, METHOD),
        }
    }

    fn queue(workers: usize) -> Queue {
        Queue::new(QueueLimits { requests: 100, bytes: 100 }, workers)
    }

    #[test]
    fn who_could_not_be_served_in_time_is_not_admitted() {
        let mut queue = queue(2);
        queue.learn(0, METHOD, MS);
        (0..8).for_each(|_| queue.push(job(&queue, 0)));
        // Eight jobs of a millisecond, two workers: four milliseconds.
        assert!(queue.has_room(0, Some(8 * MS)) && queue.has_room(0, None));
        assert!(!queue.has_room(0, Some(7 * MS)));
        (0..4).for_each(|_| drop(queue.pop()));
        assert!(queue.has_room(0, Some(4 * MS)));
    }

    #[test]
    fn an_empty_queue_takes_everything_whatever_was_learnt() {
        let mut queue = queue(1);
        queue.learn(0, METHOD, 1_000_000 * MS);
        assert!(queue.has_room(1_000, Some(MS)));
        queue.push(job(&queue, 1_000));
        assert!(!queue.has_room(0, Some(MS)));
        drop(queue.take(|_| true));
        assert!(queue.has_room(0, Some(MS)));
    }

    #[test]
    fn requests_and_their_bytes_are_limited() {
        let mut queue = queue(1);
        queue.push(job(&queue, 60));
        assert!(queue.has_room(40, None) && !queue.has_room(41, None));
        (0..99).for_each(|_| queue.push(job(&queue, 0)));
        assert!(!queue.has_room(0, None));
        assert_eq!((queue.take(|job| job.arguments.is_empty()).len(), queue.len()), (99, 1));
    }

    #[test]
    fn an_estimate_follows_what_is_seen() {
        let mut queue = queue(1);
        queue.learn(0, METHOD, MS);
        (0..50).for_each(|_| queue.learn(0, METHOD, 3 * MS));
        let estimate = queue.estimate(0, METHOD);
        assert!(estimate > 29 * MS / 10 && estimate <= 3 * MS, "{estimate:?}");
        assert_eq!(queue.estimate(1, METHOD), Duration::ZERO);
    }
}
