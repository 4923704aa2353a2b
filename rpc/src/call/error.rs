//! What can go wrong with a call, and whether it may have run all the same.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::codec::{self, Encoded};
use crate::driver::DriverError;
use crate::names::NameError;
use crate::transport::{LostReason, SendError};

use super::interface::SchemaMismatch;
use super::message::Status;

/// Whether the server's method has run, as far as this side can know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ran {
    /// It certainly did not and will not: calling again is safe.
    No,
    /// It may have run, be running, or run yet. Calling again may run it twice.
    Maybe,
    /// It began and came to its end (a panic is one), but its result is not here.
    Yes,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ran::No => "the call did not run",
            Ran::Maybe => "the call may have run",
            Ran::Yes => "the call ran",
        })
    }
}

/// A call without a result.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{kind} ({ran})")]
pub struct CallError {
    /// What happened.
    pub kind: CallErrorKind,
    /// Whether the method has run.
    pub ran: Ran,
}

/// What happened to a call that has no result.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CallErrorKind {
    /// No reply within the client's limit, or before the deadline of the call that the caller serves itself.
    #[error("no reply within {0:?}")]
    Timeout(Duration),
    /// The server did not come to the call before its time was over: it is overloaded.
    #[error("the server did not begin the call in time")]
    Expired,
    /// The session was lost, and when the server was met again it had forgotten this client.
    #[error("the server has forgotten this client")]
    Forgotten,
    /// The session with the server ended before the reply came.
    #[error("the server was lost: {reason}")]
    PeerLost {
        /// Why it ended.
        reason: LostReason,
    },
    /// The server is stopping and takes no more calls.
    #[error("the server refused the call: it is stopping")]
    Refused,
    /// The server's queue is full, or what is in it takes longer than the caller would wait: wait before calling again.
    #[error("the server is overloaded")]
    Overloaded,
    /// The server has no service of this name.
    #[error("the server does not have this service")]
    UnknownService,
    /// The server's service has no such method: the two ends hold different traits.
    #[error("the server's service does not have this method")]
    UnknownMethod,
    /// The server could not decode the arguments: the two ends hold different traits.
    #[error("the server could not read the arguments: {0}")]
    BadArguments(String),
    /// The two ends hold different interfaces of the service.
    #[error("{0}: build both programs from one trait")]
    OtherSchema(Box<SchemaMismatch>),
    /// The arguments could not be encoded here.
    #[error("the arguments {0}")]
    Unencodable(String),
    /// The arguments are larger than a message may be.
    #[error("the arguments are too large: {bytes} bytes, limit {limit}")]
    TooLarge {
        /// Size of the request.
        bytes: usize,
        /// Largest that may be sent.
        limit: usize,
    },
    /// The arguments do not fit into one datagram, and the client's lesson is that nothing is cut into fragments.
    #[error(
        "the arguments do not fit into one datagram ({bytes} bytes, limit {limit}), and fragmentation is switched off"
    )]
    NotFragmented {
        /// Size of the request.
        bytes: usize,
        /// Largest that may be sent.
        limit: usize,
    },
    /// The handler panicked; with these words if it had any.
    #[error("the server's handler panicked: {0}")]
    Panicked(String),
    /// The result cannot be had: the server could not send it (too large, not encodable), or this side not read it.
    #[error("the result was lost: {0}")]
    BadResult(String),
    /// Too many calls of this client are in flight; wait for some.
    #[error("too many calls in flight (limit {limit})")]
    TooManyCalls {
        /// The client's limit.
        limit: usize,
    },
    /// Too many bytes wait to be sent to the server; wait for some calls.
    #[error("the send queue is full ({queued} bytes)")]
    Backlog {
        /// How many.
        queued: usize,
    },
    /// No server has the name that was called.
    #[error("no server is registered as `{name}`")]
    NoServer {
        /// The name.
        name: String,
    },
    /// The name server does not answer, or not what was asked.
    #[error("the name server at {addr} gives no servers: {why}")]
    Binder {
        /// Where it should be.
        addr: SocketAddr,
        /// What happened, or what it said.
        why: String,
    },
    /// The client's endpoint has failed and serves no more calls; make a new client.
    #[error("the client has failed: {0}")]
    Closed(String),
}

impl CallError {
    pub(crate) fn new(kind: CallErrorKind, ran: Ran) -> Self {
        CallError { kind, ran }
    }

    /// The error that a reply means, None if it holds a result.
    pub(crate) fn from_reply(status: Status, body: &[u8]) -> Option<Self> {
        let text = || String::from_utf8_lossy(body.get(..TEXT_BYTES_MAX).unwrap_or(body)).into_owned();
        let (kind, ran) = match status {
            Status::Done => return None,
            Status::UnknownService => (CallErrorKind::UnknownService, Ran::No),
            Status::UnknownMethod => (CallErrorKind::UnknownMethod, Ran::No),
            Status::BadArguments => (CallErrorKind::BadArguments(text()), Ran::No),
            Status::Overloaded => (CallErrorKind::Overloaded, Ran::No),
            Status::Stopping => (CallErrorKind::Refused, Ran::No),
            Status::Panicked => (CallErrorKind::Panicked(text()), Ran::Yes),
            Status::BadResult => (CallErrorKind::BadResult(text()), Ran::Yes),
            Status::Expired => (CallErrorKind::Expired, Ran::No),
            Status::NotKept => {
                (CallErrorKind::BadResult("it was lost on the way and is not kept".to_owned()), Ran::Yes)
            }
            Status::Forgotten => (CallErrorKind::Forgotten, Ran::Maybe),
            Status::OtherSchema => match codec::decode(body) {
                Ok(mismatch) => (CallErrorKind::OtherSchema(Box::new(mismatch)), Ran::No),
                Err(error) => (CallErrorKind::BadResult(error.to_string()), Ran::No),
            },
        };
        Some(CallError { kind, ran })
    }
}

/// Most bytes of a text in a reply; the rest is cut.
const TEXT_BYTES_MAX: usize = 1024;

/// Makes a reply of a text.
pub(crate) fn put_text(reply: &mut Encoded, text: &str) {
    reply.clear();
    reply.bytes.extend_from_slice(text.as_bytes().get(..TEXT_BYTES_MAX).unwrap_or(text.as_bytes()));
}

/// A request that was not taken certainly did not run.
impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        let kind = match error {
            SendError::TooLarge { bytes, limit } => CallErrorKind::TooLarge { bytes, limit },
            SendError::NotFragmented { bytes, limit } => CallErrorKind::NotFragmented { bytes, limit },
            SendError::Backlog { queued } => CallErrorKind::Backlog { queued },
            SendError::Gone | SendError::TooManyPeers { .. } => CallErrorKind::Closed(error.to_string()),
        };
        CallError { kind, ran: Ran::No }
    }
}

/// Why a client or a server could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The socket.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The descriptors that the endpoint's thread sleeps on.
    #[error("cannot make the endpoint's descriptors: {0}")]
    Descriptor(#[source] io::Error),
    /// A thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The server has no address: call `bind`.
    #[error("the server has no address: bind it first")]
    NotBound,
    /// The name to register or to call.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A name is registered for a service: serve one first.
    #[error("nothing to register as `{0}`: call `serve` before `register`")]
    NothingToRegister(String),
    /// Two services would have the same number on the wire: rename one.
    #[error("services {0} and {1} have the same number: rename one of them")]
    SameService(&'static str, &'static str),
}
