//! The dissemination barrier (Hensgen, Finkel and Manber 1988; Mellor-Crummey and Scott 1991).
//!
//! In round `k` a node tells the node `2^k` places ahead of it that it came this far, and goes on when the node `2^k` places
//! behind has told it the same. After `ceil(log2 n)` rounds every node has heard, directly or through others, of every other. Each
//! node sends one message a round, there is no central node, and two nodes need a single one-way trip.
//!
//! Each message carries a *purpose*, a number that says what the sender believes this barrier is for. Neighbours that
//! disagree find out here: a program whose nodes call different collectives gets an error instead of a hang.

use crate::ids::NodeId;
use crate::message::{BarrierMessage, Message};
use crate::planted::{Bug, Planted};

/// What the owner of a [`Barrier`] must do, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BarrierEffect {
    /// Send `message` to `to`.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: Message,
    },
    /// Every node has arrived: let the caller go on.
    Released {
        /// What this barrier was for.
        purpose: u64,
    },
    /// `node` is in another collective than we are: the program's nodes disagree, and nothing can heal that.
    Disagreement {
        /// The other node.
        node: NodeId,
        /// What it said its barrier is for.
        theirs: u64,
        /// What ours is for.
        ours: u64,
    },
}

/// The barrier at one node. A job has one; its generations follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Barrier {
    me: NodeId,
    nodes: usize,
    generation: u64,
    round: u8,
    purpose: Option<u64>,
    /// What came for this generation and for the next, by round: a neighbour can be one generation ahead, never two.
    heard: [Vec<Option<u64>>; 2],
    pub(crate) planted: Planted,
}

impl Barrier {
    /// The barrier of a job with `nodes` nodes, at node `me`.
    pub fn new(me: NodeId, nodes: usize) -> Barrier {
        let rounds = nodes.next_power_of_two().trailing_zeros() as usize;
        let heard = [vec![None; rounds], vec![None; rounds]];
        Barrier { me, nodes, generation: 0, round: 0, purpose: None, heard, planted: Planted::default() }
    }

    /// Whether this node has entered the present generation and waits for others.
    pub fn is_waiting(&self) -> bool {
        self.purpose.is_some()
    }

    /// This node arrives. `false`, and no effect, when it is waiting at the barrier already.
    pub fn enter(&mut self, purpose: u64, out: &mut Vec<BarrierEffect>) -> bool {
        if self.purpose.is_some() {
            return false;
        }
        self.purpose = Some(purpose);
        self.round = 0;
        if self.rounds() > 0 {
            self.tell(purpose, out);
        }
        self.advance(out);
        true
    }

    /// A message arrives from another node.
    pub fn receive(&mut self, message: &BarrierMessage, out: &mut Vec<BarrierEffect>) {
        let ahead = message.generation.wrapping_sub(self.generation);
        let (Ok(ahead), round) = (usize::try_from(ahead), usize::from(message.round)) else { return };
        let ahead = if self.planted.has(Bug::BarrierGenerationIgnored) { 0 } else { ahead };
        let round = if self.planted.has(Bug::BarrierRoundIgnored) { usize::from(self.round) } else { round };
        let Some(slot) = self.heard.get_mut(ahead).and_then(|rounds| rounds.get_mut(round)) else { return };
        *slot = Some(message.purpose);
        self.advance(out);
    }

    /// The only node that sends this one messages of that round, if there is such a round. A message of another is to be ignored.
    pub fn predecessor(&self, round: u8) -> Option<NodeId> {
        let is_round = usize::from(round) < self.rounds();
        is_round.then(|| self.neighbour(self.nodes - (1 << round) % self.nodes))
    }

    fn rounds(&self) -> usize {
        self.heard[0].len() - usize::from(self.nodes > 2 && self.planted.has(Bug::BarrierRoundMissing))
    }

    fn distance(&self) -> usize {
        1 << self.round
    }

    fn neighbour(&self, places: usize) -> NodeId {
        NodeId::new((self.me.rank() + places) % self.nodes).unwrap_or(self.me)
    }

    fn tell(&self, purpose: u64, out: &mut Vec<BarrierEffect>) {
        let message = BarrierMessage { generation: self.generation, round: self.round, purpose };
        out.push(BarrierEffect::Send { to: self.neighbour(self.distance()), message: Message::Barrier(message) });
    }

