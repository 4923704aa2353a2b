//! Remote procedure call: requests and replies on the sessions of a [`Driver`](crate::driver::Driver).
//!
//! A [`Client`] calls one server, blocking or as futures; a [`Server`] runs [`Service`]s in a bounded pool of threads.
//! `#[rpc::service]` writes the stubs for both.
//!
//! **At most once** (Birrell and Nelson, 1984). A session delivers each message exactly once, so on one session nothing is ever
//! sent again, and a call is two datagrams. When a session ends, calls without a reply go to the next session if the same
//! incarnation of the server has its other end; the server knows them by client, slot and sequence number
//! ([`message::CallId`], RFC 8881's session slots), and answers from the slot what it has begun before ([`ReplyLimits`] bounds
//! what it keeps). Another incarnation knows nothing of them: they fail. What a failed call did is told by [`Ran`] in its
//! [`CallError`]: certainly not, perhaps, or yes. [Idempotent](CallKind::Idempotent) calls need no slot, and go to whoever is met.
//!
//! **Time.** A request carries how long its caller is still going to wait, reckoned for the moment at which it should arrive; what it
//! waits in the server's socket is taken off. The server does not begin what is late, refuses what
//! would be ([`CallErrorKind::Overloaded`]), and calls that a handler makes inherit the deadline ([`Context`]). A caller that
//! gives up says so.
//!
//! **No order.** Messages arrive in any order, so calls begin in any: a `oneway` call may run after the call that was made next.
//! Who needs an order awaits a reply.
//!
//! **Long calls.** A request that is not answered within the transport's acknowledgement delay is acknowledged, which ends its
//! retransmission; after that only the session's signs of life travel. A request that comes again on another session is
//! answered by a "working" message.
//!
//! **Threads.** An endpoint is one mutex around the driver and the role's own state (calls in flight; requests and reply slots), and
//! one thread. A caller sends its own request under the mutex, a worker its own reply. A thread that waits for a reply drives the
//! endpoint in the place of its thread: the reply is handed over to nobody. [`Waiting`] says how long to poll before
//! sleeping. Handlers that are marked `inline` run on the endpoint's thread, without the mutex; the others in the pool.
//! Async calls and inline handlers share datagrams when there are many of them.

mod arguments;
mod bell;
mod body;
mod caller;
mod client;
mod context;
mod endpoint;
mod error;
mod failure;
mod handler;
mod in_flight;
mod interface;
mod json;
pub mod message;
mod named;
mod outbox;
mod pending;
mod pool;
mod queue;
mod server;
mod service;
mod serving;
mod slots;
mod wake;

pub(crate) use arguments::JsonRequest;
pub use arguments::{Arguments, OtherForm};
pub use client::{Client, ClientConfig, ClientCounters};
pub use context::Context;
pub use endpoint::Waiting;
pub use error::{CallError, CallErrorKind, Ran, StartError};
pub use failure::Failure;
pub use interface::{Interface, Method, Schema, SchemaMismatch, schema};
pub use message::{MethodId, ServiceId};
pub use pending::PendingCall;
pub use server::{Server, ServerBuilder, ServerCounters, ServerHandle};
pub use service::{CallKind, Refusal, Service};
pub use slots::ReplyLimits;
