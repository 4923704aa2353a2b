//! Remote procedure call: requests and replies on the sessions of a [`Driver`](crate::driver::Driver).
//!
//! A [`Client`] calls one server, blocking or as futures; a [`Server`] runs [`Service`]s in a bounded pool of threads.
//! `#[rpc::service]` writes the stubs for both.
//!
//! **At most once** (Birrell and Nelson, 1984) comes from below: a session delivers each message exactly once and never outlives
//! either end, so a request runs once or not at all, and nobody repeats it behind the caller's back. What a failed call
//! did is told by [`Ran`] in its [`CallError`]: certainly not, perhaps, or yes. Only the caller knows whether to repeat.
//!
//! **Threads.** An endpoint is one mutex around the driver and the role's own state (table of calls in flight; queue of
//! requests), and one thread that sleeps on the socket. A caller sends its own request under the mutex, a worker its
//! own reply; the thread is woken, through an eventfd, only when it would sleep past a timer that was set
//! meanwhile. Whoever holds the mutex may drive: a caller that waits could read the socket itself in the thread's place
//! (leader and followers; Schmidt and others, 2000).
//!
//! **A blocking call's cost** beyond the datagrams: two acquisitions of the mutex and one hand-over from the endpoint's thread;
//! no allocation in steady state on the client but what the result itself holds.

mod client;
mod endpoint;
mod error;
mod in_flight;
pub mod message;
mod pending;
mod pool;
mod queue;
mod server;
mod service;

pub use client::{Client, ClientConfig, ClientCounters};
pub use error::{CallError, CallErrorKind, Ran, StartError};
pub use message::{MethodId, ServiceId};
pub use pending::PendingCall;
pub use server::{Server, ServerBuilder, ServerCounters, ServerHandle};
pub use service::{CallKind, Method, Refusal, Service};
