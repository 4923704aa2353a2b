//! Reliable, unordered, exactly-once messages between endpoints: a pure state machine.
//!
//! A [`Transport`] holds all sessions of one endpoint. It has no socket and no clock: datagrams come in by
//! [`Transport::receive`] and go out by [`Transport::transmit`], and every call is told the time. Delivery is exactly
//! once, in no particular order, as long as the session lasts; when it ends ([`Event::Lost`]) what was not acknowledged
//! may or may not have arrived.
//!
//! - A message is cut into fragments; every fragment has a sequence number of its own, and only lost ones are sent
//!   again.
//! - Acknowledgements (cumulative, plus a bitmap: RFC 2018's idea) ride on whatever goes out; only when nothing does, a
//!   bare one follows after [`TransportConfig::ack_delay`]. So a call and its reply cost two datagrams.
//! - The retransmission timer is RFC 6298's; loss is also noticed when later datagrams arrive (RFC 9002's packet
//!   threshold).
//! - How large datagrams may be is found out ([`path`]: RFC 8899).
//! - How much may be under way follows delay and not loss ([`congestion`]: Copa).
//! - What no datagram has to wait for is put off until those that can leave have left: acknowledgements are taken then, and timers
//!   set. Whoever asks in between hears what is true all the same.
//! - An opening takes two datagrams and tells incarnations apart by their [`BootEpoch`]. A hello by itself changes
//!   nothing: a session begins, and an older one with the same address ends, when a datagram proves that its sender has
//!   seen our answer.

mod arrival;
mod behind;
mod config;
pub mod congestion;
mod control;
mod datagram;
mod guard;
mod handshake;
mod lessons;
mod link;
mod liveness;
mod opening;
pub mod path;
mod peers;
pub mod pool;
pub(crate) mod random;
pub mod receive;
mod refusal;
pub mod rtt;
pub mod send;
mod sent_times;
#[cfg(test)]
mod tests;
mod types;
mod windowed_min;

use std::net::SocketAddr;

use bytes::Bytes;

use crate::Security;
use crate::planted::Planted;
use crate::security::secrets::Secrets;
use crate::time::Time;
use crate::wire::Frames;
use control::Controls;
use guard::Guard;
use link::{Context, Link};
use opening::Candidates;
use peers::{Peers, State};
use pool::Pool;
use random::Random;
use receive::Accepted;

pub use config::{KeepAlive, TransportConfig};
pub use datagram::Datagram;
pub use lessons::Lessons;
pub use random::Seed;
pub use send::{Countdown, Outgoing};
pub use types::{Body, BootEpoch, Channel, Counters, Event, LostReason, Peer, SendError};

/// All sessions of one endpoint: no clock, no socket, and no randomness but the seed.
///
/// After any call that takes `&mut self`, call [`Self::transmit`] until it gives nothing, and ask
/// [`Self::next_timeout`] when to call [`Self::timeout`]. Time must not run backwards.
#[derive(Debug)]
pub struct Transport {
    config: TransportConfig,
    boot: BootEpoch,
    random: Random,
    /// Where there is a key.
    secrets: Option<Secrets>,
    pool: Pool,
    counters: Counters,
    peers: Peers,
    candidates: Candidates,
    controls: Controls,
    /// Reassembly memory of all sessions.
    reserved: usize,
    /// What is queued for all sessions, as charged to them.
    queued: usize,
    /// Room for what [`Self::timeout`] finds; empty between calls.
    due: Vec<Peer>,
    /// Where somebody wants to see it: the datagram that [`Self::transmit`] wrote last, before it was sealed.
    unsealed: Option<Vec<u8>>,
    planted: Planted,
}

macro_rules! context {
    ($self:ident) => {
        &mut Context {
            config: &$self.config,
            random: &mut $self.random,
            pool: &mut $self.pool,
            counters: &mut $self.counters,
            unsealed: $self.unsealed.as_mut(),
        }
    };
}
use context;

