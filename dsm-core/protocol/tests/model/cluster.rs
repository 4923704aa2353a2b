//! A cluster of machines as a state space.

use std::collections::BTreeSet;

use protocol::message::{Access, PageMessage};
use protocol::sequential::{Effect, Pages};
use protocol::{Epoch, NodeId, Page, Placement};
use stateright::{Model, Property};

/// What to explore.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub nodes: usize,
    /// The home of each page.
    pub homes: Vec<NodeId>,
    /// How many faults each node's program may cause.
    pub requests: u8,
}

/// Page bytes: how many stores they have seen.
type Ghost = u8;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet {
    from: NodeId,
    to: NodeId,
    message: PageMessage,
    bytes: Option<Ghost>,
}

/// A page frame at a node, and how the program sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    frame: Ghost,
    mapped: Option<Access>,
    /// The program has stored since it was last allowed to.
    stored: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    machines: Vec<Pages>,
    views: Vec<Vec<View>>,
    /// Everything that was ever sent: each may arrive now, again, or later.
    network: BTreeSet<Packet>,
    holds: BTreeSet<(NodeId, Page, Epoch)>,
    requests_left: Vec<u8>,
    truth: Vec<Ghost>,
    broken: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Fault(NodeId, Page, Access),
    Store(NodeId, Page),
    Deliver(Packet),
    Expire(NodeId, Page, Epoch),
}

impl State {
    fn act(&mut self, action: Action) {
        let mut out = Vec::new();
        match action {
            Action::Fault(node, page, access) => {
                self.requests_left[node.rank()] -= 1;
                if self.machines[node.rank()].fault(page, access, &mut out).is_err() {
                    self.broken = Some("a fault on an allocated page was refused");
                }
                self.carry_out(node, out, None);
            }
            Action::Store(node, page) => {
                let page = page.0 as usize;
                let view = &mut self.views[node.rank()][page];
                view.stored = true;
                self.truth[page] += 1;
                view.frame = self.truth[page];
            }
            Action::Deliver(Packet { from, to, message, bytes }) => {
                self.machines[to.rank()].receive(from, message, &mut out);
                self.carry_out(to, out, bytes);
            }
            Action::Expire(node, page, epoch) => {
                self.holds.remove(&(node, page, epoch));
                self.machines[node.rank()].hold_expired(page, epoch, &mut out);
                self.carry_out(node, out, None);
            }
        }
    }

    fn carry_out(&mut self, me: NodeId, effects: Vec<Effect>, received: Option<Ghost>) {
        for effect in effects {
            let broken = self.effect(me, effect, received);
            self.broken = self.broken.or(broken);
        }
    }

    fn effect(&mut self, me: NodeId, effect: Effect, received: Option<Ghost>) -> Option<&'static str> {
        let views = &mut self.views[me.rank()];
        let mut map = |page: Page, access| {
            let view = &mut views[page.0 as usize];
            let before = std::mem::replace(view, View { mapped: Some(access), stored: false, ..*view });
            before.mapped
        };
        match effect {
            Effect::Send { to, message } => {
                let bytes = message.carries_bytes().then(|| views[message.page().0 as usize].frame);
                self.network.insert(Packet { from: me, to, message, bytes });
                None
            }
            Effect::Fill { page } => {
                let view = &mut views[page.0 as usize];
                let live = view.mapped.is_some();
                match received {
                    Some(bytes) => view.frame = bytes,
                    None => return Some("a fill without bytes"),
                }
                live.then_some("bytes landed in a live page")
            }
            Effect::Zero { page } => {
                let view = views[page.0 as usize];
                (view.mapped.is_some() || view.frame != 0).then_some("a page that was written is said to be zero")
            }
            Effect::Map { page, access } => {
                map(page, access);
                None
            }
            Effect::Upgrade { page } => {
                (map(page, Access::Write) != Some(Access::Read)).then_some("an upgrade of a page that is not mapped")
            }
            Effect::Protect { page } => {
                (map(page, Access::Read) != Some(Access::Write)).then_some("protection of a page that is not writable")
            }
            Effect::Discard { page } => {
                let before = views[page.0 as usize].mapped.take();
                before.is_none().then_some("a discard of a page that is not mapped")
            }
            Effect::Hold { page, epoch } => {
                self.holds.insert((me, page, epoch));
                None
            }
        }
    }

    /// One writer or many readers.
    fn is_exclusive(&self) -> bool {
        (0..self.truth.len()).all(|page| {
            let mapped: Vec<_> = self.views.iter().filter_map(|views| views[page].mapped).collect();
            mapped.len() <= 1 || mapped.iter().all(|&access| access == Access::Read)
        })
    }

    /// Whatever a program can load is the newest value.
    fn is_fresh(&self) -> bool {
        self.views.iter().all(|views| {
            views.iter().zip(&self.truth).all(|(view, &truth)| view.mapped.is_none() || view.frame == truth)
        })
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let machines = (0..self.nodes)
            .map(|rank| {
                let mut machine = Pages::new(NodeId::new(rank).unwrap(), self.nodes);
                self.homes.iter().for_each(|&home| {
                    machine.extend(1, Placement::Node(home));
                });
                machine
            })
            .collect();
        vec![State {
            machines,
            views: vec![vec![View::default(); self.homes.len()]; self.nodes],
            network: BTreeSet::new(),
            holds: BTreeSet::new(),
            requests_left: vec![self.requests; self.nodes],
            truth: vec![0; self.homes.len()],
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(state.network.iter().cloned().map(Action::Deliver));
        actions.extend(state.holds.iter().map(|&(node, page, epoch)| Action::Expire(node, page, epoch)));
        for node in (0..self.nodes).filter_map(NodeId::new) {
            for page in (0..self.homes.len() as u64).map(Page) {
                let view = state.views[node.rank()][page.0 as usize];
                if view.mapped == Some(Access::Write) && !view.stored {
                    actions.push(Action::Store(node, page));
                }
                if state.requests_left[node.rank()] > 0 {
                    let wanted = [Access::Read, Access::Write].into_iter().filter(|&access| view.mapped < Some(access));
                    actions.extend(wanted.map(|access| Action::Fault(node, page, access)));
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        next.act(action);
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("effects make sense", |_, state: &State| state.broken.is_none()),
            Property::always("one writer or many readers", |_, state: &State| state.is_exclusive()),
            Property::always("every readable copy is fresh", |_, state: &State| state.is_fresh()),
        ]
    }
}
