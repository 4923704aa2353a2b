//! The words that the transport and its users share.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;

use crate::wire::Protection;

/// One session with one incarnation of one peer. A handle is never used again for another session: after
/// [`Event::Lost`] it stays dead.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Peer {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Sixty-four random bits that a process draws when it starts: two incarnations of a program at one address differ
/// here.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BootEpoch(pub u64);

impl fmt::Display for BootEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Which user of a session a message is for.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Channel(pub u8);

impl Channel {
    /// Remote procedure calls.
    pub const CALL: Channel = Channel(0);
    /// The memory runtime.
    pub const MEMORY: Channel = Channel(1);
}

/// Where the bytes of a message are.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Body {
    /// The message came whole in the datagram just given to `receive`: this range of it.
    InDatagram(Range<usize>),
    /// The message was put together from several fragments.
    Whole(Vec<u8>),
}

impl Body {
    /// The bytes of the message. `datagram` is the one that was given to the call of `receive` that made this event; a
    /// range that lies outside of it (it is the wrong datagram) gives an empty slice.
    pub fn bytes<'a>(&'a self, datagram: &'a [u8]) -> &'a [u8] {
        match self {
            Body::InDatagram(range) => datagram.get(range.clone()).unwrap_or_default(),
            Body::Whole(bytes) => bytes,
        }
    }
}

/// What happened to a session.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// The session is open in both directions. Comes once per session, before its messages.
    Up {
        /// The session.
        peer: Peer,
        /// Where the peer is.
        addr: SocketAddr,
        /// Which incarnation it is.
        boot: BootEpoch,
    },
    /// A message arrived, whole and for the first time. Messages of one session come in no particular order.
    Message {
        /// Who sent it.
        peer: Peer,
        /// For which user.
        channel: Channel,
        /// The bytes.
        body: Body,
    },
    /// The session is over; whatever was not acknowledged may or may not have arrived.
    Lost {
        /// The session, dead from now on.
        peer: Peer,
        /// Where the peer was.
        addr: SocketAddr,
        /// Why.
        reason: LostReason,
    },
}

/// Why a session ended.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum LostReason {
    /// No answer to the opening within the connect timeout.
    #[error(
        "no answer: nothing that speaks this protocol, and has the same key where there is one, is reachable there"
    )]
    Unreachable,
    /// The peer was silent for longer than the limit.
    #[error("silent for too long")]
    Silent,
    /// Another incarnation of the peer's program answers at its address.
    #[error("restarted: a new process answers at this address")]
    Restarted,
    /// The peer has closed or forgotten the session.
    #[error("closed the session")]
    Reset,
    /// The peer's host says that nothing listens there any more.
    #[error("refused: its process is gone")]
    Refused,
    /// The peer speaks another version of the protocol.
    #[error("speaks version {theirs} of the protocol, this side speaks {}", crate::wire::VERSION)]
    Version {
        /// What it speaks.
        theirs: u8,
    },
    /// The peer guards its data in another way: neither side could tell the other's good datagrams from damaged ones.
    #[error("guards its data with {theirs}, this side with {ours}: give both the same key, or both the same integrity")]
    Protection {
        /// This side's.
        ours: Protection,
        /// The peer's.
        theirs: Protection,
    },
    /// The way to the peer takes only datagrams that are too small for this protocol.
    #[error("the way there takes datagrams of at most {limit} bytes: too small; set a smaller largest datagram")]
    Narrow {
        /// What it takes, bytes of UDP payload.
        limit: usize,
    },
    /// Something at the peer's address has refused our hello, because it did not stand up to its key. Nobody can vouch for that,
    /// but no genuine answer came either.
    #[error("has another key, most likely: give both sides the same one")]
    WrongKey,
    /// The session has used up its packet numbers (2^60).
    #[error("has come to the end of its packet numbers: connect again")]
    Exhausted,
    /// A message that was queued before the session opened is larger than the peer takes.
    #[error("takes only messages smaller than one already queued for it")]
    TooSmall,
}

/// Why a message was not taken, or a session not opened.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum SendError {
    /// The session has ended (or never was).
    #[error("the session with this peer has ended")]
    Gone,
    /// The message is larger than this session carries.
    #[error("message of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest that would have been taken.
        limit: usize,
    },
    /// The message does not fit into one fragment, and [`Lessons::no_fragmentation`](super::Lessons::no_fragmentation) is set.
    #[error(
        "message of {bytes} bytes does not fit into one datagram ({limit} bytes), and fragmentation is switched off"
    )]
    NotFragmented {
        /// Its size.
        bytes: usize,
        /// The largest that would have been taken.
        limit: usize,
    },
    /// Too much is queued, for this peer or for all together: try again when some of it has been acknowledged.
    #[error("the send queue is full ({queued} bytes)")]
    Backlog {
        /// What is queued in the queue that is full, in bytes.
        queued: usize,
    },
    /// This endpoint has as many sessions as it may.
    #[error("too many sessions (limit {limit})")]
    TooManyPeers {
        /// The limit.
        limit: usize,
    },
}

/// What an endpoint has done since it was made; plain totals.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Counters {
    pub datagrams_sent: u64,
    pub datagrams_received: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub messages_sent: u64,
    pub messages_delivered: u64,
    /// Fragments put on the wire for the first time.
    pub fragments_sent: u64,
    /// Fragments accepted for the first time.
    pub fragments_received: u64,
    /// Fragments sent again, for whatever reason.
    pub retransmissions: u64,
    /// Of these, the ones that later datagrams' acknowledgements gave away as lost.
    pub fast_retransmissions: u64,
    /// Times that a retransmission timer ran out.
    pub timeouts: u64,
    pub duplicates_dropped: u64,
    /// Datagrams whose integrity trailer did not match, or which the key does not vouch for: damaged, or forged.
    pub corrupt_dropped: u64,
    /// Datagrams or frames that are not of this protocol or break its rules.
    pub garbage_dropped: u64,
    /// Fragments for which there was no reassembly memory, or outside of the window.
    pub overflow_dropped: u64,
    /// Datagrams that the kernel dropped because the socket's receive buffer was full; 0 where /proc does not tell.
    pub receive_overflows: u64,
    /// Datagrams that carried an acknowledgement and nothing else.
    pub acks_bare: u64,
    pub pings: u64,
    /// Datagrams that tried how large a datagram may be.
    pub probes: u64,
    pub hellos_sent: u64,
    pub resets_sent: u64,
    pub resets_received: u64,
    pub version_mismatches: u64,
    /// Openings of peers that guard their data in another way than this endpoint.
    pub protection_mismatches: u64,
    /// Openings in which one side did not have the other's key.
    pub wrong_key: u64,
    /// With a key: copies of earlier datagrams, and what came too late to be told from one.
    pub replays_dropped: u64,
    /// Answers to hellos, again or for the first time.
    pub hellos_answered: u64,
    pub sessions_opened: u64,
    pub sessions_lost: u64,
}
