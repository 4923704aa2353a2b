//! The limits and times of a transport.

use std::time::Duration;

use super::Lessons;
use crate::Security;
use crate::wire::{DATAGRAM_MIN, Integrity};

/// How an endpoint notices that a silent peer is dead.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct KeepAlive {
    /// Ask for a sign of life when nothing was heard for this long.
    pub ping_every: Duration,
    /// Give the peer up when nothing was heard for this long.
    pub dead_after: Duration,
}

impl Default for KeepAlive {
    /// A call of 30 seconds costs about 48 datagrams beyond its own; a peer that dies is noticed after 3.5 seconds.
    fn default() -> Self {
        KeepAlive { ping_every: Duration::from_millis(1_250), dead_after: Duration::from_millis(3_500) }
    }
}

/// The limits and times of a [`super::Transport`]. The defaults suit a machine room and one machine.
///
/// There is no default: who makes one says who may take part, with a key or [`plain`](Self::plain).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransportConfig {
    /// Largest datagram (UDP payload, bytes) to peers elsewhere; what the path carries is found out up to this size, at most
    /// [`super::path::LINK_MAX`]. 1,472 fills an Ethernet frame, 8,972 a jumbo frame. A path that does not carry 1,200 bytes is
    /// not served, unless this is smaller.
    pub datagram_max: usize,
    /// Largest datagram to peers on a loopback address. 65,507 is all that UDP over IPv4 takes.
    pub datagram_max_loopback: usize,
    /// Largest message, bytes.
    pub max_message: usize,
    /// How much may wait, unacknowledged or unsent, for one peer, bytes.
    pub max_queued_bytes: usize,
    /// The same for all peers together.
    pub max_queued_bytes_of_all: usize,
    /// How much memory partly received messages of one peer may hold, bytes; at least one largest message is granted.
    pub max_reassembly_bytes_per_peer: usize,
    /// The same for all peers together.
    pub max_reassembly_bytes: usize,
    /// How much may ever be in flight to one peer, bytes; how much may be at a moment is the congestion window's to say
    /// ([`super::congestion`]). The default is four of the largest datagrams; a Linux receive buffer of the size that an
    /// ordinary user may ask for holds six. It is also a fifth of the sequence numbers that may be in flight with datagrams of
    /// 1,472 bytes, so that even where one in five is lost the oldest of them seldom holds up the others.
    pub window_bytes: usize,
    /// How many fragments may be in flight to one peer; at most [`crate::wire::WINDOW_FRAGMENTS`].
    pub window_fragments: usize,
    /// How long an acknowledgement waits for a datagram to ride on. With zero, everything that arrives is acknowledged
    /// by a datagram of its own at once: a call then costs four datagrams.
    pub ack_delay: Duration,
    /// How long an opening may take.
    pub connect_timeout: Duration,
    /// Signs of life; without them only a peer that owes an acknowledgement is ever given up.
    pub keep_alive: Option<KeepAlive>,
    /// Without `keep_alive`: how long a peer may owe an acknowledgement while nothing is heard from it.
    pub give_up_after: Duration,
    /// How many sessions at a time.
    pub max_peers: usize,
    /// What guards datagrams. Two endpoints with different ones refuse each other.
    pub security: Security,
    /// What is switched off to see what it is for.
    pub lessons: Lessons,
}

impl TransportConfig {
    /// Everything as usual, without a key: datagrams are guarded by a CRC-32 against accidents, and nobody is kept out.
    pub fn plain() -> Self {
        Self::new(Security::Plain(Integrity::Crc32))
    }

    /// Everything as usual, for whoever has this [`Key`](crate::Key).
    pub fn new(security: impl Into<Security>) -> Self {
        TransportConfig {
            datagram_max: 1_472,
            datagram_max_loopback: 65_507,
            max_message: 16 << 20,
            max_queued_bytes: 64 << 20,
            max_queued_bytes_of_all: 512 << 20,
            max_reassembly_bytes_per_peer: 32 << 20,
            max_reassembly_bytes: 256 << 20,
            window_bytes: 256 << 10,
            window_fragments: crate::wire::WINDOW_FRAGMENTS,
            ack_delay: Duration::from_micros(500),
            connect_timeout: Duration::from_secs(5),
            keep_alive: Some(KeepAlive::default()),
            give_up_after: Duration::from_secs(10),
            max_peers: 4_096,
            security: security.into(),
            lessons: Lessons::default(),
        }
    }
}

impl TransportConfig {
    /// Brings sizes into the range that the wire format can express.
    pub(super) fn sanitise(&mut self) {
        let largest = 65_507;
        self.datagram_max = self.datagram_max.clamp(DATAGRAM_MIN, super::path::LINK_MAX);
        self.datagram_max_loopback = self.datagram_max_loopback.clamp(DATAGRAM_MIN, largest);
        self.max_message = self.max_message.min(u32::MAX as usize);
        if let Some(keep) = &mut self.keep_alive {
            keep.ping_every = keep.ping_every.max(Duration::from_millis(1));
        }
        if let Some(fixed) = &mut self.lessons.fixed_timeout {
            *fixed = (*fixed).max(Duration::from_millis(1));
        }
        // What may be received at all must fit into reassembly, or it would be sent again for ever.
        let one_message = self.max_message + 2 * largest;
        self.max_reassembly_bytes_per_peer = self.max_reassembly_bytes_per_peer.max(one_message);
        self.max_reassembly_bytes = self.max_reassembly_bytes.max(one_message);
    }
}
