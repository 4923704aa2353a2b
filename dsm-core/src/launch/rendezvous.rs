//! How nodes find each other: each tells the launcher where it listens, and gets the addresses of all. The service has the job's
//! key: nobody else can join, nor see who did.

use std::net::SocketAddr;
use std::sync::Arc;

use rpc::driver::DriverConfig;
use rpc::{Security, Server, ServerHandle};
use serde::{Deserialize, Serialize};

use super::LaunchError;
use super::registry::Registry;

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
    /// Enters node `rank`, whose socket is at `addr`. The answer comes when all nodes have joined, so the caller's deadline must
    /// leave the slowest of them time to start; or, as an error for people to read, when not all can join any more, or when this
    /// rank or address has joined already.
    fn join(&self, rank: u32, addr: SocketAddr, pid: u32) -> Result<Roster, String>;

    /// Node `rank` has nothing more to do, and serves the others still. Answered when every node of the job has said so, or with
    /// who failed: only then may a node leave, since another may need an acknowledgement from it until then. A node that exits
    /// without having said so has failed, whatever its status.
    fn finalized(&self, rank: u32) -> Result<(), String>;
}

struct Desk(Arc<Registry>);

impl Rendezvous for Desk {
    fn join(&self, rank: u32, addr: SocketAddr, pid: u32) -> Result<Roster, String> {
        self.0.join(rank, addr, pid)
    }

    fn finalized(&self, rank: u32) -> Result<(), String> {
        self.0.finalized(rank)
    }
}

/// The running service. Dropping it refuses the nodes that still wait, then ends it.
pub(super) struct Meeting {
    registry: Arc<Registry>,
    server: ServerHandle,
}

impl Meeting {
    /// Starts the service at `listen` for a job of `nodes` nodes.
    pub(super) fn open(listen: SocketAddr, nodes: usize, security: Security) -> Result<Meeting, LaunchError> {
        let registry = Arc::new(Registry::new(nodes));
        // A node's call holds a worker while it waits, so each node has one; one more refuses strangers in the meantime.
        let server = Server::builder(DriverConfig::new(security))
            .bind(listen)
            .and_then(|builder| {
                builder.pool(nodes + 1).serve(RendezvousServer::new(Desk(Arc::clone(&registry)))).start()
            })
            .map_err(|source| LaunchError::Rendezvous { addr: listen, source })?;
        Ok(Meeting { registry, server })
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.server.local_addr()
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        // A server ends only when its handlers have returned.
        self.registry.fail("the launcher has ended the job".to_string());
    }
}
