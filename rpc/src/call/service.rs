//! What a server serves.

use thiserror::Error;

use crate::codec::{Encoded, Values};

use super::arguments::OtherForm;
use super::interface::{Interface, Method, SchemaMismatch};
use super::message::ServiceId;

/// A service that a [`Server`](super::Server) can run; `#[rpc::service]` writes it for a trait, as `docs/stubs.md` shows. Who writes one by hand
/// does the same there: both ways to dispatch are one function over any [`Arguments`](super::Arguments), by which arguments are taken and the
/// result is appended to the reply.
pub trait Service: Send + Sync + 'static {
    /// What it offers.
    fn interface(&self) -> &'static Interface;

    /// Runs a method for arguments that are bytes in network order, and appends the result to `reply`. `method` is its place in the list of
    /// [`Self::interface`], and in no other: who hands a request on to a service of another interface finds the method there by its id. (It
    /// comes last, so that the rest is where the method expects it.) Called on a thread of the server's pool, several at a time, and may
    /// block, unless the method is `inline`: then on the thread that receives. A panic becomes an error at the caller.
    ///
    /// # Errors
    /// [`Refusal`] if the method did not run, or ran without a result that can be sent; what is in `reply` then is not used.
    fn dispatch(&self, arguments: Values<'_>, reply: &mut Encoded, method: usize) -> Result<(), Box<Refusal>>;

    /// The same for arguments in any other form (JSON, from [`reflection`](crate::reflection), or little-endian bytes); the result is
    /// appended in that form, too.
    ///
    /// # Errors
    /// As for [`Self::dispatch`].
    fn dispatch_other(&self, arguments: OtherForm<'_>, reply: &mut Encoded, method: usize) -> Result<(), Box<Refusal>>;

    /// Its number on the wire.
    fn id(&self) -> ServiceId {
        self.interface().id()
    }

    /// Its name, for people.
    fn name(&self) -> &'static str {
        self.interface().name
    }

    /// Its methods.
    fn methods(&self) -> &'static [Method] {
        self.interface().methods
    }
}

/// How often a call may run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum CallKind {
    /// Never twice.
    #[default]
    AtMostOnce,
    /// As often as it takes: to run it twice does the same as to run it once.
    Idempotent,
}

/// Why a service has no result to send.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// It has no such method. Nothing ran.
    #[error("no such method")]
    UnknownMethod,
    /// The caller holds another interface. Nothing ran.
    #[error("{0}")]
    OtherSchema(Box<SchemaMismatch>),
    /// The arguments cannot be decoded. Nothing ran.
    #[error("the arguments: {0}")]
    BadArguments(String),
    /// The method ran, and its result cannot be encoded.
    #[error("the result: {0}")]
    BadResult(String),
}

impl Refusal {
    /// [`Self::UnknownMethod`], for the stubs.
    #[doc(hidden)]
    #[cold]
    pub fn unknown_method() -> Box<Self> {
        Box::new(Refusal::UnknownMethod)
    }
}
