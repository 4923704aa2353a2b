//! A simulated node: what `dsm-core`'s engine does, in the same order, on simulated memory, threads and wires.
//!
//! The engine itself is bound to the kernel (userfaultfd, sockets, threads). This is its double: a *turn* takes the faults,
//! a batch of datagrams, the timers and the expired holds, and flushes; each effect of the protocol machines is carried out
//! where the engine would, on [`Memory`]. The machines and the transport are the real ones.

mod end;
mod pages;
mod sync;
mod threads;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use protocol::barrier::Barrier;
use protocol::locks::{Locks, Waiter};
use protocol::message::Access;
use protocol::sequential::Pages;
use protocol::{Epoch, Message, NodeId, Page};
use rpc::time::Time;
use rpc::transport::{Body, BootEpoch, Channel, Event, KeepAlive, Peer, SendError, Transport, TransportConfig};

use crate::ghost::Ghost;
use crate::memory::Memory;
use crate::network::{Datagram, Network};
use crate::program::Operation;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::text;
use crate::trace::Trace;
use crate::violation::Violation;

pub use end::Fatal;
pub(crate) use end::Life;
pub(crate) use threads::Thread;

/// As in the engine.
pub(crate) const DEAD_AFTER: Duration = Duration::from_millis(3_500);
/// The engine's thread looks at the clock this often.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// Datagrams that the driver reads at a time.
const BATCH: usize = 32;
/// Faults that are taken from the kernel at a time.
const FAULT_BATCH: usize = 32;

/// The pure machines of one node, for a test that wants to change them before the run.
#[derive(Debug)]
pub struct Machines {
    /// The page protocol.
    pub pages: Pages,
    /// The lock protocol.
    pub locks: Locks,
    /// The barrier.
    pub barrier: Barrier,
    /// The sessions with the other nodes.
    pub transport: Transport,
}

/// What a node finds around it.
pub(crate) struct Around<'a, 't> {
    pub now: Time,
    pub scenario: &'a Scenario,
    pub ghost: &'a mut Ghost,
    pub network: &'a mut Network,
    pub trace: &'a mut Trace<'t>,
    pub random: &'a mut Random,
    /// Threads of this node that go on.
    pub woken: &'a mut Vec<usize>,
}

/// Why a node's turn was cut short.
pub(crate) enum Stop {
    /// A rule is broken.
    Violation(Violation),
    /// The node cannot go on, and ends.
    Fatal(Fatal),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Stop {
        Stop::Violation(violation)
    }
}

/// One node of the cluster.
pub(crate) struct Node {
    pub me: NodeId,
    pub life: Life,
    pub machines: Machines,
    pub memory: Memory,
    pub threads: Vec<Thread>,
    /// When the next turn is due.
    pub turn_at: Option<Time>,
    /// Stands still until then.
    pub paused_until: Time,
    peers: Vec<Option<Peer>>,
    by_peer: BTreeMap<Peer, NodeId>,
    inbox: VecDeque<Datagram>,
    inbox_bytes: usize,
    refused: Vec<SocketAddr>,
    /// Messages that will be heard once more.
    echoes: BTreeSet<(Time, NodeId, Vec<u8>)>,
    faults: VecDeque<(Page, Access)>,
    holds: BTreeSet<(Time, Page, Epoch)>,
    /// A thread waited for the page that was just installed.
    awaited: bool,
    waiters: BTreeMap<Waiter, usize>,
    last_waiter: u64,
    at_barrier: Option<usize>,
    /// The last barrier is passed: silence of others means nothing any more.
    pub leaving: bool,
    last_turn: Time,
    encoded: Vec<u8>,
}

impl Node {
    pub fn new(me: NodeId, scenario: &Scenario, programs: Vec<Vec<Operation>>, random: &mut Random) -> Node {
        let pages = scenario.segments.iter().map(|(pages, _)| pages).sum();
        let machines = Machines {
            pages: Pages::new(me, scenario.nodes),
            locks: Locks::new(me, scenario.nodes),
            barrier: Barrier::new(me, scenario.nodes),
            transport: transport(random),
        };
        let threads = programs.into_iter().enumerate();
        Node {
            me,
            life: Life::Unborn,
            machines,
            memory: Memory::new(me, pages, scenario.words_per_page),
            threads: threads.map(|(thread, program)| Thread::new(me, thread, program)).collect(),
            turn_at: None,
            paused_until: Time::ZERO,
            peers: vec![None; scenario.nodes],
            by_peer: BTreeMap::new(),
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            refused: Vec::new(),
            echoes: BTreeSet::new(),
            faults: VecDeque::new(),
            holds: BTreeSet::new(),
            awaited: false,
            waiters: BTreeMap::new(),
            last_waiter: 0,
            at_barrier: None,
            leaving: false,
            last_turn: Time::ZERO,
            encoded: Vec::new(),
        }
    }

