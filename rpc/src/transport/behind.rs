//! What was put off: acknowledgements are taken, and timers set, when the datagrams that could leave have left.

use super::link::Context;
use super::peers::State;
use super::{Peer, Transport, context};
use crate::time::Time;

impl Transport {
    /// Does what was put off, because no datagram that could leave had to wait for it: takes acknowledgements, and sets timers.
    pub(crate) fn catch_up(&mut self, now: Time) {
        while let Some(peer) = self.peers.next_behind() {
            self.read(peer);
            let Some(session) = self.peers.get_mut(peer) else { continue };
            if let State::Up(link) = &mut session.state {
                link.arm(now, context!(self));
            }
            let wake = session.state.next_timeout(&self.config);
            self.peers.wake_at(peer, wake);
            self.peers.enqueue(peer);
        }
    }

    /// Whether [`Self::catch_up`] has something to do.
    pub(crate) fn is_behind(&self) -> bool {
        self.peers.all_behind().next().is_some()
    }

    /// Takes the acknowledgement that a peer has sent last, if that was not done yet.
    pub(super) fn read(&mut self, peer: Peer) {
        let Some(session) = self.peers.get_mut(peer) else { return };
        if let State::Up(link) = &mut session.state {
            let queued = link.send.queued_bytes();
            link.read(context!(self));
            self.queued = self.queued + link.send.queued_bytes() - queued;
        }
    }

    /// The same for all of them.
    pub(super) fn read_all(&mut self) {
        let behind: Vec<_> = self.peers.all_behind().map(|session| session.peer).collect();
        behind.into_iter().for_each(|peer| self.read(peer));
    }
}
