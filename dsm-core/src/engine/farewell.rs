//! The last words of a node that ends because it lost another.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::{Message, NodeId};

use super::{Engine, Fatal};

/// How long to wait until the others have heard: enough for several retransmissions.
const PATIENCE: Duration = Duration::from_millis(1000);

impl Engine {
    /// Tells every other node whom this one lost, and waits until they have heard it, or for a second. Otherwise they would see this
    /// node's end first, and blame the wrong one.
    pub(super) fn say_farewell(&mut self, why: &Fatal) {
        let Fatal::PeerLost { node: lost, .. } = *why else { return };
        let others: Vec<NodeId> = self.peers.others(self.me).into_iter().map(|(node, _)| node).collect();
        for &node in others.iter().filter(|node| **node != lost) {
            // The session with this one may have ended too; then there is nobody to tell.
            let _ = self.send(node, &Message::Obituary(lost));
        }
        self.driver.flush();
        let start = Instant::now();
        while start.elapsed() < PATIENCE && self.is_heard(&others, lost) == Some(false) {
            let mut socket = [PollFd::new(self.driver.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut socket, PollTimeout::from(1u8));
        }
    }

    /// Whether everybody but `lost` has acknowledged everything. `None`: the socket does not work any more.
    fn is_heard(&mut self, others: &[NodeId], lost: NodeId) -> Option<bool> {
        let mut inbox = self.inbox.take().unwrap_or_default();
        let received = self.driver.receive(&mut inbox);
        inbox.drain().for_each(drop);
        self.inbox = Some(inbox);
        received.ok()?;
        let peers = others.iter().filter(|node| **node != lost).filter_map(|&node| self.peers.peer(node));
        Some(peers.map(|peer| self.driver.unacknowledged(peer)).sum::<usize>() == 0)
    }
}