    /// The process joins: sessions open to every other node, and its first thread runs.
    pub fn start(&mut self, cx: &mut Around<'_, '_>) {
        self.life = Life::Running;
        self.last_turn = cx.now;
        for node in (0..cx.scenario.nodes).filter_map(NodeId::new).filter(|node| *node != self.me) {
            // With so few nodes there is always room for one more session.
            if let Ok(peer) = self.machines.transport.connect(cx.now, cx.network.addr(node.rank())) {
                self.peers[node.rank()] = Some(peer);
                self.by_peer.insert(peer, node);
            }
        }
        self.flush(cx);
        cx.woken.push(0);
    }

    /// A datagram reaches the node's socket.
    pub fn arrive(&mut self, datagram: Datagram, network: &mut Network) {
        // The kernel charges for its own bookkeeping, too.
        let charge = datagram.bytes.len() + 256;
        if self.inbox_bytes + charge > network.socket_bytes() {
            network.faults.overflowed += 1;
            return network.give_back(datagram.bytes);
        }
        self.inbox_bytes += charge;
        self.inbox.push_back(datagram);
    }

    /// The network says that nothing listens there.
    pub fn refuse(&mut self, addr: SocketAddr) {
        self.refused.push(addr);
    }

    /// Does everything that can be done now, without waiting.
    pub fn turn(&mut self, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        if cx.now - self.last_turn > DEAD_AFTER && !self.leaving {
            return Err(Stop::Fatal(Fatal::Fenced));
        }
        self.last_turn = cx.now;
        self.read_faults(cx)?;
        self.receive(cx)?;
        self.hear_echoes(cx)?;
        self.expire_holds(cx)?;
        self.flush(cx);
        Ok(())
    }

    /// When the next turn is due, though nothing comes.
    pub fn next_turn(&self, now: Time) -> Time {
        if !self.inbox.is_empty() || !self.faults.is_empty() || !self.refused.is_empty() {
            return now;
        }
        let hold = if self.machines.pages.has_deferred() { self.holds.first().map(|(end, ..)| *end) } else { None };
        let echo = self.echoes.first().map(|(at, ..)| *at);
        let due = [hold, echo, self.machines.transport.next_timeout()].into_iter().flatten().min();
        due.unwrap_or(Time::MAX).min(now + SLEEP_MAX)
    }

    /// Reads one batch of datagrams, does what is due, flushes; then the messages are handled.
    fn receive(&mut self, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        let (batch, events) = self.read(cx);
        let mut result = Ok(());
        for (place, event) in events {
            let datagram = batch.get(place).map_or(&[][..], |datagram| &datagram.bytes);
            result = self.event(&event, datagram, cx);
            if result.is_err() {
                break;
            }
        }
        batch.into_iter().for_each(|datagram| cx.network.give_back(datagram.bytes));
        result
    }

    /// The driver's part of it. Each event comes with the number of its datagram.
    fn read(&mut self, cx: &mut Around<'_, '_>) -> (Vec<Datagram>, Vec<(usize, Event)>) {
        let mut batch: Vec<Datagram> = self.inbox.drain(..self.inbox.len().min(BATCH)).collect();
        let (mut events, mut attributed) = (Vec::new(), Vec::new());
        let transport = &mut self.machines.transport;
        for (place, datagram) in batch.iter_mut().enumerate() {
            self.inbox_bytes -= datagram.bytes.len() + 256;
            transport.receive(cx.now, cx.network.addr(datagram.from), &mut datagram.bytes, &mut events);
            attributed.extend(events.drain(..).map(|event| (place, event)));
        }
        for addr in self.refused.drain(..) {
            transport.refused(cx.now, addr, &mut events);
        }
        transport.timeout(cx.now, &mut events);
        attributed.extend(events.drain(..).map(|event| (usize::MAX, event)));
        self.flush(cx);
        (batch, attributed)
    }

