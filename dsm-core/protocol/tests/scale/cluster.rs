//! The machines of all nodes of a job, driven in a fixed order of events, with a clock that counts.

use std::collections::BTreeMap;

use protocol::barrier::{Barrier, BarrierEffect};
use protocol::locks::{LockEffect, Locks, Waiter};
use protocol::message::{Access, AtomicMessage, AtomicOperation};
use protocol::sequential::{Effect, Kept, Pages};
use protocol::{LockId, Message, NodeId, Page, Placement, RequestId};

/// What takes time. Units are the caller's.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// A message on its way.
    pub trip: u64,
    /// A node that sends or takes one message; it does one at a time.
    pub handling: u64,
}

impl Clock {
    /// Counts the one-way trips that follow each other.
    pub const TRIPS: Clock = Clock { trip: 1, handling: 0 };
    /// Counts what is sent or taken one after the other, on the longest way through all nodes.
    pub const STEPS: Clock = Clock { trip: 0, handling: 1 };
    /// A quick network, in units of what a node does for one message.
    pub const NEAR: Clock = Clock { trip: 10, handling: 1 };
}

/// What an operation has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Messages of all nodes, also those for which nobody waits.
    pub messages: u64,
    /// Messages that the node has sent which sent most.
    pub busiest: u64,
    /// When the last thread that waited went on.
    pub time: u64,
}

/// One node. Its home does for an atomic operation what the engine does: it makes itself the page's only writer first.
struct Node {
    pages: Pages,
    locks: Locks,
    barrier: Barrier,
    /// Atomic operations that wait for their page.
    atomics: Vec<(NodeId, RequestId)>,
    free_at: u64,
    sent: u64,
}

/// A cluster, and what is under way in it.
pub struct Cluster {
    nodes: Vec<Node>,
    clock: Clock,
    /// By time of arrival, in the order of sending: from, to, what.
    flight: BTreeMap<(u64, u64), (usize, usize, Message)>,
    sent: u64,
    /// When somebody last went on.
    done_at: u64,
}

pub const LOCK: LockId = LockId(0);

impl Cluster {
    /// With so many pages and one lock, all at home at node 0.
    pub fn new(nodes: usize, pages: u64, clock: Clock) -> Cluster {
        let node = |me| {
            let mut machine = Pages::new(me, nodes);
            machine.extend(pages, Placement::Node(id(0)));
            let (locks, barrier) = (Locks::new(me, nodes), Barrier::new(me, nodes));
            Node { pages: machine, locks, barrier, atomics: Vec::new(), free_at: 0, sent: 0 }
        };
        let nodes = (0..nodes).map(|rank| node(id(rank))).collect();
        Cluster { nodes, clock, flight: BTreeMap::new(), sent: 0, done_at: 0 }
    }

    /// The home has written so many pages, each `distance` after the one before, and every other node has read them.
    pub fn with_readers(nodes: usize, pages: u64, distance: u64) -> Cluster {
        let mut cluster = Cluster::new(nodes, pages * distance, Clock::TRIPS);
        for page in (1..=pages).map(|page| Page(page * distance - 1)) {
            cluster.touched(0, page, Access::Write);
            (1..nodes).for_each(|rank| cluster.touched(rank, page, Access::Read));
        }
        cluster
    }

    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// What `operation` costs, until nothing is under way.
    pub fn cost(&mut self, operation: impl FnOnce(&mut Cluster)) -> Cost {
        (self.sent, self.done_at) = (0, 0);
        self.nodes.iter_mut().for_each(|node| (node.free_at, node.sent) = (0, 0));
        operation(self);
        self.settle();
        let busiest = self.nodes.iter().map(|node| node.sent).max().unwrap_or(0);
        Cost { messages: self.sent, busiest, time: self.done_at }
    }

    /// What the node keeps of pages.
    pub fn kept(&self, rank: usize) -> Kept {
        self.nodes[rank].pages.kept()
    }

    /// A thread of the node touches a page.
    pub fn touch(&mut self, rank: usize, page: Page, access: Access) {
        let mut out = Vec::new();
        self.nodes[rank].pages.fault(page, access, &mut out).unwrap();
        self.page_effects(rank, out);
    }

    /// The same, and all that follows from it.
    pub fn touched(&mut self, rank: usize, page: Page, access: Access) {
        self.touch(rank, page, access);
        self.settle();
    }

