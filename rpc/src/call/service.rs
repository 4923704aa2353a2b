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

    /// Runs one method: decodes `arguments`, appends the encoded result to `reply` (empty when called). Runs on a thread of the
    /// server's pool, several at a time, and may block. A panic becomes an error at the caller.
    ///
    /// # Errors
    /// [`Refusal`] if the method did not run, or ran without a result that can be sent.
    fn dispatch(&self, method: MethodId, arguments: &[u8], reply: &mut Vec<u8>) -> Result<(), Refusal>;
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
