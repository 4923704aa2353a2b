//! Distributed shared memory.
#![deny(unsafe_code)]

#[allow(unsafe_code)]
pub mod mem;
