//! How a node ends.

use std::time::Duration;

use protocol::{Message, NodeId};
use rpc::time::Time;
use rpc::transport::LostReason;

use super::{Around, Node, Stop};

/// Why a node cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The session with another node ended.
    #[error("lost {node}: {reason}")]
    Lost {
        /// Which.
        node: NodeId,
        /// Why.
        reason: LostReason,
    },
    /// Another node said that it lost one.
    #[error("{by} lost {node}")]
    Reported {
        /// Who is lost.
        node: NodeId,
        /// Who said so.
        by: NodeId,
    },
    /// Another node has given this one up.
    #[error("{by} has given this node up")]
    GivenUp {
        /// Who.
        by: NodeId,
    },
    /// It stood still for too long.
    #[error("it stood still for too long")]
    Fenced,
    /// The transport takes no more for another node.
    #[error("it cannot send to {to}")]
    CannotSend {
        /// To whom.
        to: NodeId,
    },
    /// Another node is in another collective call.
    #[error("{node} is in another collective call")]
    Disagreement {
        /// Which.
        node: NodeId,
    },
}

impl Fatal {
    /// Whom this node holds to be dead.
    pub fn blamed(&self) -> Option<NodeId> {
        match *self {
            Fatal::Lost { node, .. } | Fatal::Reported { node, .. } => Some(node),
            _ => None,
        }
    }
}

/// How far a node's process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Bound its socket, and waits for the others.
    Unborn,
    Running,
    /// It lost a node, tells the others, and waits until they have heard it, or until this time.
    Farewell {
        lost: NodeId,
        until: Time,
    },
    /// Another process has its address, and knows nothing.
    Stranger,
    /// It is gone, and its machine says so to whoever sends (or is gone, too).
    Gone {
        refuses: bool,
    },
}

/// As in the engine.
const PATIENCE: Duration = Duration::from_millis(1_000);

impl Node {
    /// Whether it takes part.
    pub fn is_running(&self) -> bool {
        self.life == Life::Running
    }

    /// Whether the death of another is its affair: once the last barrier is passed, it is the launcher's.
    pub fn must_notice(&self) -> bool {
        self.is_running() && !self.leaving
    }

    /// Whether its program can still see memory: the process ends only when the others have heard why.
    pub fn sees_memory(&self) -> bool {
        matches!(self.life, Life::Running | Life::Farewell { .. })
    }

    /// Whether all of its program is through.
    pub fn is_finished(&self) -> bool {
        self.leaving && self.threads.iter().all(super::Thread::is_done)
    }

    /// Ends the process, having told the others why where they should know.
    pub fn end(&mut self, why: Fatal, cx: &mut Around<'_, '_>) {
        let Some(lost) = why.blamed() else { return self.die(Life::Gone { refuses: true }) };
        let me = self.me;
        for node in (0..cx.scenario.nodes).filter_map(NodeId::new).filter(|node| *node != me && *node != lost) {
            // The session with this one may have ended too; then there is nobody to tell.
            let _ = self.send(node, &Message::Obituary(lost), None, cx);
        }
        self.flush(cx);
        self.life = Life::Farewell { lost, until: cx.now + PATIENCE };
    }

    /// A turn of a node that has nothing to do any more but to be heard. Its engine takes no faults and no calls.
    pub fn farewell(&mut self, lost: NodeId, until: Time, cx: &mut Around<'_, '_>) {
        let (batch, _) = self.read(cx);
        batch.into_iter().for_each(|datagram| cx.network.give_back(datagram.bytes));
        let others = self.peers.iter().enumerate().filter(|(rank, _)| *rank != lost.rank());
        let owed: usize = others.filter_map(|(_, peer)| Some(self.machines.transport.unacknowledged((*peer)?))).sum();
        if owed == 0 || cx.now >= until {
            self.die(Life::Gone { refuses: true });
        }
    }

    /// A turn of the process that came to have the address of a dead node.
    pub fn be_strange(&mut self, cx: &mut Around<'_, '_>) {
        let (batch, _) = self.read(cx);
        batch.into_iter().for_each(|datagram| cx.network.give_back(datagram.bytes));
    }

    /// The process is gone, and another gets its address: one of the same program, but of another job, who calls the others.
    pub fn be_replaced(&mut self, cx: &mut Around<'_, '_>) {
        self.die(Life::Stranger);
        self.machines.transport = super::transport(cx.random);
        for node in (0..cx.scenario.nodes).filter(|node| *node != self.me.rank()) {
            // Whether there is an answer does not matter.
            let _ = self.machines.transport.connect(cx.now, cx.network.addr(node));
        }
        self.flush(cx);
    }

    /// The process dies at once.
    pub fn die(&mut self, life: Life) {
        self.threads.clear();
        self.faults.clear();
        self.holds.clear();
        self.echoes.clear();
        self.inbox.clear();
        self.inbox_bytes = 0;
        self.life = life;
    }
}

impl From<Fatal> for Stop {
    fn from(why: Fatal) -> Stop {
        Stop::Fatal(why)
    }
}
