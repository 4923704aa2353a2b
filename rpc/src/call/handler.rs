//! Running one request, whoever runs it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::codec::{self, ByteOrder, Encoded, Values};
use crate::time::Time;

use super::arguments::OtherForm;
use super::context::Context;
use super::error::put_text;
use super::interface::SchemaMismatch;
use super::message::Status;
use super::queue::Job;
use super::service::{Refusal, Service};

/// A reply buffer larger than this is not kept for the next call.
const REPLY_KEPT_BYTES_MAX: usize = 1 << 20;

/// What a server serves, and how its callers write numbers.
pub(crate) struct Services {
    /// In the order in which they were given.
    pub(crate) list: Vec<Arc<dyn Service>>,
    pub(crate) order: ByteOrder,
}

/// A request that runs, or has run.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) job: Job,
    /// [`Status::Expired`] unless it has run.
    pub(crate) status: Status,
    /// The body of the reply.
    pub(crate) body: Encoded,
}

impl Served {
    /// A request that has yet to run. `body` is a buffer for the reply.
    pub(crate) fn new(job: Job, mut body: Encoded) -> Self {
        body.clear();
        Served { job, status: Status::Expired, body }
    }

    /// Runs it, unless it is too late; it is `now`.
    pub(crate) fn run(&mut self, services: &Services, context: &Context, now: Time) {
        if context.is_in_time(now) {
            self.status = context.enter(|| execute(services, &mut self.job, &mut self.body));
        }
    }

    /// The buffer of the reply, for the next one.
    pub(crate) fn into_buffer(self) -> Encoded {
        let Encoded { bytes, .. } = self.body;
        if bytes.capacity() > REPLY_KEPT_BYTES_MAX { Encoded::default() } else { bytes.into() }
    }
}

fn execute(services: &Services, job: &mut Job, reply: &mut Encoded) -> Status {
    let Some(service) = services.list.get(job.service) else { return Status::UnknownService };
    // What a panic leaves half done inside the service is the service's: its locks are poisoned, as everywhere.
    let run = AssertUnwindSafe(|| {
        let method = service.interface().find(job.call.method)?;
        if !job.arguments.is_long() {
            return dispatch(&**service, &job.arguments, services.order, reply, method);
        }
        let arguments = std::mem::take(&mut job.arguments).into_shared();
        codec::reading(&arguments, || dispatch(&**service, &arguments, services.order, reply, method))
    });
    let (status, text) = match catch_unwind(run) {
        Ok(Ok(())) => return Status::Done,
        Ok(Err(refusal)) => match *refusal {
            Refusal::UnknownMethod => (Status::UnknownMethod, String::new()),
            Refusal::OtherSchema(mismatch) => return put_mismatch(reply, &mismatch),
            Refusal::BadArguments(text) => (Status::BadArguments, text),
            Refusal::BadResult(text) => (Status::BadResult, text),
        },
        Err(panic) => (Status::Panicked, panic_text(panic)),
    };
    put_text(reply, &text);
    status
}

fn dispatch(
    service: &dyn Service,
    arguments: &[u8],
    order: ByteOrder,
    reply: &mut Encoded,
    method: usize,
) -> Result<(), Box<Refusal>> {
    match order.is_big() {
        true => service.dispatch(Values::new(arguments), reply, method),
        false => service.dispatch_other(OtherForm::little(arguments), reply, method),
    }
}

fn put_mismatch(reply: &mut Encoded, mismatch: &SchemaMismatch) -> Status {
    reply.clear();
    match codec::encode(mismatch, &mut reply.bytes) {
        Ok(()) => Status::OtherSchema,
        Err(_) => Status::UnknownMethod,
    }
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or_else(|| "no words".to_owned(), |text| (*text).to_owned()),
    }
}
