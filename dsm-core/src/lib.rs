//! Distributed shared memory.
#![deny(unsafe_code)]

mod api;
pub mod doctor;
mod engine;
mod error;
pub mod job;
pub mod launch;
#[allow(unsafe_code)]
pub mod mem;

pub use api::{Dsm, LockGuard, Placement, SharedArray};
pub use engine::Stats;
pub use error::Error;
pub use job::EXIT_PEER_LOST;
pub use mem::{Element, PAGE_BYTES};
