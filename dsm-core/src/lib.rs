//! Distributed shared memory.
#![deny(unsafe_code)]

pub mod job;
pub mod launch;
#[allow(unsafe_code)]
pub mod mem;

pub use job::EXIT_PEER_LOST;
