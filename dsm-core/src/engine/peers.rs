//! The other nodes of the job and the sessions with them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use protocol::NodeId;
use rpc::transport::Peer;

use crate::launch::rendezvous::RosterEntry;

/// Who is who.
#[derive(Debug)]
pub(crate) struct Peers {
    roster: Vec<RosterEntry>,
    by_node: Vec<Option<Peer>>,
    by_peer: BTreeMap<Peer, NodeId>,
}

impl Peers {
    /// The nodes in order of rank; no session yet.
    pub(crate) fn new(roster: Vec<RosterEntry>) -> Peers {
        Peers { by_node: vec![None; roster.len()], roster, by_peer: BTreeMap::new() }
    }

    /// Every node but `me`, with its address.
    pub(crate) fn others(&self, me: NodeId) -> Vec<(NodeId, SocketAddr)> {
        let nodes = self.roster.iter().enumerate().filter_map(|(rank, entry)| Some((NodeId::new(rank)?, entry.addr)));
        nodes.filter(|(node, _)| *node != me).collect()
    }

    /// The session with `node` is this one from now on.
    pub(crate) fn bind(&mut self, node: NodeId, peer: Peer) {
        if let Some(slot) = self.by_node.get_mut(node.rank()) {
            *slot = Some(peer);
            self.by_peer.insert(peer, node);
        }
    }

    /// The session with `node`.
    pub(crate) fn peer(&self, node: NodeId) -> Option<Peer> {
        self.by_node.get(node.rank()).copied().flatten()
    }

    /// Who is at the other end of a session. `None`: nobody of this job.
    pub(crate) fn node(&self, peer: Peer) -> Option<NodeId> {
        self.by_peer.get(&peer).copied()
    }

    /// The process behind `node` and its address.
    pub(crate) fn entry(&self, node: NodeId) -> Option<&RosterEntry> {
        self.roster.get(node.rank())
    }
}
