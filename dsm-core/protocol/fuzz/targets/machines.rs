//! Three nodes: 0 and 1 run the machines honestly, 2 sends whatever it likes.
//!
//! Nothing panics, every effect makes sense, an event has few effects, and when it is over nodes 0 and 1 still get the pages and
//! locks that node 2 had no right to keep. A node of the job may keep what it asked for, and answer in the place of an owner that only
//! the home knows: what it asks for or answers about the [`RESERVED`] pages and locks is left out, everything else is not.

use std::collections::BTreeMap;

use protocol::barrier::{Barrier, BarrierEffect};
use protocol::locks::{LockEffect, Locks, Waiter};
use protocol::message::{Access, LockMessage, PageMessage};
use protocol::sequential::{Effect, Pages};
use protocol::{Epoch, LockId, Message, NodeId, Page, Placement};

/// Pages and locks from this number on (pages: to the sixth and last) are there for the honest nodes.
pub const RESERVED: u64 = 3;
/// How many pages there are; the home of page `p`, and of lock `p`, is node `p` modulo three.
pub const PAGES: u64 = 6;
/// More effects than any event has among three nodes.
const EFFECTS_MAX: usize = 16;
const NODES: usize = 3;

/// One thing that happens. Nodes are 0 or 1, by their lowest bit.
#[derive(Clone, Debug)]
pub enum Step {
    Fault {
        node: u8,
        page: u8,
        access: Access,
    },
    /// A hint that the page will be read.
    Prefetch {
        node: u8,
        page: u8,
    },
    Lock {
        node: u8,
        lock: u8,
    },
    Unlock {
        node: u8,
        lock: u8,
    },
    Barrier {
        node: u8,
    },
    /// One of the messages between the honest nodes arrives; it may arrive again.
    Deliver {
        pick: u8,
        again: bool,
    },
    Expire {
        pick: u8,
    },
    Wild {
        to: u8,
        message: Message,
    },
}

/// Reads steps from bytes that mean nothing, for as far as they go.
pub fn steps(mut bytes: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    while let [kind, node, number, rest @ ..] = bytes {
        let (kind, node, number) = (*kind, *node, *number);
        bytes = rest;
        let access = if kind & 0x80 == 0 { Access::Read } else { Access::Write };
        steps.push(match kind % 8 {
            0 if kind & 0x40 != 0 => Step::Prefetch { node, page: number },
            0 => Step::Fault { node, page: number, access },
            1 => Step::Lock { node, lock: number },
            2 => Step::Unlock { node, lock: number },
            3 => Step::Barrier { node },
            4 => Step::Deliver { pick: number, again: kind & 0x80 != 0 },
            5 => Step::Expire { pick: number },
            _ => {
                let Ok((message, rest)) = Message::decode(bytes) else { return steps };
                bytes = rest;
                Step::Wild { to: node, message }
            }
        });
    }
    steps
}

/// Runs the steps, and then sees that the honest nodes are served.
pub fn machines(steps: &[Step]) {
    let mut cluster = Cluster::new();
    steps.iter().for_each(|step| cluster.step(step));
    cluster.settle();
    cluster.expect_service();
}

fn id(rank: usize) -> NodeId {
    NodeId::new(rank).expect("a small number")
}

/// An honest node, and how its program sees the pages.
struct Node {
    pages: Pages,
    locks: Locks,
    barrier: Barrier,
    mapped: BTreeMap<Page, Access>,
    frames: BTreeMap<Page, u64>,
    holds: Vec<(Page, Epoch)>,
    holders: Vec<(LockId, Waiter)>,
}

struct Packet {
    from: usize,
    to: usize,
    message: Message,
    frame: Option<u64>,
}

struct Cluster {
    nodes: [Node; 2],
    flight: Vec<Packet>,
    waiters: u64,
    stores: u64,
}