impl Transport {
    /// An endpoint without sessions. `boot` tells this incarnation of the program from the one before it, `seed` feeds
    /// session numbers, jitter, and the secrets of handshakes: nobody outside may be able to guess it.
    pub fn new(mut config: TransportConfig, boot: BootEpoch, seed: impl Into<Seed>) -> Self {
        config.sanitise();
        let seed = seed.into();
        let secrets = match &config.security {
            Security::Plain(_) => None,
            Security::PreShared(key) => Some(Secrets::new(key, &seed)),
        };
        let peers = Peers::new(config.max_peers);
        Transport {
            config,
            boot,
            random: Random::new(seed.word()),
            secrets,
            pool: Pool::default(),
            counters: Counters::default(),
            peers,
            candidates: Candidates::default(),
            controls: Controls::new(),
            reserved: 0,
            queued: 0,
            due: Vec::new(),
            unsealed: None,
            planted: Planted::default(),
        }
    }

    /// Breaks one rule, in this endpoint and in the sessions that it opens from now on.
    #[cfg(feature = "planted")]
    pub fn plant(&mut self, bug: crate::planted::Bug) {
        self.planted = Planted::with(bug);
    }

    /// Opens a session with whoever is at `addr`, or finds the one that is open or opening. [`Event::Up`] or
    /// [`Event::Lost`] follows (for one that is already open, nothing does); messages may be queued before.
    pub fn connect(&mut self, now: Time, addr: SocketAddr) -> Result<Peer, SendError> {
        if let Some(peer) = self.peers.at(addr) {
            return Ok(peer);
        }
        // Who has said hello already was told a number: it stays.
        let known = self.candidates.find(now, addr, |_| true).map(|agreed| agreed.local);
        let local = known.unwrap_or_else(|| self.new_session_id());
        let opening = handshake::opening(self, now, addr, local);
        let wake = opening.next_timeout();
        let limit = self.config.max_peers;
        let peer = self.peers.insert(addr, State::Opening(opening)).ok_or(SendError::TooManyPeers { limit })?;
        self.peers.wake_at(peer, Some(wake));
        self.peers.enqueue(peer);
        Ok(peer)
    }

    /// Queues one message, the concatenation of `parts`. No timer starts before [`Self::transmit`] takes it, so the
    /// time is not used yet.
    pub fn send(&mut self, _now: Time, peer: Peer, channel: Channel, parts: &[&[u8]]) -> Result<(), SendError> {
        self.send_message(peer, channel, Outgoing::of(parts))
    }

    /// The same for any message. A number in it that counts down stands still until the session is open.
    pub fn send_message(&mut self, peer: Peer, channel: Channel, message: Outgoing<'_>) -> Result<(), SendError> {
        let total = message.len();
        if self.admit(peer, total).is_err() {
            // What has been acknowledged makes room.
            self.read_all();
            self.admit(peer, total)?;
        }
        let session = self.peers.get_mut(peer).ok_or(SendError::Gone)?;
        let before = session.state.queued_bytes();
        match &mut session.state {
            State::Opening(opening) => opening.push(channel.0, message.parts, total, &mut self.pool),
            State::Up(link) => link.send.push(channel.0, message, &mut self.pool),
        }
        self.queued += session.state.queued_bytes() - before;
        self.counters.messages_sent += 1;
        if !self.peers.enqueue(peer) {
            // What has been acknowledged may make room in the window.
            self.read(peer);
            self.peers.enqueue(peer);
        }
        Ok(())
    }

    /// Whether a message of so many bytes may be queued.
    fn admit(&self, peer: Peer, bytes: usize) -> Result<(), SendError> {
        let state = &self.peers.get(peer).ok_or(SendError::Gone)?.state;
        state.check_size(bytes, &self.config)?;
        let (own, charge) = (state.queued_bytes(), bytes + send::FRAGMENT_CHARGE);
        if own + charge > self.config.max_queued_bytes {
            return Err(SendError::Backlog { queued: own });
        }
        if self.queued + charge > self.config.max_queued_bytes_of_all {
            return Err(SendError::Backlog { queued: self.queued });
        }
        Ok(())
    }

