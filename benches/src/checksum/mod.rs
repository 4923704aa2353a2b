//! What each check of a datagram catches, and what it costs.
//!
//! The checks are [`rpc::wire::Integrity`]'s, measured as the transport uses them: by sealing a datagram and opening it again.
//!
//! * [`contents`]: what stands in the datagrams.
//! * [`damage`]: what happens to them.
//! * [`detection`]: what is noticed of it. The same seed gives the same counts, on every machine.
//! * [`speed`]: bytes a second.
//! * [`report`]: tables and JSON.

pub mod contents;
pub mod damage;
pub mod detection;
pub(crate) mod random;
pub mod report;
pub mod speed;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds in which all checks take turns.
    pub rounds: usize,
    /// Datagrams that are damaged in each way.
    pub corruptions: u64,
    /// Decides the contents and the damage.
    pub seed: u64,
}
