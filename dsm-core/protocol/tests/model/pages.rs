//! A cluster of page machines as a state space.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::message::{Contents, Handover, PageMessage};
use protocol::planted::Bug;
use protocol::sequential::{Effect, Pages};
use protocol::{Epoch, NodeId, Page, Placement};
use stateright::{Model, Property};

use crate::drain::Drained;
use crate::events::{Event, Events};

pub use protocol::message::Access;

/// What to explore.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: usize,
    /// The home of each page, by rank.
    pub homes: Vec<usize>,
    /// How many faults and hints each node's program may cause.
    pub requests: u8,
    /// Whether it gives hints: what to fetch before anybody needs it.
    pub hints: bool,
    /// Whether nodes have read and written the pages in turn before, so that they migrate.
    pub in_turn: bool,
    pub bug: Option<Bug>,
    pub drained: Drained,
}

/// Page bytes: how many stores they have seen.
type Ghost = u8;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet {
    pub from: NodeId,
    pub to: NodeId,
    pub message: PageMessage,
    pub bytes: Option<Ghost>,
}

/// A page frame at a node, and how the program sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    pub frame: Ghost,
    pub mapped: Option<Access>,
    /// The program has stored since it was last allowed to.
    pub stored: bool,
    /// What a thread of the program has faulted for, and not got.
    pub waiting: Option<Access>,
    /// The page is being fetched ahead of the program, and has not come.
    pub ahead: bool,
    /// The hold that runs: until it ends, the page may not be taken away.
    pub held: Option<Epoch>,
}

/// Everything that is, and that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub machines: Vec<Arc<Pages>>,
    /// By node, then by page.
    pub views: Vec<View>,
    /// Everything that was ever sent: each may arrive now, again, or later.
    pub network: Arc<BTreeSet<Packet>>,
    /// Timers of holds, also of such as a later grant has made void.
    pub holds: Arc<BTreeSet<(NodeId, Page, Epoch)>>,
    pub requests_left: Vec<u8>,
    /// The newest bytes of each page.
    pub truth: Vec<Ghost>,
    pub broken: Option<&'static str>,
    pub events: Events,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Fault(NodeId, Page, Access),
    Prefetch(NodeId, Page),
    Store(NodeId, Page),
    Deliver(Packet),
    Expire(NodeId, Page, Epoch),
}

impl State {
    pub fn view(&self, node: NodeId, page: Page) -> &View {
        &self.views[node.rank() * self.truth.len() + page.0 as usize]
    }

    fn view_mut(&mut self, node: NodeId, page: Page) -> &mut View {
        &mut self.views[node.rank() * self.truth.len() + page.0 as usize]
    }

    /// Gives an event to a machine; `None` when neither it nor anything else changes.
    fn after(&self, node: NodeId, event: impl FnOnce(&mut Pages, &mut Vec<Effect>)) -> Option<(State, Vec<Effect>)> {
        let before = &self.machines[node.rank()];
        let (mut machine, mut out) = (Pages::clone(before), Vec::new());
        event(&mut machine, &mut out);
        if out.is_empty() && machine == **before {
            return None;
        }
        let mut next = self.clone();
        next.events = Events::default();
        next.machines[node.rank()] = Arc::new(machine);
        Some((next, out))
    }

    fn carry_out(mut self, me: NodeId, effects: Vec<Effect>, received: Option<Ghost>) -> State {
        for effect in effects {
            let broken = self.effect(me, effect, received);
            self.broken = self.broken.or(broken);
        }
        self
    }