    /// Takes a datagram that came from `from`; appends what it means. Bodies may be ranges of `datagram`, which is opened in place.
    pub fn receive(&mut self, now: Time, from: SocketAddr, datagram: &mut [u8], events: &mut Vec<Event>) {
        self.counters.datagrams_received += 1;
        self.counters.bytes_received += datagram.len() as u64;
        arrival::receive(self, now, from, datagram, events);
    }

    /// The part of a data datagram behind its prefix; the session is open and both its numbers match.
    fn data(&mut self, now: Time, peer: Peer, body: arrival::DataBody<'_>, events: &mut Vec<Event>) {
        let Some(session) = self.peers.get_mut(peer) else { return };
        let State::Up(link) = &mut session.state else { return };
        let queued = link.send.queued_bytes();
        if !link.heard(now, body.packet, body.flags, body.ack, context!(self)) {
            self.counters.garbage_dropped += 1;
            return;
        }
        self.queued = self.queued + link.send.queued_bytes() - queued;
        if link.about_the_path(body.packet, body.flags, &body.frames) {
            return self.peers.touched(peer);
        }
        let before = link.receive.reserved();
        let limit = self.config.max_reassembly_bytes_per_peer;
        let mut frames = Frames::new(body.frames);
        while let Some(frame) = frames.next() {
            let Ok((fragment, bytes)) = frame else {
                self.counters.garbage_dropped += 1;
                break;
            };
            let end = body.end - frames.remaining();
            let own = link.receive.reserved();
            let total = (self.reserved + own).saturating_sub(before);
            let allowance = limit.saturating_sub(own).min(self.config.max_reassembly_bytes.saturating_sub(total));
            let body = match link.accept(now, fragment, bytes, allowance, context!(self)) {
                Accepted::Single => Body::InDatagram(end - bytes.len()..end),
                Accepted::Assembled(whole) => Body::Whole(whole),
                _ => continue,
            };
            self.counters.messages_delivered += 1;
            events.push(Event::Message { peer, channel: Channel(fragment.channel), body });
        }
        self.reserved = self.reserved + link.receive.reserved() - before;
        self.peers.touched(peer);
    }

    /// Writes the next datagram to put on the wire into `out` (cleared first) and says where to send it. When there is none, catches
    /// up with whatever no datagram had to wait for.
    pub fn transmit(&mut self, now: Time, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let addr = self.write(now, out, None)?;
        self.counters.bytes_sent += out.len() as u64;
        Some(addr)
    }

    /// The same, for whoever can send a datagram in pieces.
    pub fn transmit_lending(&mut self, now: Time, out: &mut Datagram) -> Option<SocketAddr> {
        out.lent = Bytes::new();
        let addr = self.write(now, &mut out.bytes, Some(&mut out.lent))?;
        self.counters.bytes_sent += out.len() as u64;
        Some(addr)
    }

    fn write(&mut self, now: Time, out: &mut Vec<u8>, mut lent: Option<&mut Bytes>) -> Option<SocketAddr> {
        out.clear();
        if let Some(unsealed) = &mut self.unsealed {
            unsealed.clear();
        }
        let written = self.transmit_control(out).or_else(|| self.transmit_session(now, out, lent.as_deref_mut()));
        let addr = match written {
            Some(addr) => addr,
            None => {
                // Acknowledgements that were read only now may have made room.
                self.catch_up(now);
                self.transmit_session(now, out, lent)?
            }
        };
        self.counters.datagrams_sent += 1;
        Some(addr)
    }

    fn transmit_control(&mut self, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let (addr, datagram) = self.controls.pop()?;
        out.extend_from_slice(&datagram);
        Some(addr)
    }

