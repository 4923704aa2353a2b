//! The engine: carries faults, messages and requests of the program to the protocols, and their effects to memory and network.
//!
//! One engine serves a node. Its thread ([`thread`]) sleeps until there is a fault, a datagram or a timer; program threads that
//! ask for a lock, a barrier or an atomic operation enter the engine themselves, under its mutex, and may drive it while they
//! wait. Nothing in here touches the program's view of the region, and nothing in here takes a lock that the program could
//! hold while it faults.

mod arrivals;
mod atomics;
mod farewell;
mod fatal;
mod holds;
mod neighbours;
mod next_fault;
mod pages;
mod peers;
#[cfg(feature = "planted")]
mod planted;
mod stats;
mod streams;
mod sync;
#[cfg(test)]
mod tests;
mod thread;
mod waiters;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use protocol::barrier::Barrier;
use protocol::locks::{LockEffect, Locks};
use protocol::message::{AtomicMessage, PageMessage};
use protocol::sequential::{Effect, Pages};
use protocol::{Message, NodeId, Page};
use rpc::driver::{Driver, Inbox, Incoming};
use rpc::time::Time;
use rpc::transport::{Channel, Peer, SendError};

use crate::launch::rendezvous::RosterEntry;
use crate::mem::{Fault, FaultReader, PAGE_BYTES, PageRange, Region};
use arrivals::Arrivals;
use atomics::Atomics;
use holds::Holds;
use neighbours::Neighbours;
use pages::Faults;
use peers::Peers;
use streams::Streams;
use waiters::Waiters;
use watch::Ready;

use fatal::Lost;
pub(crate) use fatal::{Fatal, Purpose};
pub use stats::Stats;
pub(crate) use thread::{Awaited, Shared};
pub(crate) use waiters::Signal;

/// How long a peer may be silent before it counts as dead. With a ping every second and a quarter,
/// repeated soon where nobody answers, every other node has noticed a death well within 5 seconds.
pub(crate) const DEAD_AFTER: Duration = Duration::from_millis(3500);

/// A program that faults again and again, on pages that cost no message, may keep the engine from the network for this long.
const RECEIVE_EVERY: Duration = Duration::from_micros(100);

/// How many faults are taken from the kernel at a time.
const FAULT_BATCH: usize = 32;

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There was nothing.
    Idle,
    /// Threads of the program have faulted, and wait for answers.
    Asked,
    /// Something that may have woken somebody.
    Worked,
    /// Threads of the program that had faulted go on.
    Resumed,
}

/// Everything that the protocols of one node need to act.
pub(crate) struct Engine {
    me: NodeId,
    driver: Driver,
    /// Taken out while what came in is handled. Making one is dear (it has the receive buffers), and so is moving it.
    inbox: Option<Box<Inbox>>,
    region: &'static Region,
    faults: FaultReader,
    fault_batch: Vec<Fault>,
    /// None where nothing is to be fetched ahead.
    streams: Option<Streams>,
    /// Pages that were asked for and have no frame yet.
    without_frame: Vec<Page>,
    /// Who reads what this node may write.
    readers: Neighbours,
    /// Pages to protect when there is time.
    to_protect: Option<PageRange>,
    /// Who takes what this node has.
    writers: Neighbours,
    /// Pages to take from the program when there is time.
    to_unmap: Option<PageRange>,
    /// Bytes of pages that wait to be sent.
    pages_unsent: usize,
    peers: Peers,
    pages: Pages,
    page_effects: Vec<Effect>,
    locks: Locks,
    lock_effects: Vec<LockEffect>,
    barrier: Barrier,
    barrier_waiter: Option<Arc<Signal>>,
    atomics: Atomics,
    waiters: Waiters,
    holds: Holds,
    /// Faults that have not been resolved.
    waiting_faults: Vec<WaitingFault>,
    /// The last turn found faults.
    faulted: bool,
    /// A thread of the program has gone on from its fault since the last turn.
    resumed: bool,
    /// Until when the page that was just installed is to be held, if somebody waited for it.
    held_until: Option<Time>,
    encoded: Vec<u8>,
    /// When the socket was last looked at.
    received_at: Time,
    /// Something was queued for the network that somebody waits for.
    urgent: bool,
    stats: Stats,
    /// The last barrier of the job is passed: nodes leave, and their silence means nothing any more.
    leaving: bool,
}

/// A thread of the program that sleeps in a fault.
struct WaitingFault {
    page: Page,
    /// Of the word that it wants, in bytes from the start of the page.
    offset: usize,
    thread: Option<u32>,
    /// When the turn began that found it.
    since: Time,
    /// How long the page is to be held for it.
    hold: Duration,
}

