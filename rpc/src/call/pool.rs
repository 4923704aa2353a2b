//! The workers of a server: a fixed number of threads that run handlers and send the replies themselves.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::transport::{Channel, SendError};

use super::endpoint::{Core, Endpoint};
use super::error::{StartError, TEXT_BYTES_MAX};
use super::message::{self, Status};
use super::queue::{Job, Queue};
use super::service::{Refusal, Service};

/// How long a worker waits for room in the send queue of a peer that is alive and acknowledges too slowly.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);
/// A reply buffer larger than this is not kept for the next call.
const REPLY_KEPT_BYTES_MAX: usize = 1 << 20;

type Guard<'a> = MutexGuard<'a, Core<Queue>>;

/// The threads.
pub(crate) struct Pool {
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts `size` workers. If one cannot be started, those that were are in the pool that `started` holds.
    pub(crate) fn start(
        endpoint: &Arc<Endpoint<Queue>>,
        services: &Arc<[Box<dyn Service>]>,
        size: usize,
        started: &mut Pool,
    ) -> Result<(), StartError> {
        for number in 0..size {
            let worker = Worker { endpoint: Arc::clone(endpoint), services: Arc::clone(services) };
            let name = format!("rpc-worker-{number}");
            let thread = thread::Builder::new().name(name).spawn(move || worker.run()).map_err(StartError::Thread)?;
            started.workers.push(thread);
        }
        Ok(())
    }

    /// No workers yet.
    pub(crate) fn empty() -> Self {
        Pool { workers: Vec::new() }
    }

    /// Waits until every worker has ended, each after the call that it runs.
    pub(crate) fn join(&mut self) {
        for worker in self.workers.drain(..) {
            // A server that is dropped by its own handler cannot wait for that handler.
            if worker.thread().id() != thread::current().id() {
                let _ = worker.join();
            }
        }
    }
}

struct Worker {
    endpoint: Arc<Endpoint<Queue>>,
    services: Arc<[Box<dyn Service>]>,
}

impl Worker {
    fn run(&self) {
        let mut reply = Vec::new();
        let mut core = self.endpoint.lock();
        loop {
            match core.role.next() {
                Some(job) => {
                    drop(core);
                    core = self.serve(job, &mut reply);
                }
                None if core.role.is_serving() => {
                    let signal = Arc::clone(&core.role.job_came);
                    core = wait(&signal, core);
                }
                None => return,
            }
        }
    }

    /// Runs one request and sends the reply.
    fn serve(&self, job: Job, reply: &mut Vec<u8>) -> Guard<'_> {
        reply.clear();
        let status = self.execute(&job, reply);
        let mut core = self.endpoint.lock();
        match status {
            Status::Done => core.role.counters.done += 1,
            Status::Panicked => core.role.counters.panics += 1,
            Status::BadResult => {}
            _ => core.role.counters.refused += 1,
        }
        let mut core = self.reply(core, &job, status, reply);
        core.role.recycle(job.arguments);
        self.endpoint.rearm(&mut core);
        if reply.capacity() > REPLY_KEPT_BYTES_MAX {
            *reply = Vec::new();
        }
        core
    }

    fn execute(&self, job: &Job, reply: &mut Vec<u8>) -> Status {
        let Some(service) = self.services.get(job.service) else { return Status::UnknownService };
        // What a panic leaves half done inside the service is the service's: its locks are poisoned, as everywhere.
        let run = AssertUnwindSafe(|| service.dispatch(job.method, &job.arguments, reply));
        let (status, text) = match catch_unwind(run) {
            Ok(Ok(())) => return Status::Done,
            Ok(Err(Refusal::UnknownMethod)) => (Status::UnknownMethod, String::new()),
            Ok(Err(Refusal::BadArguments(error))) => (Status::BadArguments, error.to_string()),
            Ok(Err(Refusal::BadResult(error))) => (Status::BadResult, error.to_string()),
            Err(panic) => (Status::Panicked, panic_text(panic)),
        };
        put_text(reply, &text);
        status
    }

    /// Sends the reply, waiting for room in the peer's send queue if need be.
    fn reply<'a>(&self, mut core: Guard<'a>, job: &Job, mut status: Status, body: &mut Vec<u8>) -> Guard<'a> {
        let mut patience = None;
        loop {
            let header = message::reply_header(job.call, status);
            match core.driver.send(job.peer, Channel::CALL, &[&header, body]) {
                Ok(()) => {
                    core.driver.flush();
                    return core;
                }
                Err(error @ SendError::TooLarge { .. }) if status == Status::Done => {
                    status = Status::BadResult;
                    put_text(body, &error.to_string());
                }
                // Not even an empty queue has room for it.
                Err(error @ SendError::Backlog { queued: 0 }) if status == Status::Done => {
                    status = Status::BadResult;
                    put_text(body, &error.to_string());
                }
                Err(SendError::Backlog { .. }) => {
                    let until = *patience.get_or_insert_with(|| Instant::now() + ROOM_PATIENCE);
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        core.role.counters.replies_dropped += 1;
                        return core;
                    }
                    core = self.wait_for_room(core, left);
                }
                Err(_) => {
                    core.role.counters.replies_dropped += 1;
                    return core;
                }
            }
        }
    }

    fn wait_for_room<'a>(&self, mut core: Guard<'a>, left: Duration) -> Guard<'a> {
        core.role.waiting_for_room += 1;
        self.endpoint.rearm(&mut core);
        let signal = Arc::clone(&core.role.room_came);
        let (mut core, _) = signal.wait_timeout(core, left).unwrap_or_else(PoisonError::into_inner);
        core.role.waiting_for_room -= 1;
        core
    }
}

fn wait<'a>(signal: &Condvar, core: Guard<'a>) -> Guard<'a> {
    signal.wait(core).unwrap_or_else(PoisonError::into_inner)
}

fn put_text(reply: &mut Vec<u8>, text: &str) {
    reply.clear();
    reply.extend_from_slice(text.as_bytes().get(..TEXT_BYTES_MAX).unwrap_or(text.as_bytes()));
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or_else(|| "no words".to_owned(), |text| (*text).to_owned()),
    }
}