    fn advance(&mut self, out: &mut Vec<BarrierEffect>) {
        let Some(ours) = self.purpose else { return };
        while usize::from(self.round) < self.rounds() {
            let Some(theirs) = self.heard[0][usize::from(self.round)] else { return };
            if theirs != ours {
                let node = self.predecessor(self.round).unwrap_or(self.me);
                out.push(BarrierEffect::Disagreement { node, theirs, ours });
                return;
            }
            self.round += 1;
            if usize::from(self.round) < self.rounds() {
                self.tell(ours, out);
            }
        }
        self.purpose = None;
        self.generation += 1;
        self.heard.swap(0, 1);
        self.heard[1].fill(None);
        out.push(BarrierEffect::Released { purpose: ours });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Cluster {
        nodes: Vec<Barrier>,
        flight: Vec<(NodeId, BarrierMessage)>,
        released: Vec<u64>,
        sent: usize,
    }

    impl Cluster {
        fn new(nodes: usize) -> Cluster {
            Cluster {
                nodes: (0..nodes).map(|rank| Barrier::new(NodeId::new(rank).unwrap(), nodes)).collect(),
                flight: Vec::new(),
                released: vec![0; nodes],
                sent: 0,
            }
        }

        fn carry_out(&mut self, rank: usize, effects: Vec<BarrierEffect>) {
            for effect in effects {
                match effect {
                    BarrierEffect::Send { to, message: Message::Barrier(message) } => {
                        self.sent += 1;
                        self.flight.push((to, message));
                    }
                    BarrierEffect::Released { .. } => self.released[rank] += 1,
                    other => panic!("unexpected {other:?}"),
                }
            }
        }

        fn enter(&mut self, rank: usize) {
            let mut out = Vec::new();
            assert!(self.nodes[rank].enter(7, &mut out));
            self.carry_out(rank, out);
        }

        /// Delivers everything, newest first (reordered) and each message twice (duplicated).
        fn settle(&mut self) {
            while let Some((to, message)) = self.flight.pop() {
                for _ in 0..2 {
                    let mut out = Vec::new();
                    self.nodes[to.rank()].receive(&message, &mut out);
                    self.carry_out(to.rank(), out);
                }
            }
        }
    }

    #[test]
    fn nobody_leaves_before_the_last_has_come_and_all_leave_then() {
        for nodes in 1..=17 {
            let mut cluster = Cluster::new(nodes);
            for generation in 0..5 {
                for step in 0..nodes {
                    assert!(cluster.released.iter().all(|&count| count == generation));
                    cluster.enter((nodes - 1 - step + generation as usize) % nodes);
                    cluster.settle();
                }
                assert!(cluster.released.iter().all(|&count| count == generation + 1), "{nodes} nodes");
            }
        }
    }

    #[test]
    fn each_node_sends_one_message_a_round() {
        let mut cluster = Cluster::new(64);
        (0..64).for_each(|rank| cluster.enter(rank));
        cluster.settle();
        assert_eq!(cluster.sent, 64 * 6);
    }

    #[test]
    fn nodes_in_different_collectives_are_told() {
        let [mut a, mut b] = [0, 1].map(|rank| Barrier::new(NodeId::new(rank).unwrap(), 2));
        let mut out = Vec::new();
        a.enter(1, &mut out);
        let Some(BarrierEffect::Send { message: Message::Barrier(message), .. }) = out.pop() else { panic!() };
        b.enter(2, &mut out);
        out.clear();
        b.receive(&message, &mut out);
        assert_eq!(out, [BarrierEffect::Disagreement { node: NodeId::new(0).unwrap(), theirs: 1, ours: 2 }]);
    }

    #[test]
    fn wild_generations_and_rounds_are_ignored() {
        let mut barrier = Barrier::new(NodeId::new(0).unwrap(), 3);
        let mut out = Vec::new();
        for (generation, round) in [(u64::MAX, 0), (2, 0), (0, 200), (1, 2)] {
            barrier.receive(&BarrierMessage { generation, round, purpose: 0 }, &mut out);
        }
        assert_eq!((barrier, out), (Barrier::new(NodeId::new(0).unwrap(), 3), Vec::new()));
    }

    #[test]
    fn a_second_thread_at_the_barrier_is_refused() {
        let mut barrier = Barrier::new(NodeId::new(0).unwrap(), 2);
        let mut out = Vec::new();
        assert!(barrier.enter(0, &mut out));
        assert!(!barrier.enter(0, &mut out));
    }
}