    fn event(&mut self, event: &Event, datagram: &[u8], cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        match event {
            Event::Up { peer, .. } => {
                if !self.by_peer.contains_key(peer) {
                    self.machines.transport.close(cx.now, *peer);
                }
                Ok(())
            }
            Event::Lost { peer, reason, .. } => match self.by_peer.get(peer) {
                Some(&node) => self.lost(Fatal::Lost { node, reason: *reason }),
                None => Ok(()),
            },
            Event::Message { peer, channel: Channel::MEMORY, body } => self.message(*peer, body, datagram, cx),
            Event::Message { .. } => Ok(()),
        }
    }

    fn message(&mut self, peer: Peer, body: &Body, datagram: &[u8], cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        let Some(&from) = self.by_peer.get(&peer) else { return Ok(()) };
        let body = body.bytes(datagram);
        cx.ghost.delivered(from, self.me, digest(body))?;
        if cx.random.chance(cx.scenario.echo) {
            let longest_us = cx.random.pick(&[100, 10_000, 300_000]);
            let at = cx.now + cx.random.micros(0, longest_us);
            self.echoes.insert((at, from, body.to_vec()));
        }
        self.hear(from, body, cx)
    }

    fn hear_echoes(&mut self, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        while self.echoes.first().is_some_and(|(at, ..)| *at <= cx.now)
            && let Some((_, from, body)) = self.echoes.pop_first()
        {
            self.hear(from, &body, cx)?;
        }
        Ok(())
    }

    fn hear(&mut self, from: NodeId, body: &[u8], cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        let Ok((message, rest)) = Message::decode(body) else { return Ok(()) };
        let carries = matches!(&message, Message::Page(message) if message.carries_bytes());
        if rest.len() != if carries { cx.scenario.words_per_page * 8 } else { 0 } {
            return Ok(());
        }
        let me = self.me;
        cx.trace.note(&[me.rank() as u64, from.rank() as u64, digest(body)], || {
            format!("{me} hears from {from}: {}", text::message(&message))
        });
        match message {
            Message::Page(message) => self.page_message(from, message, rest, cx),
            Message::Lock(message) => self.lock_message(from, &message, cx),
            Message::Barrier(message) => self.barrier_message(from, &message, cx),
            Message::Atomic(_) => Ok(()),
            Message::Obituary(node) if node == me => Err(Stop::Fatal(Fatal::GivenUp { by: from })),
            Message::Obituary(node) => self.lost(Fatal::Reported { node, by: from }),
        }
    }

    fn lost(&self, why: Fatal) -> Result<(), Stop> {
        if self.leaving { Ok(()) } else { Err(Stop::Fatal(why)) }
    }

    fn send(&mut self, to: NodeId, message: &Message, page: Option<Page>, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        let Some(peer) = self.peers[to.rank()] else { return Ok(()) };
        self.encoded.clear();
        message.encode(&mut self.encoded);
        if let Some(page) = page {
            self.memory.copy(page, &mut self.encoded)?;
        }
        let me = self.me;
        cx.trace.say(|| format!("{me} tells {to}: {}", text::message(message)));
        cx.ghost.sent(me, to, digest(&self.encoded));
        match self.machines.transport.send(cx.now, peer, Channel::MEMORY, &[&self.encoded]) {
            // That a session has ended is an event of its own.
            Err(error) if error != SendError::Gone && !self.leaving => Err(Stop::Fatal(Fatal::CannotSend { to })),
            _ => Ok(()),
        }
    }

    /// Puts everything on the wire that may go now.
    pub fn flush(&mut self, cx: &mut Around<'_, '_>) {
        let mut out = std::mem::take(&mut self.encoded);
        while let Some(addr) = self.machines.transport.transmit(cx.now, &mut out) {
            if let Some(to) = cx.network.node(addr) {
                cx.network.carry(cx.now, self.me.rank(), to, &out, cx.trace);
            }
        }
        self.encoded = out;
    }
}

/// FNV-1a, by words where there are whole ones.
fn digest(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let words = words.iter().map(|word| u64::from_be_bytes(*word)).chain(rest.iter().map(|byte| u64::from(*byte)));
    words.fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        let mixed = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        mixed ^ mixed >> 29
    })
}

/// A transport as the runtime makes it, with numbers from `random` where the operating system would give them.
pub(crate) fn transport(random: &mut Random) -> Transport {
    let keep_alive = Some(KeepAlive { dead_after: DEAD_AFTER, ..KeepAlive::default() });
    let config = TransportConfig { keep_alive, connect_timeout: DEAD_AFTER, ..TransportConfig::plain() };
    Transport::new(config, BootEpoch(random.next()), random.next())
}
