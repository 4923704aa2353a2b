//! The workers of a server: a fixed number of threads that run handlers and send the replies themselves.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use crate::codec::Encoded;
use crate::time;

use super::context::Context;
use super::endpoint::Endpoint;
use super::error::StartError;
use super::handler::{Served, Services};
use super::serving::Serving;

/// The threads.
pub(crate) struct Pool {
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts `size` workers. If one cannot be started, those that were are in the pool that `started` holds.
    pub(crate) fn start(
        endpoint: &Arc<Endpoint<Serving>>,
        services: &Arc<Services>,
        size: usize,
        started: &mut Pool,
    ) -> Result<(), StartError> {
        for number in 0..size {
            let (endpoint, services) = (Arc::clone(endpoint), Arc::clone(services));
            let name = format!("rpc-worker-{number}");
            let thread = thread::Builder::new()
                .name(name)
                .spawn(move || run(&endpoint, &services))
                .map_err(StartError::Thread)?;
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

/// What one worker does.
fn run(endpoint: &Endpoint<Serving>, services: &Services) {
    let mut buffer = Encoded::default();
    let mut given_up = Arc::new(AtomicBool::new(false));
    let mut core = endpoint.lock();
    loop {
        let inner = &mut *core;
        if let Some(job) = inner.role.begin(&mut inner.driver, &given_up) {
            endpoint.leave(core);
            let context = Context::new(job.deadline, Some(Arc::clone(&given_up)));
            let (mut served, began) = (Served::new(job, buffer), time::now());
            served.run(services, &context, began);
            drop(context);
            core = endpoint.lock();
            let inner = &mut *core;
            buffer = inner.role.end(&mut inner.driver, served, began, &given_up);
            // A handler may have kept its context: that is of its call for ever.
            match Arc::get_mut(&mut given_up) {
                Some(given_up) => *given_up = AtomicBool::new(false),
                None => given_up = Arc::new(AtomicBool::new(false)),
            }
        } else if core.role.is_serving() {
            endpoint.flush(&mut core);
            let signal = core.role.rest();
            core = signal.wait(core).unwrap_or_else(PoisonError::into_inner);
            core.role.rested();
        } else {
            endpoint.leave(core);
            return;
        }
    }
}
