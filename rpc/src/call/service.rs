//! What a server serves.

use thiserror::Error;

use crate::codec::CodecError;

use super::message::{MethodId, ServiceId};

/// A service that a [`Server`](super::Server) can run; `#[rpc::service]` writes it for a trait.
pub trait Service: Send + Sync + 'static {
    /// Its number on the wire.
    fn id(&self) -> ServiceId;

    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// Its methods, by number.
    fn methods(&self) -> &'static [Method];

    /// Runs one method: decodes `arguments`, appends the encoded result to `reply` (empty when called). Runs on a thread of the
    /// server's pool, several at a time, and may block. A panic becomes an error at the caller.
    ///
    /// # Errors
    /// [`Refusal`] if the method did not run, or ran without a result that can be sent.
    fn dispatch(&self, method: MethodId, arguments: &[u8], reply: &mut Vec<u8>) -> Result<(), Refusal>;
}

/// What is known of a method of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Method {
    /// Its name, for people.
    pub name: &'static str,
    /// To run it twice does the same as to run it once.
    pub idempotent: bool,
    /// It has no reply.
    pub oneway: bool,
    /// It is so short that the thread that receives requests runs it itself.
    pub inline: bool,
}

impl Method {
    /// A method that runs at most once, in the pool, and has a reply.
    pub const fn new(name: &'static str) -> Self {
        Method { name, idempotent: false, oneway: false, inline: false }
    }

    /// The same, but idempotent.
    pub const fn idempotent(self) -> Self {
        Method { idempotent: true, ..self }
    }

    /// The same without a reply.
    pub const fn oneway(self) -> Self {
        Method { oneway: true, ..self }
    }

    /// The same, but run by the thread that receives requests.
    pub const fn inline(self) -> Self {
        Method { inline: true, ..self }
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
    /// The arguments cannot be decoded. Nothing ran.
    #[error("the arguments {0}")]
    BadArguments(CodecError),
    /// The method ran, and its result cannot be encoded.
    #[error("the result {0}")]
    BadResult(CodecError),
}

impl Refusal {
    /// The arguments' fault.
    pub fn bad_arguments(error: CodecError) -> Self {
        Refusal::BadArguments(error)
    }

    /// The result's fault.
    pub fn bad_result(error: CodecError) -> Self {
        Refusal::BadResult(error)
    }
}
