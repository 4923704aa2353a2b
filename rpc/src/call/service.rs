//! What a server serves.

use thiserror::Error;

use super::interface::{Interface, Method, SchemaMismatch};
use super::message::ServiceId;
use super::request::Request;

/// A service that a [`Server`](super::Server) can run; `#[rpc::service]` writes it for a trait.
pub trait Service: Send + Sync + 'static {
    /// What it offers.
    fn interface(&self) -> &'static Interface;

    /// Runs one method: takes the arguments out of the request, and puts the result into it. Called for methods of the interface only.
    /// Runs on a thread of the server's pool, several at a time, and may block. A panic becomes an error at the caller.
    ///
    /// # Errors
    /// [`Refusal`] if the method did not run, or ran without a result that can be sent.
    fn dispatch(&self, request: &mut Request<'_>) -> Result<(), Refusal>;

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
