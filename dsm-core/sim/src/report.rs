//! What a run came to.

use std::time::Duration;

use crate::network::Faults;
use crate::scenario::{Manner, OPERATIONS_MIN, Scenario};
use crate::violation::Failure;

/// A run counts only with this many kinds of network fault.
pub const FAULT_KINDS_MIN: usize = 4;

/// One run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed that decided everything.
    pub seed: u64,
    /// What it decided.
    pub scenario: Scenario,
    /// Loads and stores done.
    pub operations: u64,
    /// What befell the cluster.
    pub faults: Faults,
    /// Messages that nodes gave to their transports.
    pub messages: u64,
    /// Datagrams that left.
    pub datagrams: u64,
    /// Fragments that were sent again.
    pub retransmissions: u64,
    /// How long it was for the nodes.
    pub simulated: Duration,
    /// How long it took to finish after the network had healed; none where a node died.
    pub finished_after: Option<Duration>,
    /// How a node died.
    pub death: Option<Manner>,
    /// After what time the last of the others had noticed.
    pub noticed_after: Option<Duration>,
    /// Equal for two runs in which the same things happened.
    pub trace_hash: u64,
    /// Whether all rules were kept.
    pub verdict: Result<(), Failure>,
}

impl Report {
    /// Whether enough happened that a good verdict means something.
    pub fn counts(&self) -> bool {
        self.operations >= OPERATIONS_MIN && self.faults.kinds() >= FAULT_KINDS_MIN
    }
}