    /// What the engine would do; says what it could not have done.
    fn effect(&mut self, me: NodeId, effect: Effect, received: Option<Ghost>) -> Option<&'static str> {
        match effect {
            Effect::Send { to, message } => {
                let view = self.view(me, message.page());
                let bytes = message.carries_bytes().then_some(view.frame);
                let is_live = bytes.is_some() && view.mapped == Some(Access::Write);
                let packet = Packet { from: me, to, message, bytes };
                if !self.network.contains(&packet) {
                    Arc::make_mut(&mut self.network).insert(packet);
                }
                is_live.then_some("a copy is taken while the program may store")
            }
            Effect::Fill { page } => {
                let Some(bytes) = received else { return Some("a fill without bytes") };
                let view = self.view_mut(me, page);
                view.frame = bytes;
                view.mapped.is_some().then_some("bytes land in a live page")
            }
            Effect::Zero { page } => {
                self.events.add(Event::ZeroPage);
                let view = self.view(me, page);
                (view.mapped.is_some() || view.frame != 0).then_some("a page that was written is said to be zero")
            }
            Effect::Map { page, access } => {
                self.map(me, page, access);
                None
            }
            Effect::Upgrade { page } => {
                self.events.add(Event::Upgrade);
                let before = self.map(me, page, Access::Write);
                (before != Some(Access::Read)).then_some("an upgrade of a page that is not mapped for loads")
            }
            Effect::Protect { page } => {
                self.events.add(Event::Downgrade);
                let view = self.view_mut(me, page);
                let before = view.mapped.replace(Access::Read);
                view.stored = false;
                let taken = view.held.is_some().then_some("a held page is protected");
                (before != Some(Access::Write)).then_some("protection of a page that is not writable").or(taken)
            }
            Effect::Discard { page } => {
                let view = self.view_mut(me, page);
                let before = view.mapped.take();
                view.stored = false;
                let taken = view.held.is_some().then_some("a held page is taken away");
                if view.waiting == Some(Access::Write) {
                    self.events.add(Event::UpgradeRaceLost);
                }
                before.is_none().then_some("a discard of a page that is not mapped").or(taken)
            }
            Effect::Hold { page, epoch } => {
                self.view_mut(me, page).held = Some(epoch);
                Arc::make_mut(&mut self.holds).insert((me, page, epoch));
                None
            }
        }
    }

    fn map(&mut self, me: NodeId, page: Page, access: Access) -> Option<Access> {
        let view = self.view_mut(me, page);
        if view.waiting <= Some(access) {
            view.waiting = None;
        }
        view.ahead = false;
        let is_partial = view.waiting.is_some();
        let before = view.mapped.replace(access);
        if is_partial {
            self.events.add(Event::WriteFollowsRead);
        }
        before
    }

    fn fault(&self, node: NodeId, page: Page, access: Access) -> Option<State> {
        let mut refused = false;
        let (mut next, out) =
            self.after(node, |machine, out| refused = machine.fault(page, access, out).is_err()).or_else(|| {
                // The machine may have nothing to do; the thread waits all the same.
                Some((State { events: Events::default(), ..self.clone() }, Vec::new()))
            })?;
        next.requests_left[node.rank()] -= 1;
        let view = next.view_mut(node, page);
        view.waiting = view.waiting.max(Some(access));
        if view.ahead {
            next.events.add(Event::HintIsInTime);
        }
        if refused {
            next.broken = Some("a fault on an allocated page was refused");
        }
        Some(next.carry_out(node, out, None))
    }

    fn prefetch(&self, node: NodeId, page: Page) -> Option<State> {
        let mut asks = false;
        let (mut next, out) = self.after(node, |machine, out| asks = machine.prefetch(page, out))?;
        next.requests_left[node.rank()] -= 1;
        next.view_mut(node, page).ahead = true;
        if !asks {
            next.broken = Some("a hint that asks for nothing has effects");
        }
        Some(next.carry_out(node, out, None))
    }

    fn store(&self, node: NodeId, page: Page) -> State {
        let mut next = State { events: Events::default(), ..self.clone() };
        let truth = &mut next.truth[page.0 as usize];
        *truth += 1;
        let truth = *truth;
        let view = next.view_mut(node, page);
        view.stored = true;
        view.frame = truth;
        next
    }

    fn deliver(&self, packet: &Packet) -> Option<State> {
        let Packet { from, to, message, bytes } = packet;
        let could_defer = !self.machines[to.rank()].has_deferred();
        let (mut next, out) = self.after(*to, |machine, out| machine.receive(*from, *message, out))?;
        let has_deferred = could_defer && next.machines[to.rank()].has_deferred();
        let page = message.page();
        match message {
            PageMessage::Grant { .. } if next.machines[to.rank()].is_exclusive(page) => {
                next.events.add(Event::Migrated)
            }
            PageMessage::Forward { handover: Handover::Migrate, .. } if self.machines[to.rank()].is_exclusive(page) => {
                next.events.add(if has_deferred { Event::ForwardDeferred } else { Event::MigrationRefused });
            }
            PageMessage::Grant { contents: Contents::Keep, .. } if out.is_empty() => {
                next.events.add(Event::GrantIsEarly)
            }
            PageMessage::Invalidated { .. } if out.is_empty() => next.events.add(Event::GoneIsEarly),
            PageMessage::Forward { .. } if has_deferred => next.events.add(Event::ForwardDeferred),
            PageMessage::Invalidate { page, .. } if has_deferred && self.view(*to, *page).mapped.is_none() => {
                let is_unwanted = self.view(*to, *page).waiting.is_none();
                next.events.add(if is_unwanted { Event::HintIsLate } else { Event::InvalidationIsEarly })
            }
            PageMessage::Invalidate { .. } if has_deferred => next.events.add(Event::InvalidationDeferred),
            PageMessage::Request { .. } if out.is_empty() => next.events.add(Event::Queued),
            _ => {}
        }
        let next = next.carry_out(*to, out, *bytes);
        // A duplicate may be answered with what is under way already.
        (next != *self).then_some(next)
    }

    fn expire(&self, (node, page, epoch): (NodeId, Page, Epoch)) -> State {
        let (mut machine, mut out) = (Pages::clone(&self.machines[node.rank()]), Vec::new());
        machine.hold_expired(page, epoch, &mut out);
        let mut next = State { events: Events::default(), ..self.clone() };
        next.machines[node.rank()] = Arc::new(machine);
        Arc::make_mut(&mut next.holds).remove(&(node, page, epoch));
        let view = next.view_mut(node, page);
        view.held = view.held.filter(|&held| held != epoch);
        next.carry_out(node, out, None)
    }
}