impl Cluster {
    fn new() -> Cluster {
        let node = |rank| {
            let mut pages = Pages::new(id(rank), NODES);
            pages.extend(PAGES, Placement::Cyclic { block_pages: 1 });
            Node {
                pages,
                locks: Locks::new(id(rank), NODES),
                barrier: Barrier::new(id(rank), NODES),
                mapped: BTreeMap::new(),
                frames: BTreeMap::new(),
                holds: Vec::new(),
                holders: Vec::new(),
            }
        };
        Cluster { nodes: [node(0), node(1)], flight: Vec::new(), waiters: 0, stores: 0 }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Fault { node, page, access } => {
                self.fault(usize::from(node & 1), Page(u64::from(page) % PAGES), access)
            }
            Step::Prefetch { node, page } => {
                let (rank, mut out) = (usize::from(node & 1), Vec::new());
                self.nodes[rank].pages.prefetch(Page(u64::from(page) % PAGES), &mut out);
                self.carry_out_pages(rank, out, None);
            }
            Step::Lock { node, lock } => self.acquire(usize::from(node & 1), LockId(u64::from(lock) % RESERVED)),
            Step::Unlock { node, lock } => self.release(usize::from(node & 1), LockId(u64::from(lock) % RESERVED)),
            Step::Barrier { node } => {
                let (rank, mut out) = (usize::from(node & 1), Vec::new());
                self.nodes[rank].barrier.enter(7, &mut out);
                self.carry_out_barrier(rank, out);
            }
            Step::Deliver { pick, again } => {
                if !self.flight.is_empty() {
                    self.deliver(usize::from(pick) % self.flight.len(), again);
                }
            }
            Step::Expire { pick } => {
                for rank in 0..2 {
                    let holds = self.nodes[rank].holds.len();
                    if holds > 0 {
                        self.expire(rank, usize::from(pick) % holds);
                    }
                }
            }
            Step::Wild { to, message } => {
                if !has_a_right_to(&message) {
                    self.receive(2, usize::from(to & 1), &message, Some(u64::MAX));
                }
            }
        }
    }

    fn fault(&mut self, rank: usize, page: Page, access: Access) {
        let mut out = Vec::new();
        self.nodes[rank].pages.fault(page, access, &mut out).expect("the page is allocated");
        self.carry_out_pages(rank, out, None);
    }

    fn acquire(&mut self, rank: usize, lock: LockId) {
        let mut out = Vec::new();
        self.waiters += 1;
        self.nodes[rank].locks.acquire(lock, Waiter(self.waiters), &mut out);
        self.carry_out_locks(rank, out);
    }

    fn release(&mut self, rank: usize, lock: LockId) {
        let mut out = Vec::new();
        if let Some(place) = self.nodes[rank].holders.iter().position(|(held, _)| *held == lock) {
            self.nodes[rank].holders.swap_remove(place);
            assert!(self.nodes[rank].locks.release(lock, &mut out), "a held lock cannot be released");
        }
        self.carry_out_locks(rank, out);
    }

    fn expire(&mut self, rank: usize, place: usize) {
        let (page, epoch) = self.nodes[rank].holds.swap_remove(place);
        let mut out = Vec::new();
        self.nodes[rank].pages.hold_expired(page, epoch, &mut out);
        self.carry_out_pages(rank, out, None);
    }

    fn deliver(&mut self, place: usize, again: bool) {
        let Packet { from, to, message, frame } = self.flight.swap_remove(place);
        if again {
            self.flight.push(Packet { from, to, message, frame });
        }
        self.receive(from, to, &message, frame);
    }

    /// As the engine does it.
    fn receive(&mut self, from: usize, to: usize, message: &Message, frame: Option<u64>) {
        let node = &mut self.nodes[to];
        match message {
            Message::Page(message) => {
                let mut out = Vec::new();
                node.pages.receive(id(from), *message, &mut out);
                self.carry_out_pages(to, out, frame.filter(|_| message.carries_bytes()));
            }
            Message::Lock(message) => {
                let mut out = Vec::new();
                node.locks.receive(id(from), message, &mut out);
                self.carry_out_locks(to, out);
            }
            Message::Barrier(message) => {
                let mut out = Vec::new();
                if node.barrier.predecessor(message.round) == Some(id(from)) {
                    node.barrier.receive(message, &mut out);
                }
                self.carry_out_barrier(to, out);
            }
            // The engine's own.
            Message::Atomic(_) | Message::Obituary(_) => {}
        }
    }

    fn carry_out_pages(&mut self, rank: usize, effects: Vec<Effect>, mut received: Option<u64>) {
        assert!(effects.len() <= EFFECTS_MAX, "{} effects", effects.len());
        for effect in effects {
            let node = &mut self.nodes[rank];
            match effect {
                Effect::Send { to, message } => {
                    assert_ne!(to, id(rank), "a message to itself");
                    let frame = node.frames.get(&message.page()).copied().unwrap_or_default();
                    self.send(rank, to, Message::Page(message), Some(frame).filter(|_| message.carries_bytes()));
                }
                Effect::Fill { page } => {
                    assert!(!node.mapped.contains_key(&page), "bytes for a page that is mapped");
                    node.frames.insert(page, received.take().expect("bytes came with the message"));
                }
                Effect::Zero { page } => {
                    assert!(!node.mapped.contains_key(&page), "a mapped page made anew");
                    node.frames.insert(page, 0);
                }
                Effect::Map { page, access } => {
                    node.mapped.insert(page, access);
                }
                Effect::Upgrade { page } => {
                    assert_eq!(node.mapped.insert(page, Access::Write), Some(Access::Read), "an upgrade");
                }
                Effect::Protect { page } => {
                    assert_eq!(node.mapped.insert(page, Access::Read), Some(Access::Write), "a protection");
                }
                Effect::Discard { page } => {
                    assert!(node.mapped.remove(&page).is_some(), "a discard of what is not mapped");
                }
                Effect::Hold { page, epoch } => node.holds.push((page, epoch)),
            }
        }
    }

    fn carry_out_locks(&mut self, rank: usize, effects: Vec<LockEffect>) {
        assert!(effects.len() <= EFFECTS_MAX, "{} effects", effects.len());
        for effect in effects {
            match effect {
                LockEffect::Send { to, message } => self.send(rank, to, message, None),
                LockEffect::Acquired { lock, waiter } => self.nodes[rank].holders.push((lock, waiter)),
            }
        }
    }

    fn carry_out_barrier(&mut self, rank: usize, effects: Vec<BarrierEffect>) {
        assert!(effects.len() <= EFFECTS_MAX, "{} effects", effects.len());
        for effect in effects {
            if let BarrierEffect::Send { to, message } = effect {
                self.send(rank, to, message, None);
            }
        }
    }

    /// What goes to node 2, or to a node that there is not, is gone.
    fn send(&mut self, from: usize, to: NodeId, message: Message, frame: Option<u64>) {
        if to.rank() < 2 {
            self.flight.push(Packet { from, to: to.rank(), message, frame });
        }
    }

    /// Everything between the honest nodes arrives, and every hold ends.
    fn settle(&mut self) {
        let mut left = 100_000;
        while !self.flight.is_empty() || self.nodes.iter().any(|node| !node.holds.is_empty()) {
            for rank in 0..2 {
                while !self.nodes[rank].holds.is_empty() {
                    self.expire(rank, 0);
                }
            }
            if !self.flight.is_empty() {
                self.deliver(0, false);
            }
            left -= 1;
            assert!(left > 0, "messages without end");
        }
    }

    /// Nodes 0 and 1 share the reserved pages and locks that are at home with them.
    fn expect_service(&mut self) {
        for page in (RESERVED..PAGES).filter(|page| page % 3 != 2).map(Page) {
            for (writer, reader) in [(0, 1), (1, 0)] {
                self.fault(writer, page, Access::Write);
                self.settle();
                assert_eq!(self.nodes[writer].mapped.get(&page), Some(&Access::Write), "{page:?} for writing");
                self.stores += 1;
                self.nodes[writer].frames.insert(page, self.stores);
                self.fault(reader, page, Access::Read);
                self.settle();
                assert!(self.nodes[reader].mapped.contains_key(&page), "{page:?} for reading");
                assert_eq!(self.nodes[reader].frames.get(&page), Some(&self.stores), "{page:?} is stale");
            }
        }
        for lock in (RESERVED..PAGES).filter(|lock| lock % 3 != 2).map(LockId) {
            for rank in [0, 1, 0] {
                self.acquire(rank, lock);
                self.settle();
                let holders = self.nodes.iter().flat_map(|node| &node.holders).filter(|(held, _)| *held == lock);
                assert_eq!(holders.count(), 1, "{lock:?}");
                self.release(rank, lock);
                self.settle();
            }
        }
    }
}

/// Whether node 2 may say this about something reserved, and keep it from the others by right.
fn has_a_right_to(message: &Message) -> bool {
    match *message {
        Message::Page(PageMessage::Request { page, .. } | PageMessage::Grant { page, .. }) => {
            (RESERVED..PAGES).contains(&page.0)
        }
        Message::Lock(LockMessage::Acquire { lock, .. } | LockMessage::Token { lock, .. }) => {
            (RESERVED..PAGES).contains(&lock.0)
        }
        _ => false,
    }
}