impl Engine {
    /// The engine of node `me`, with sessions opening to every other node of `roster`.
    pub(crate) fn new(
        me: NodeId,
        driver: Driver,
        region: &'static Region,
        roster: Vec<RosterEntry>,
    ) -> Result<Engine, Fatal> {
        let nodes = roster.len();
        let mut engine = Engine {
            me,
            driver,
            inbox: Some(Box::default()),
            region,
            faults: FaultReader::new(FAULT_BATCH),
            fault_batch: Vec::new(),
            streams: None,
            without_frame: Vec::new(),
            readers: Neighbours::default(),
            to_protect: None,
            writers: Neighbours::default(),
            to_unmap: None,
            pages_unsent: 0,
            peers: Peers::new(roster),
            pages: Pages::new(me, nodes),
            page_effects: Vec::new(),
            locks: Locks::new(me, nodes),
            lock_effects: Vec::new(),
            barrier: Barrier::new(me, nodes),
            barrier_waiter: None,
            atomics: Atomics::default(),
            waiters: Waiters::default(),
            holds: Holds::default(),
            waiting_faults: Vec::new(),
            faulted: false,
            resumed: false,
            held_until: None,
            encoded: Vec::new(),
            received_at: Time::ZERO,
            urgent: false,
            stats: Stats::default(),
            leaving: false,
        };
        let others = engine.peers.others(me);
        if let [(_, addr)] = others[..] {
            // It only saves time; a network that is not there yet is waited for below.
            let _ = engine.driver.dedicate(addr);
        }
        for (node, addr) in others {
            let peer = engine.driver.connect(addr).map_err(|error| Fatal::Send { node, error })?;
            engine.peers.bind(node, peer);
        }
        engine.flush();
        Ok(engine)
    }

    /// Does what there is to do at `now`, without waiting.
    fn turn(&mut self, ready: Ready, mut now: Time) -> Result<Turn, Fatal> {
        let mut turn = Turn::Idle;
        let mut answers = ready.socket || ready.timer || now - self.received_at >= RECEIVE_EVERY;
        self.faulted = false;
        if ready.faults {
            let faults = self.read_faults(now)?;
            self.faulted = faults.any;
            self.flush();
            self.prepare()?;
            turn = match faults {
                Faults { any: false, .. } => Turn::Idle,
                Faults { resolved: false, .. } => Turn::Asked,
                _ => Turn::Worked,
            };
            // Pages that were fetched ahead of a reader have most likely come by the time that it comes to them. And when there is no
            // fault after all, there may be datagrams.
            answers |= faults.awaited || !faults.any;
        }
        if answers {
            if self.receive()? {
                turn = Turn::Worked;
            }
            now = self.received_at;
        }
        self.expire_holds(now)?;
        // What is not urgent goes with the next request, if one comes before the socket is looked at again: the thread that was just
        // woken often faults at once.
        if self.urgent {
            self.flush();
        }
        self.give_up_ahead()?;
        let resumed = std::mem::take(&mut self.resumed);
        Ok(if resumed && turn == Turn::Worked { Turn::Resumed } else { turn })
    }

    /// Puts on the network what waits to go.
    pub(crate) fn flush(&mut self) {
        (self.urgent, self.pages_unsent) = (false, 0);
        self.driver.flush();
    }

    /// The same, unless nothing waits: what the driver has put off then stays so until the engine's thread comes to it.
    fn flush_what_waits(&mut self) {
        if self.driver.wants_flush() {
            self.flush();
        }
    }

    /// When the socket was last looked at.
    fn looked_at(&self) -> Time {
        self.received_at
    }

    /// When there is something to do even though nothing comes.
    fn next_timeout(&self) -> Option<Time> {
        let hold = if self.pages.has_deferred() { self.holds.next() } else { None };
        [hold, self.driver.next_timeout()].into_iter().flatten().min()
    }

    /// This node's totals.
    pub(crate) fn stats(&self) -> Stats {
        let counters = self.driver.transport_counters();
        Stats {
            messages_sent: counters.messages_sent,
            messages_received: counters.messages_delivered,
            bytes_sent: counters.bytes_sent,
            bytes_received: counters.bytes_received,
            datagrams_sent: counters.datagrams_sent,
            retransmissions: counters.retransmissions,
            ..self.stats
        }
    }

    /// Fetches pages ahead of threads that read in streams.
    pub(crate) fn fetch_ahead(&mut self) {
        self.streams = Some(Streams::default());
    }

