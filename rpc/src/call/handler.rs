//! Running one request, whoever runs it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::error::put_text;
use super::message::Status;
use super::queue::Job;
use super::service::{Refusal, Service};

/// A reply buffer larger than this is not kept for the next call.
const REPLY_KEPT_BYTES_MAX: usize = 1 << 20;

/// What a server serves, in the order in which it was given.
pub(crate) type Services = Arc<[Box<dyn Service>]>;

/// A request that runs, or has run.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) job: Job,
    pub(crate) status: Status,
    /// The body of the reply.
    pub(crate) body: Vec<u8>,
    pub(crate) took: Duration,
}

impl Served {
    /// Runs the request. `body` is a buffer for the reply.
    pub(crate) fn run(services: &Services, job: Job, context: &Context, mut body: Vec<u8>) -> Self {
        body.clear();
        let began = Instant::now();
        let status = context.enter(|| execute(services, &job, &mut body));
        Served { job, status, body, took: began.elapsed() }
    }

    /// The buffer of the reply, for the next one.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        if self.body.capacity() > REPLY_KEPT_BYTES_MAX { Vec::new() } else { self.body }
    }
}

fn execute(services: &Services, job: &Job, reply: &mut Vec<u8>) -> Status {
    let Some(service) = services.get(job.service) else { return Status::UnknownService };
    // What a panic leaves half done inside the service is the service's: its locks are poisoned, as everywhere.
    let run = AssertUnwindSafe(|| service.dispatch(job.call.method, &job.arguments, reply));
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

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or_else(|| "no words".to_owned(), |text| (*text).to_owned()),
    }
}