    fn transmit_session(&mut self, now: Time, out: &mut Vec<u8>, mut lent: Option<&mut Bytes>) -> Option<SocketAddr> {
        loop {
            let peer = self.peers.next_ready()?;
            let Some(session) = self.peers.get_mut(peer) else { continue };
            let addr = session.addr;
            let written = match &mut session.state {
                State::Opening(opening) => {
                    let written = std::mem::take(&mut opening.hello_now);
                    if written {
                        self.counters.hellos_sent += 1;
                        out.extend_from_slice(&opening.hello);
                    }
                    written
                }
                State::Up(link) => link.transmit(now, out, lent.as_deref_mut(), context!(self)),
            };
            self.peers.touched(peer);
            if written {
                return Some(addr);
            }
        }
    }

    /// From now on, [`Self::unsealed`] has something to show.
    pub(crate) fn keep_unsealed(&mut self) {
        self.unsealed = Some(Vec::new());
    }

    /// What the last datagram of [`Self::transmit`] was before it was sealed, if it carried data.
    pub(crate) fn unsealed(&self) -> &[u8] {
        self.unsealed.as_deref().unwrap_or_default()
    }

    /// Whether [`Self::transmit`] may have something, before it catches up.
    pub fn wants_transmit(&self) -> bool {
        !self.controls.is_empty() || self.peers.has_ready()
    }

    /// When to call [`Self::timeout`] next. It may turn out that nothing was due then.
    pub fn next_timeout(&self) -> Option<Time> {
        let behind = self.peers.all_behind().filter_map(|session| session.state.next_timeout(&self.config));
        behind.chain(self.peers.next_wake()).min()
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Time, events: &mut Vec<Event>) {
        if self.peers.next_wake().is_none_or(|at| at > now) {
            return;
        }
        let mut due = std::mem::take(&mut self.due);
        due.extend(std::iter::from_fn(|| self.peers.pop_due(now)));
        for peer in due.drain(..) {
            self.read(peer);
            let Some(session) = self.peers.get_mut(peer) else { continue };
            let reason = match &mut session.state {
                State::Opening(opening) => opening.timeout(now, context!(self)),
                State::Up(link) => link.timeout(now, context!(self)),
            };
            match reason {
                Some(reason) => self.lose(peer, reason, events),
                None => self.peers.touched(peer),
            }
        }
        self.due = due;
    }

    /// The network says that nothing listens at `addr`. That ends an open session; while it is still opening, the peer
    /// may just not have started yet. With a key, the word of a network that is not this machine's own is not enough: the peer is asked, and
    /// has half a second to answer.
    pub fn refused(&mut self, now: Time, addr: SocketAddr, events: &mut Vec<Event>) {
        if let Some(peer) = self.peers.at(addr)
            && self.peers.get(peer).is_some_and(|session| matches!(session.state, State::Up(_)))
        {
            if self.secrets.is_some() && !addr.ip().is_loopback() {
                refusal::doubt(self, now, peer, LostReason::Refused);
            } else {
                self.lose(peer, LostReason::Refused, events);
            }
        }
    }

    /// The network takes no datagram of more than `limit` bytes (UDP payload) on the way to `addr`: the kernel knows that from
    /// the link, or from an ICMP message. A session whose fragments no longer pass is over.
    pub fn too_large(&mut self, now: Time, addr: SocketAddr, limit: usize, events: &mut Vec<Event>) {
        let Some(peer) = self.peers.at(addr) else { return };
        let Some(State::Up(link)) = self.peers.get_mut(peer).map(|session| &mut session.state) else { return };
        // RFC 8899, section 4.6: a message that says less than any path carries is not to be believed. Anybody may have sent it.
        if self.secrets.is_some() && !addr.ip().is_loopback() && link.needs_more_than(limit) {
            return;
        }
        if link.narrowed(now, limit) {
            self.peers.touched(peer);
        } else {
            self.lose(peer, LostReason::Narrow { limit }, events);
        }
    }

