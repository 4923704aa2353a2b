//! Reliable, unordered, exactly-once messages between endpoints: a pure state machine.

mod config;
mod types;

use std::net::SocketAddr;

use crate::time::Time;

pub use config::{KeepAlive, TransportConfig};
pub use types::{Body, BootEpoch, Channel, Counters, Event, LostReason, Peer, SendError};

/// All sessions of one endpoint: no clock, no socket, and no randomness but the seed.
#[derive(Debug)]
pub struct Transport {
    counters: Counters,
}

impl Transport {
    /// An endpoint without sessions. `boot` tells this incarnation of the program from the one before it, `seed` feeds
    /// session numbers and jitter.
    pub fn new(_config: TransportConfig, _boot: BootEpoch, _seed: u64) -> Self {
        Transport { counters: Counters::default() }
    }
    /// Opens a session with whoever is at `addr`, or finds the one that is open or opening.
    pub fn connect(&mut self, _now: Time, _addr: SocketAddr) -> Result<Peer, SendError> {
        Err(SendError::Gone)
    }
    /// Queues one message, the concatenation of `parts`.
    pub fn send(&mut self, _now: Time, _peer: Peer, _channel: Channel, _parts: &[&[u8]]) -> Result<(), SendError> {
        Err(SendError::Gone)
    }
    /// Takes a datagram that came from `from`; appends what it means.
    pub fn receive(&mut self, _now: Time, _from: SocketAddr, _datagram: &[u8], _events: &mut Vec<Event>) {}
    /// Writes the next datagram to put on the wire into `out` (cleared first) and says where to send it.
    pub fn transmit(&mut self, _now: Time, _out: &mut Vec<u8>) -> Option<SocketAddr> {
        None
    }
    /// When to call [`Self::timeout`] next.
    pub fn next_timeout(&self) -> Option<Time> {
        None
    }
    /// Does what is due.
    pub fn timeout(&mut self, _now: Time, _events: &mut Vec<Event>) {}
    /// The network says that nothing listens at `addr`.
    pub fn refused(&mut self, _now: Time, _addr: SocketAddr, _events: &mut Vec<Event>) {}
    /// Forgets a session and tells the other side. Makes no event here.
    pub fn close(&mut self, _now: Time, _peer: Peer) {}
    /// Where a peer is.
    pub fn address(&self, _peer: Peer) -> Option<SocketAddr> {
        None
    }
    /// How many fragments (before the session is open: messages) a peer has not acknowledged.
    pub fn unacknowledged(&self, _peer: Peer) -> usize {
        0
    }
    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
