//! How nodes find each other: each tells the launcher where it listens, and gets the addresses of all.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Where every node of the job listens, by rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// One entry for each rank, in order.
    pub nodes: Vec<RosterEntry>,
}

/// Where one node listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterEntry {
    /// The address of its socket.
    pub addr: SocketAddr,
    /// Its process, for messages to people.
    pub pid: u32,
}

/// What the launcher does for its nodes.
#[rpc::service]
pub trait Rendezvous {
    /// Node `rank` listens at `addr`. Answered when every node of the job has said so, or with who failed.
    fn join(&self, rank: u32, addr: SocketAddr, pid: u32) -> Result<Roster, String>;

    /// Node `rank` has nothing more to do, and serves the others still. Answered when every node of the job has said so, or with
    /// who failed: only then may a node leave, since another may need an acknowledgement from it until then.
    fn finalized(&self, rank: u32) -> Result<(), String>;
}