    /// Pages allocated so far by collective allocations.
    pub(crate) fn pages_allocated(&self) -> u64 {
        self.pages.homes().end().0
    }

    /// Allocates `pages` pages; every node does the same.
    pub(crate) fn extend(&mut self, pages: u64, placement: protocol::Placement) -> Page {
        self.pages.extend(pages, placement)
    }

    fn receive(&mut self) -> Result<bool, Fatal> {
        let mut inbox = self.inbox.take().unwrap_or_default();
        let datagrams = self.driver.receive(&mut inbox)?;
        self.received_at = self.driver.received_at();
        let taken = self.take_in(&mut inbox);
        self.inbox = Some(inbox);
        taken.map(|()| datagrams > 0)
    }

    fn take_in(&mut self, inbox: &mut Inbox) -> Result<(), Fatal> {
        let mut arrivals = Arrivals::default();
        inbox.drain().try_for_each(|incoming| self.incoming(incoming, &mut arrivals))?;
        self.map_arrivals(&mut arrivals)
    }

    fn incoming<'a>(&mut self, incoming: Incoming<'a>, arrivals: &mut Arrivals<'a>) -> Result<(), Fatal> {
        match incoming {
            Incoming::Up { peer, .. } => {
                if self.peers.node(peer).is_none() {
                    // A stranger: nothing that it sends is kept.
                    self.driver.close(peer);
                }
                Ok(())
            }
            Incoming::Lost { peer, reason, .. } => {
                self.peers.node(peer).map_or(Ok(()), |node| self.lost(node, Lost::Seen(reason)))
            }
            Incoming::Message { peer, channel: Channel::MEMORY, body, .. } => {
                self.message(peer, body.into_bytes(), arrivals)
            }
            Incoming::Message { .. } => Ok(()),
        }
    }

    /// Whether other nodes count on this one.
    pub(crate) fn is_missed(&self) -> bool {
        !self.leaving && !self.peers.others(self.me).is_empty()
    }

    fn lost(&mut self, node: NodeId, reason: Lost) -> Result<(), Fatal> {
        match self.peers.entry(node) {
            Some(entry) if !self.leaving => Err(Fatal::PeerLost { node, pid: entry.pid, addr: entry.addr, reason }),
            _ => Ok(()),
        }
    }

    /// A message from `peer`. What does not make sense is ignored: an honest node never sends it.
    fn message<'a>(&mut self, peer: Peer, body: &'a [u8], arrivals: &mut Arrivals<'a>) -> Result<(), Fatal> {
        let Some(from) = self.peers.node(peer) else { return Ok(()) };
        let Ok((message, rest)) = Message::decode(body) else { return Ok(()) };
        // Before the protocol sees it: what it has answered it cannot take back.
        let carries = matches!(&message, Message::Page(message) if message.carries_bytes());
        if rest.len() != if carries { PAGE_BYTES } else { 0 } {
            return Ok(());
        }
        match message {
            Message::Page(message) => self.page_message(from, message, rest, arrivals),
            Message::Lock(message) => self.lock_message(from, &message),
            Message::Barrier(message) => self.barrier_message(from, &message),
            Message::Atomic(message) => {
                if let AtomicMessage::Perform { .. } = message {
                    self.map_arrivals(arrivals)?;
                }
                self.atomic_message(from, &message)
            }
            Message::Obituary(node) if node == self.me && !self.leaving => Err(Fatal::GivenUp { by: from }),
            Message::Obituary(node) => self.lost(node, Lost::ReportedBy(from)),
        }
    }

    fn send(&mut self, to: NodeId, message: &Message) -> Result<(), Fatal> {
        let Some(peer) = self.peers.peer(to) else { return Ok(()) };
        self.urgent |= !matches!(message, Message::Page(PageMessage::Done { .. }));
        self.encoded.clear();
        message.encode(&mut self.encoded);
        let sent = self.driver.send(peer, Channel::MEMORY, &[&self.encoded]);
        self.check_sent(to, sent)
    }

    /// A session that has ended is reported by an event of its own, with the reason: it may be the next of this very turn, and only
    /// then is it known whom the others must be told of.
    fn check_sent(&self, to: NodeId, sent: Result<(), SendError>) -> Result<(), Fatal> {
        match sent {
            Err(error) if error != SendError::Gone && !self.leaving => Err(Fatal::Send { node: to, error }),
            _ => Ok(()),
        }
    }
}

impl From<Errno> for Fatal {
    fn from(errno: Errno) -> Fatal {
        Fatal::Poll(errno)
    }
}