    /// Forgets a session and tells the other side, once: if that datagram is lost, the peer learns it when it sends
    /// something. Whatever was not acknowledged is dropped. Makes no event here.
    pub fn close(&mut self, _now: Time, peer: Peer) {
        let Some(session) = self.forget(peer) else { return };
        if let State::Up(link) = session.state {
            refusal::farewell(self, session.addr, &link.agreed);
        }
    }

    /// Where a peer is; none when the session has ended.
    pub fn address(&self, peer: Peer) -> Option<SocketAddr> {
        self.peers.get(peer).map(|session| session.addr)
    }

    /// How large datagrams to a peer may be, as far as is known now, bytes of UDP payload; none when the session is not open.
    pub fn datagram_size(&self, peer: Peer) -> Option<usize> {
        match self.peers.get(peer).map(|session| &session.state) {
            Some(State::Up(link)) => Some(link.datagram_size()),
            _ => None,
        }
    }

    /// How many fragments (before the session is open: messages) a peer has not acknowledged, sent or not.
    pub fn unacknowledged(&self, peer: Peer) -> usize {
        match self.peers.get(peer).map(|session| &session.state) {
            Some(State::Opening(opening)) => opening.pending.len(),
            Some(State::Up(link)) => link.unacknowledged(),
            None => 0,
        }
    }

    /// Whether a message that is queued now leaves at the next opportunity, and does not wait until others are acknowledged.
    pub fn has_room(&mut self, peer: Peer) -> bool {
        let has_room = |t: &Self| match t.peers.get(peer).map(|session| &session.state) {
            Some(State::Up(link)) => link.send.has_room(),
            _ => false,
        };
        has_room(self) || {
            self.read(peer);
            has_room(self)
        }
    }

    /// Memory set aside for messages that are partly here, of all sessions, bytes; at most
    /// [`TransportConfig::max_reassembly_bytes`].
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// Memory that is charged for what is queued and not acknowledged, of all sessions, bytes; at most
    /// [`TransportConfig::max_queued_bytes_of_all`] and one charge for each fragment.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn new_session_id(&mut self) -> crate::wire::SessionId {
        crate::wire::SessionId(self.random.next().max(1))
    }

    fn forget(&mut self, peer: Peer) -> Option<peers::Session> {
        let session = self.peers.remove(peer)?;
        self.queued -= session.state.queued_bytes();
        if let State::Up(link) = &session.state {
            self.reserved -= link.receive.reserved();
        }
        Some(session)
    }

    fn lose(&mut self, peer: Peer, reason: LostReason, events: &mut Vec<Event>) {
        if let Some(session) = self.forget(peer) {
            self.counters.sessions_lost += 1;
            events.push(Event::Lost { peer, addr: session.addr, reason });
        }
    }

    /// Makes an opening session an open one; what waited for it is queued.
    fn open(&mut self, now: Time, peer: Peer, agreed: link::Agreed, guard: Guard, events: &mut Vec<Event>) {
        let Some(session) = self.peers.get_mut(peer) else { return };
        let mut link = Box::new(Link::new(now, agreed, guard, &self.config));
        link.plant(self.planted);
        let mut fits = true;
        let before = session.state.queued_bytes();
        if let State::Opening(opening) = &mut session.state {
            for (channel, bytes) in opening.pending.drain(..) {
                fits &= link.check_size(bytes.len()).is_ok();
                let whole = bytes.get(..agreed.message_max).unwrap_or(&bytes);
                link.send.push(channel, Outgoing::of(&[whole]), &mut self.pool);
                self.pool.give(bytes);
            }
        }
        let wake = link.next_timeout(&self.config);
        session.state = State::Up(link);
        self.queued = self.queued + session.state.queued_bytes() - before;
        let addr = session.addr;
        if !fits {
            return self.lose(peer, LostReason::TooSmall, events);
        }
        self.peers.wake_at(peer, wake);
        self.counters.sessions_opened += 1;
        events.push(Event::Up { peer, addr, boot: agreed.boot });
        self.peers.enqueue(peer);
    }
}
