//! One way of measuring for all stacks: the same loops, the same clock and the same lines of text for ours, for raw sockets and for
//! the peers, which live in a workspace of their own.
//!
//! A measured stack is two processes. The *server* prints where it listens and lives until its standard input closes
//! ([`process`]). The *caller* carries out a [`Plan`] through one of two traits, [`Blocking`] or [`Tasks`], and prints
//! [`Figure`]s, one a line.
#![forbid(unsafe_code)]

pub mod blocking;
pub mod contents;
pub mod experiment;
pub mod figure;
pub mod line;
pub mod network;
pub mod plan;
pub mod process;
pub mod tasks;
mod timing;

pub use blocking::Blocking;
pub use figure::{Figure, Unit};
pub use plan::Plan;
pub use tasks::Tasks;