    pub fn acquire(&mut self, rank: usize) {
        let mut out = Vec::new();
        self.nodes[rank].locks.acquire(LOCK, Waiter(0), &mut out);
        self.lock_effects(rank, out);
    }

    pub fn acquired(&mut self, rank: usize) {
        self.acquire(rank);
        self.settle();
    }

    pub fn release(&mut self, rank: usize) {
        let mut out = Vec::new();
        assert!(self.nodes[rank].locks.release(LOCK, &mut out));
        self.lock_effects(rank, out);
    }

    /// All nodes come to the barrier at once.
    pub fn meet(&mut self) {
        for rank in 0..self.size() {
            let mut out = Vec::new();
            assert!(self.nodes[rank].barrier.enter(0, &mut out));
            self.barrier_effects(rank, out);
        }
    }

    /// A thread of the node adds to a word of page 0.
    pub fn fetch_add(&mut self, rank: usize) {
        let (request, offset, operation) = (RequestId(1), 0, AtomicOperation::FetchAdd { value: 1 });
        self.send(rank, id(0), Message::Atomic(AtomicMessage::Perform { request, offset, operation }));
    }

    fn send(&mut self, from: usize, to: NodeId, message: Message) {
        let node = &mut self.nodes[from];
        node.free_at += self.clock.handling;
        node.sent += 1;
        self.sent += 1;
        self.flight.insert((node.free_at + self.clock.trip, self.sent), (from, to.rank(), message));
    }

    fn settle(&mut self) {
        while let Some(((at, _), (from, to, message))) = self.flight.pop_first() {
            let free_at = &mut self.nodes[to].free_at;
            *free_at = at.max(*free_at) + self.clock.handling;
            self.deliver(id(from), to, message);
        }
    }

    fn deliver(&mut self, from: NodeId, to: usize, message: Message) {
        match message {
            Message::Page(message) => {
                let mut out = Vec::new();
                self.nodes[to].pages.receive(from, message, &mut out);
                self.page_effects(to, out);
            }
            Message::Lock(message) => {
                let mut out = Vec::new();
                self.nodes[to].locks.receive(from, &message, &mut out);
                self.lock_effects(to, out);
            }
            Message::Barrier(message) => {
                let mut out = Vec::new();
                self.nodes[to].barrier.receive(&message, &mut out);
                self.barrier_effects(to, out);
            }
            Message::Atomic(AtomicMessage::Perform { request, .. }) => {
                self.nodes[to].atomics.push((from, request));
                self.touch(to, Page(0), Access::Write);
            }
            Message::Atomic(AtomicMessage::Performed { .. }) => self.goes_on(to),
            Message::Obituary(_) => {}
        }
    }

    /// A thread of the node goes on.
    fn goes_on(&mut self, rank: usize) {
        self.done_at = self.done_at.max(self.nodes[rank].free_at);
    }

    fn page_effects(&mut self, rank: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.send(rank, to, Message::Page(message)),
                Effect::Map { .. } | Effect::Upgrade { .. } => {
                    let atomics = std::mem::take(&mut self.nodes[rank].atomics);
                    if atomics.is_empty() {
                        self.goes_on(rank);
                    }
                    for (to, request) in atomics {
                        self.send(rank, to, Message::Atomic(AtomicMessage::Performed { request, old: 0 }));
                    }
                }
                // Nobody comes to take the page meanwhile: how long the hold is makes no difference.
                Effect::Hold { page, epoch } => {
                    let mut out = Vec::new();
                    self.nodes[rank].pages.hold_expired(page, epoch, &mut out);
                    self.page_effects(rank, out);
                }
                Effect::Fill { .. } | Effect::Zero { .. } | Effect::Protect { .. } | Effect::Discard { .. } => {}
            }
        }
    }

    fn lock_effects(&mut self, rank: usize, effects: Vec<LockEffect>) {
        for effect in effects {
            match effect {
                LockEffect::Send { to, message } => self.send(rank, to, message),
                LockEffect::Acquired { .. } => self.goes_on(rank),
            }
        }
    }

    fn barrier_effects(&mut self, rank: usize, effects: Vec<BarrierEffect>) {
        for effect in effects {
            match effect {
                BarrierEffect::Send { to, message } => self.send(rank, to, message),
                BarrierEffect::Released { .. } => self.goes_on(rank),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn id(rank: usize) -> NodeId {
    NodeId::new(rank).unwrap()
}
