//! Distributed shared memory.
