//! How nodes find each other: each tells the launcher where it listens, and gets the addresses of all.

use std::net::SocketAddr;

/// Where every node of the job listens, by rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// One entry for each rank, in order.
    pub nodes: Vec<RosterEntry>,
}

/// Where one node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// The address of its socket.
    pub addr: SocketAddr,
    /// Its process, for messages to people.
    pub pid: u32,
}
