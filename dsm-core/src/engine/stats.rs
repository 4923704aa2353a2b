//! What a node has done since it joined.

use std::time::Duration;

/// Totals of one node. Bytes and datagrams are those of the node's socket, headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Faults of loads. Pages that are here and not mapped are among them: the first of those that were fetched ahead, and what was taken from
    /// the program because another node was to have it alone.
    pub read_faults: u64,
    /// Faults of stores to pages that were not here.
    pub write_faults: u64,
    /// Faults of stores to pages that were here, where their homes had to be asked or only the mapping was missing.
    pub upgrade_faults: u64,
    /// Faults of stores to pages that had come for reading, with leave to write: nodes read and write them in turn. They ask nobody.
    pub exclusive_faults: u64,
    /// Pages whose bytes came from another node.
    pub pages_received: u64,
    /// Pages whose bytes went to another node.
    pub pages_sent: u64,
    /// Pages that were asked for before anybody needed them.
    pub pages_prefetched: u64,
    /// Pages that nobody had written, made here.
    pub pages_zeroed: u64,
    /// Copies that this node gave up because another wrote, or was about to.
    pub invalidations: u64,
    /// Barriers passed, those of allocations included.
    pub barriers: u64,
    /// Messages to other nodes.
    pub messages_sent: u64,
    /// Messages from other nodes.
    pub messages_received: u64,
    /// Bytes put on the network.
    pub bytes_sent: u64,
    /// Bytes taken from the network.
    pub bytes_received: u64,
    /// Datagrams put on the network.
    pub datagrams_sent: u64,
    /// Pieces of messages that had to be sent again.
    pub retransmissions: u64,
    /// Time from the fault's event to its resolution, summed over faults.
    pub fault_wait: Duration,
    /// Time that threads waited for locks.
    pub lock_wait: Duration,
    /// Time that threads waited for atomic operations.
    pub atomic_wait: Duration,
    /// Time that threads waited at barriers, allocations included.
    pub barrier_wait: Duration,
}
