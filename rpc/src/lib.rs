//! Remote procedure call on a reliable layer over UDP.
//!
//! The layers are the modules, from the bottom up: [`wire`] is what a datagram looks like, [`transport`] makes messages
//! reliable (pure: no clock, no socket), [`driver`] gives the transport a UDP socket and a clock; [`impair`] injects faults
//! below it, and [`trace`] shows what goes over the wire. On top, [`call`] is request and reply, with [`codec`] for
//! arguments and results, [`service`] for stubs, [`reflection`] for callers without any, and [`names`] for finding servers.
#![forbid(unsafe_code)]

// The stubs name this crate, and it has services of its own.
extern crate self as rpc;

pub mod call;
pub mod codec;
mod counters;
pub mod driver;
pub mod impair;
pub mod names;
#[cfg(not(feature = "planted"))]
mod planted;
#[cfg(feature = "planted")]
pub mod planted;
pub mod reflection;
pub mod security;
mod shared;
pub mod time;
pub mod trace;
pub mod transport;
pub mod wire;

pub use call::{
    CallError, CallErrorKind, CallKind, Client, ClientConfig, ClientCounters, Context, Failure, Interface, Method,
    MethodId, PendingCall, Ran, Refusal, ReplyLimits, Schema, SchemaMismatch, Server, ServerBuilder, ServerCounters,
    ServerHandle, Service, ServiceId, StartError, Waiting, schema,
};
pub use codec::Bytes;
pub use rpc_macros::service;
pub use security::{Key, KeyError, Security};
