//! The table of sessions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::config::TransportConfig;
use super::link::Link;
use super::opening::Opening;
use super::types::{Peer, SendError};
use crate::time::Time;
use crate::wire::SessionId;

/// How far a session is.
#[derive(Debug)]
pub(super) enum State {
    Opening(Opening),
    Up(Box<Link>),
}

impl State {
    pub fn wants_transmit(&self) -> bool {
        match self {
            State::Opening(opening) => opening.hello_now,
            State::Up(link) => link.wants_transmit(),
        }
    }

    /// The number by which this side of it is addressed.
    pub fn local(&self) -> SessionId {
        match self {
            State::Opening(opening) => opening.local,
            State::Up(link) => link.agreed.local,
        }
    }

    /// When something is due.
    pub fn next_timeout(&self, config: &TransportConfig) -> Option<Time> {
        match self {
            State::Opening(opening) => Some(opening.next_timeout()),
            State::Up(link) => link.next_timeout(config),
        }
    }

    /// Memory that is charged for what is queued.
    pub fn queued_bytes(&self) -> usize {
        match self {
            State::Opening(opening) => opening.pending_bytes,
            State::Up(link) => link.send.queued_bytes(),
        }
    }

    /// Whether a message of so many bytes may be queued.
    pub fn check_size(&self, bytes: usize, config: &TransportConfig) -> Result<(), SendError> {
        match self {
            State::Opening(_) if bytes > config.max_message => {
                Err(SendError::TooLarge { bytes, limit: config.max_message })
            }
            State::Opening(_) => Ok(()),
            State::Up(link) => link.check_size(bytes),
        }
    }
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub addr: SocketAddr,
    pub peer: Peer,
    pub state: State,
    /// Whether it stands in the queue of those that have something to send.
    queued: bool,
    /// Whether it stands among those that are behind.
    behind: bool,
    /// Where it stands in the order of timers. Nothing of it is due before; it may be early.
    timer: Option<Time>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    session: Option<Session>,
}

/// All sessions, by handle and by address; a queue of those that have something to send, and the order of their timers, so that
/// no step looks at sessions that it does not concern.
#[derive(Debug)]
pub(super) struct Peers {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_addr: BTreeMap<SocketAddr, Peer>,
    latest: Option<(SocketAddr, Peer)>,
    ready: VecDeque<Peer>,
    /// Sessions whose books, and timers, are not up to date.
    behind: Vec<Peer>,
    /// One entry for each session that has a timer.
    timers: BTreeSet<(Time, Peer)>,
    limit: usize,
}

impl Peers {
    pub fn new(limit: usize) -> Self {
        Peers {
            slots: Vec::new(),
            free: Vec::new(),
            by_addr: BTreeMap::new(),
            latest: None,
            ready: VecDeque::new(),
            behind: Vec::new(),
            timers: BTreeSet::new(),
            limit,
        }
    }

    pub fn get(&self, peer: Peer) -> Option<&Session> {
        let slot = self.slots.get(peer.index as usize)?;
        if slot.generation == peer.generation { slot.session.as_ref() } else { None }
    }

    pub fn get_mut(&mut self, peer: Peer) -> Option<&mut Session> {
        let slot = self.slots.get_mut(peer.index as usize)?;
        if slot.generation == peer.generation { slot.session.as_mut() } else { None }
    }

    /// The session with an address. Datagrams come in runs from one address, so the latest answer is kept.
    pub fn at(&mut self, addr: SocketAddr) -> Option<Peer> {
        if let Some((latest, peer)) = self.latest
            && latest == addr
        {
            return Some(peer);
        }
        let peer = *self.by_addr.get(&addr)?;
        self.latest = Some((addr, peer));
        Some(peer)
    }

    /// Whether a session, with whatever address, is addressed by this number. Looks at all of them: for rare questions.
    pub fn any_local(&self, local: SessionId) -> bool {
        self.slots.iter().filter_map(|slot| slot.session.as_ref()).any(|session| session.state.local() == local)
    }

    /// Adds a session; none when there are too many.
    pub fn insert(&mut self, addr: SocketAddr, state: State) -> Option<Peer> {
        if self.by_addr.len() >= self.limit {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, session: None });
            (self.slots.len() - 1) as u32
        });
        let slot = self.slots.get_mut(index as usize)?;
        let peer = Peer { index, generation: slot.generation };
        slot.session = Some(Session { addr, peer, state, queued: false, behind: false, timer: None });
        self.by_addr.insert(addr, peer);
        self.latest = None;
        Some(peer)
    }

    /// Takes a session out; its handle is dead from now on.
    pub fn remove(&mut self, peer: Peer) -> Option<Session> {
        self.get(peer)?;
        let slot = self.slots.get_mut(peer.index as usize)?;
        let session = slot.session.take()?;
        if let Some(at) = session.timer {
            self.timers.remove(&(at, peer));
        }
        self.by_addr.remove(&session.addr);
        self.latest = None;
        // A slot whose generations are used up stays empty: no handle ever comes twice.
        if let Some(generation) = slot.generation.checked_add(1) {
            slot.generation = generation;
            self.free.push(peer.index);
        }
        Some(session)
    }

    /// Nothing of a session is due before `at`. A timer that is set already only moves to the front: one that has become later
    /// shows when it runs out, and so the order changes seldom, however often an acknowledgement moves a session's times.
    pub fn wake_at(&mut self, peer: Peer, at: Option<Time>) {
        let Some(at) = at else { return };
        let Some(session) = self.get_mut(peer) else { return };
        let before = session.timer;
        if before.is_some_and(|before| before <= at) {
            return;
        }
        session.timer = Some(at);
        if let Some(before) = before {
            self.timers.remove(&(before, peer));
        }
        self.timers.insert((at, peer));
    }

    /// When the first timer runs out.
    pub fn next_wake(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The next session whose timer has run out; it has none from then on.
    pub fn pop_due(&mut self, now: Time) -> Option<Peer> {
        self.next_wake().filter(|at| *at <= now)?;
        let (_, peer) = self.timers.pop_first()?;
        self.get_mut(peer)?.timer = None;
        Some(peer)
    }

    /// Puts a session into the queue if it has something to send; false when it has nothing.
    pub fn enqueue(&mut self, peer: Peer) -> bool {
        let Some(session) = self.get_mut(peer) else { return false };
        if session.queued {
            return true;
        }
        session.queued = session.state.wants_transmit();
        let queued = session.queued;
        if queued {
            self.ready.push_back(peer);
        }
        queued
    }

    /// Something of a session has changed: it may have something to send, and its books are to be brought up to date.
    pub fn touched(&mut self, peer: Peer) {
        self.enqueue(peer);
        let Some(session) = self.get_mut(peer) else { return };
        if !std::mem::replace(&mut session.behind, true) {
            self.behind.push(peer);
        }
    }

    /// The sessions whose books are not up to date.
    pub fn all_behind(&self) -> impl Iterator<Item = &Session> {
        self.behind.iter().filter_map(|peer| self.get(*peer))
    }

    /// One of them, whose books are about to be.
    pub fn next_behind(&mut self) -> Option<Peer> {
        loop {
            let peer = self.behind.pop()?;
            if let Some(session) = self.get_mut(peer) {
                session.behind = false;
                return Some(peer);
            }
        }
    }

    /// Whether a session is in the queue.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next session of the queue.
    pub fn next_ready(&mut self) -> Option<Peer> {
        loop {
            let peer = self.ready.pop_front()?;
            if let Some(session) = self.get_mut(peer) {
                session.queued = false;
                return Some(peer);
            }
        }
    }
}
