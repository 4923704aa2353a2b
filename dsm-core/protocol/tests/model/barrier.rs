//! A cluster of barrier machines as a state space.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::NodeId;
use protocol::barrier::{Barrier, BarrierEffect};
use protocol::message::{BarrierMessage, Message};
use protocol::planted::Bug;
use stateright::{Model, Property};

use crate::drain::Drained;

/// What to explore.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: usize,
    /// How often each node comes to the barrier.
    pub generations: u8,
    pub bug: Option<Bug>,
    pub drained: Drained,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    machines: Vec<Arc<Barrier>>,
    network: Arc<BTreeSet<(NodeId, BarrierMessage)>>,
    /// How often each node has come, and gone on.
    entered: Vec<u8>,
    left: Vec<u8>,
    broken: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Enter(NodeId),
    Deliver(NodeId, BarrierMessage),
}

impl State {
    fn with(&self, node: NodeId, event: impl FnOnce(&mut Barrier, &mut Vec<BarrierEffect>)) -> State {
        let (mut machine, mut out) = (Barrier::clone(&self.machines[node.rank()]), Vec::new());
        event(&mut machine, &mut out);
        let mut next = self.clone();
        next.machines[node.rank()] = Arc::new(machine);
        for effect in out {
            match effect {
                BarrierEffect::Send { to, message: Message::Barrier(message) } => {
                    Arc::make_mut(&mut next.network).insert((to, message));
                }
                BarrierEffect::Released { purpose } if purpose == u64::from(next.left[node.rank()]) => {
                    next.left[node.rank()] += 1;
                }
                _ => next.broken = Some("a node is told something else than to go on"),
            }
        }
        next
    }

    fn enter(&self, node: NodeId) -> State {
        // Each generation has a purpose of its own, so that a mix-up is seen.
        let purpose = u64::from(self.entered[node.rank()]);
        let mut coming = self.clone();
        coming.entered[node.rank()] += 1;
        let mut is_taken = true;
        let mut next = coming.with(node, |machine, out| is_taken = machine.enter(purpose, out));
        if !is_taken {
            next.broken = Some("a node that has gone on may not come again");
        }
        next
    }

    fn deliver(&self, to: NodeId, message: BarrierMessage) -> State {
        self.with(to, |machine, out| machine.receive(&message, out))
    }

    fn is_outside(&self, node: NodeId) -> bool {
        self.entered[node.rank()] == self.left[node.rank()]
    }
}

impl Cluster {
    pub fn new(nodes: usize, generations: u8) -> Cluster {
        Cluster { nodes, generations, bug: None, drained: Drained::default() }
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..self.nodes).filter_map(NodeId::new)
    }

    fn drain_step(state: &State) -> Option<State> {
        state.network.iter().map(|&(to, message)| state.deliver(to, message)).find(|next| next != state)
    }

    /// Who may go on has gone on.
    fn is_settled(state: &State) -> bool {
        let least = state.entered.iter().min();
        state.left.iter().all(|left| Some(left) >= least)
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let machine = |node| {
            let mut machine = Barrier::new(node, self.nodes);
            if let Some(bug) = self.bug {
                machine.plant(bug);
            }
            Arc::new(machine)
        };
        vec![State {
            machines: self.nodes().map(machine).collect(),
            network: Arc::default(),
            entered: vec![0; self.nodes],
            left: vec![0; self.nodes],
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        actions.extend(state.network.iter().map(|&(to, message)| Action::Deliver(to, message)));
        let comes = |node: &NodeId| state.is_outside(*node) && state.entered[node.rank()] < self.generations;
        actions.extend(self.nodes().filter(comes).map(Action::Enter));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let next = match action {
            Action::Enter(node) => last.enter(node),
            Action::Deliver(to, message) => last.deliver(to, message),
        };
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("all agree on what the barrier is for", |_, state: &State| state.broken.is_none()),
            Property::always("nobody goes on before the last has come", |_, state: &State| {
                state.left.iter().max() <= state.entered.iter().min()
            }),
            Property::always("when all have come, all go on", |cluster: &Cluster, state: &State| {
                state.broken.is_some() || cluster.drained.drains(state, Cluster::drain_step, Cluster::is_settled)
            }),
            Property::sometimes("all have gone on for good", |cluster: &Cluster, state: &State| {
                state.left.iter().all(|&left| left == cluster.generations)
            }),
            Property::sometimes("one is a generation ahead", |_, state: &State| {
                state.entered.iter().max() > state.left.iter().min().map(|least| least + 1).as_ref()
            }),
        ]
    }
}