impl Cluster {
    pub fn new(nodes: usize, homes: &[usize], requests: u8) -> Cluster {
        let (hints, in_turn) = (false, false);
        Cluster { nodes, homes: homes.to_vec(), requests, hints, in_turn, bug: None, drained: Drained::default() }
    }

    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..self.nodes).filter_map(NodeId::new)
    }

    pub fn pages(&self) -> impl Iterator<Item = Page> {
        (0..self.homes.len() as u64).map(Page)
    }

    fn machine(&self, me: NodeId) -> Arc<Pages> {
        let mut machine = Pages::new(me, self.nodes);
        for home in self.homes.iter().copied().filter_map(NodeId::new) {
            machine.extend(1, Placement::Node(home));
        }
        if let Some(bug) = self.bug {
            machine.plant(bug);
        }
        Arc::new(machine)
    }

    /// Nodes read and write each page in turn, and what they said to each other is forgotten.
    fn take_turns(&self, mut state: State) -> State {
        for page in self.pages() {
            for node in self.nodes().chain(self.nodes()) {
                for access in [Access::Read, Access::Write] {
                    state.requests_left[node.rank()] += 1;
                    if let Some(next) = state.fault(node, page, access) {
                        state = next;
                    }
                    while let Some(next) = self.drain_step(&state) {
                        state = next;
                    }
                }
                state = state.store(node, page);
            }
        }
        State { network: Arc::default(), events: Events::default(), ..state }
    }

    /// The next thing that happens when the program does nothing more.
    pub fn drain_step(&self, state: &State) -> Option<State> {
        let delivered = state.network.iter().find_map(|packet| state.deliver(packet));
        delivered.or_else(|| state.holds.first().map(|&hold| state.expire(hold)))
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let state = State {
            machines: self.nodes().map(|node| self.machine(node)).collect(),
            views: vec![View::default(); self.nodes * self.homes.len()],
            network: Arc::default(),
            holds: Arc::default(),
            requests_left: vec![self.requests; self.nodes],
            truth: vec![0; self.homes.len()],
            broken: None,
            events: Events::default(),
        };
        vec![if self.in_turn { self.take_turns(state) } else { state }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What is broken stays broken: no need to look further.
        if state.broken.is_some() {
            return;
        }
        actions.extend(state.network.iter().cloned().map(Action::Deliver));
        actions.extend(state.holds.iter().map(|&(node, page, epoch)| Action::Expire(node, page, epoch)));
        for node in self.nodes() {
            for page in self.pages() {
                let view = state.view(node, page);
                if view.mapped == Some(Access::Write) && !view.stored {
                    actions.push(Action::Store(node, page));
                }
                if state.requests_left[node.rank()] > 0 {
                    let wanted = [Access::Read, Access::Write]
                        .into_iter()
                        .filter(|&access| view.mapped < Some(access) && view.waiting < Some(access));
                    actions.extend(wanted.map(|access| Action::Fault(node, page, access)));
                    if self.hints && view.mapped.is_none() && view.waiting.is_none() && !view.ahead {
                        actions.push(Action::Prefetch(node, page));
                    }
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        match action {
            Action::Fault(node, page, access) => last.fault(node, page, access),
            Action::Prefetch(node, page) => last.prefetch(node, page),
            Action::Store(node, page) => Some(last.store(node, page)),
            Action::Deliver(packet) => last.deliver(&packet),
            Action::Expire(node, page, epoch) => Some(last.expire((node, page, epoch))),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::invariants::of_pages(self.hints, self.in_turn)
    }
}
