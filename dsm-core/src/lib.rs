//! Distributed shared memory: several processes, one memory.
//!
//! A program [joins](Dsm::join) a job, [allocates](Dsm::alloc) arrays that every node sees at the same address, and reads and
//! writes them. A page that is not here is fetched from the node that has it, while the thread that touched it sleeps.
//! Nodes order what they do with [locks](Dsm::lock), [barriers](Dsm::barrier) and [atomic operations](SharedArray::fetch_add).
//!
//! ```
//! use dsm_core::{Dsm, Placement};
//!
//! # fn main() -> Result<(), dsm_core::Error> {
//! let dsm = Dsm::join()?; // alone: a job of one node
//! let counter = dsm.alloc::<u64>(1, Placement::Block)?;
//! counter.fetch_add(0, 1);
//! dsm.barrier();
//! assert_eq!(counter.get(0), dsm.size() as u64);
//! dsm.finalize()
//! # }
//! ```
//!
//! `dsm-node run -n 4 -- ./program` starts such a program as four nodes; [`launch`] does the same from Rust.
//!
//! Between nodes memory is sequentially consistent (Lamport 1979): every node sees one order of all loads and stores. Between
//! threads of one node it is the processor's. The protocols are in the crate `protocol`, the network in the crate `rpc`.
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

/// The program in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
