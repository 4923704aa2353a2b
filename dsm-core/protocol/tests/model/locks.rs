//! A cluster of lock machines as a state space: one lock, two threads a node.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::locks::{LockEffect, Locks, Waiter};
use protocol::message::{LockMessage, Message};
use protocol::planted::Bug;
use protocol::{LockId, NodeId};
use stateright::{Model, Property};

use crate::drain::Drained;

const LOCK: LockId = LockId(0);

/// What to explore. Node 0 is the home of the lock.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: usize,
    /// How many threads of each node want the lock, once each.
    pub requests: u8,
    pub bug: Option<Bug>,
    pub drained: Drained,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    machines: Vec<Arc<Locks>>,
    network: Arc<BTreeSet<(NodeId, NodeId, LockMessage)>>,
    /// By node: how many of its threads have asked.
    asked: Vec<u8>,
    /// Who holds the lock.
    holders: Vec<(NodeId, Waiter)>,
    served: BTreeSet<(NodeId, Waiter)>,
    broken: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Acquire(NodeId),
    Release(NodeId),
    Deliver(NodeId, NodeId, LockMessage),
}

impl State {
    fn with(&self, node: NodeId, event: impl FnOnce(&mut Locks, &mut Vec<LockEffect>)) -> State {
        let (mut machine, mut out) = (Locks::clone(&self.machines[node.rank()]), Vec::new());
        event(&mut machine, &mut out);
        let mut next = self.clone();
        next.machines[node.rank()] = Arc::new(machine);
        for effect in out {
            match effect {
                LockEffect::Send { to, message: Message::Lock(message) } => {
                    Arc::make_mut(&mut next.network).insert((node, to, message));
                }
                LockEffect::Send { .. } => next.broken = Some("a message that is not about a lock"),
                LockEffect::Acquired { waiter, .. } => {
                    next.holders.push((node, waiter));
                    let is_new = next.served.insert((node, waiter));
                    if !is_new || waiter.0 >= u64::from(next.asked[node.rank()]) {
                        next.broken = Some("the lock for one who did not ask");
                    }
                }
            }
        }
        next
    }

    fn acquire(&self, node: NodeId) -> State {
        let waiter = Waiter(u64::from(self.asked[node.rank()]));
        let mut asking = self.clone();
        asking.asked[node.rank()] += 1;
        asking.with(node, |machine, out| machine.acquire(LOCK, waiter, out))
    }

    fn release(&self, node: NodeId) -> State {
        let mut letting_go = self.clone();
        if let Some(place) = letting_go.holders.iter().position(|(holder, _)| *holder == node) {
            letting_go.holders.remove(place);
        }
        let mut is_taken = true;
        let mut next = letting_go.with(node, |machine, out| is_taken = machine.release(LOCK, out));
        if !is_taken {
            next.broken = Some("a release by the holder is refused");
        }
        next
    }

    fn deliver(&self, (from, to, message): (NodeId, NodeId, LockMessage)) -> State {
        self.with(to, |machine, out| machine.receive(from, &message, out))
    }
}

impl Cluster {
    pub fn new(nodes: usize, requests: u8) -> Cluster {
        Cluster { nodes, requests, bug: None, drained: Drained::default() }
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..self.nodes).filter_map(NodeId::new)
    }

    /// What happens when nobody asks any more and holders let go.
    fn drain_step(state: &State) -> Option<State> {
        let delivered = state.network.iter().map(|&packet| state.deliver(packet)).find(|next| next != state);
        delivered.or_else(|| state.holders.first().map(|&(node, _)| state.release(node)))
    }

    fn is_settled(&self, state: &State) -> bool {
        self.nodes().all(|node| {
            (0..state.asked[node.rank()]).all(|waiter| state.served.contains(&(node, Waiter(u64::from(waiter)))))
        })
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let machine = |node| {
            let mut machine = Locks::new(node, self.nodes);
            if let Some(bug) = self.bug {
                machine.plant(bug);
            }
            Arc::new(machine)
        };
        vec![State {
            machines: self.nodes().map(machine).collect(),
            network: Arc::default(),
            asked: vec![0; self.nodes],
            holders: Vec::new(),
            served: BTreeSet::new(),
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() || state.holders.len() > 1 {
            return;
        }
        actions.extend(state.network.iter().map(|&(from, to, message)| Action::Deliver(from, to, message)));
        actions.extend(state.holders.iter().map(|&(node, _)| Action::Release(node)));
        let asks = self.nodes().filter(|node| state.asked[node.rank()] < self.requests);
        actions.extend(asks.map(Action::Acquire));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let next = match action {
            Action::Acquire(node) => last.acquire(node),
            Action::Release(node) => last.release(node),
            Action::Deliver(from, to, message) => last.deliver((from, to, message)),
        };
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("effects can be carried out", |_, state: &State| state.broken.is_none()),
            Property::always("at most one holder", |_, state: &State| state.holders.len() <= 1),
            Property::always("without new requests all are served", |cluster: &Cluster, state: &State| {
                state.broken.is_some()
                    || state.holders.len() > 1
                    || cluster.drained.drains(state, Cluster::drain_step, |state| cluster.is_settled(state))
            }),
            Property::sometimes("the token has been everywhere", |cluster: &Cluster, state: &State| {
                cluster.nodes().all(|node| state.served.iter().any(|(served, _)| *served == node))
            }),
            Property::sometimes("all wait behind one holder", |cluster: &Cluster, state: &State| {
                state.holders.len() == 1
                    && state.served.len() == 1
                    && state.asked.iter().all(|&asked| asked > 0)
                    && cluster.nodes > 1
            }),
        ]
    }
}
