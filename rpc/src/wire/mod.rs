//! Bytes on the wire: what a datagram looks like. Everything is in network byte order and written by hand.
//!
//! ```text
//! every datagram   magic u16 "DM" | version u8 | kind u8 | flags u8 | to u64 | from u64 | ... | integrity trailer
//! hello, hello ack                                          boot u64 | datagram_max u32 | message_max u32
//! reset                                                     reason u8 | boot u64
//! data             packet u64 | next u64 | heard u64 | waited u32 | words u8 | words x u64 | frames
//!   or, with the flag PROBE,         padding
//!   or, with the flag PROBED,        packet u64
//! frame            sequence u64 | index u16 | count u16 | channel u8 | length u16 | bytes
//!
//! with a key:
//! hello, hello ack      public key [32] | sealed (the prefix again | as above) | tag [16]     | CRC-32
//! reset                 as above | HMAC-SHA-256 of everything before, where it ends a session | CRC-32
//! data                  packet u64 | sealed (as above) | tag [16]
//! ```
//!
//! `to` is the session number that the receiver of the datagram chose, `from` the one that its sender chose: both are
//! random, so who cannot see the traffic cannot take part in it, and a datagram belongs to exactly one pair of
//! openings. The prefix up to `from`, the layouts of hello and reset, and their CRC-32 stay the same in every version,
//! so that two versions can tell each other so. The upper half of the flags of hellos and resets says which [`Protection`]
//! the data of whoever sends them has (0: CRC-32, 1: none, 2: additive, 3: Fletcher-32, 4: a key).
//!
//! With a key, hello and hello ack are the two messages of a Noise handshake, whose payload repeats the prefix, so that nothing in
//! front of it can be changed either. A data datagram is sealed with AES-256-GCM: the packet number is the nonce, and prefix and packet
//! number are vouched for as they stand. Up to fifteen zeros may stand behind the frames, so that the sealed part is whole blocks.
//!
//! Decoding never panics and never allocates; whatever is wrong gives a [`WireError`].

mod ack;
mod frame;
mod hello;
mod integrity;
mod prefix;
mod reader;
pub(crate) mod sums;

pub use ack::{AckBlock, Echo, MAX_WORDS};
pub use frame::{FRAME_HEADER_BYTES, Fragment, Frames, write_frame_header};
pub use hello::{
    HELLO_BYTES, Hello, NOISE_BYTES, RESET_BYTES, Reset, ResetReason, SEALED_HELLO_BYTES, SEALED_RESET_BYTES,
};
pub use integrity::{Integrity, IntegrityError, Protection};
pub(crate) use integrity::{LENT_TRAILER_BYTES, seal_lent};
pub use prefix::{Flags, Kind, PREFIX_BYTES, Prefix, SessionId};
pub use reader::Reader;

/// The version of the protocol that this code speaks.
pub const VERSION: u8 = 1;

/// The first two bytes of every datagram.
pub const MAGIC: u16 = u16::from_be_bytes(*b"DM");

/// How far the sequence numbers of a session may run ahead of the oldest fragment that is not acknowledged.
pub const WINDOW_FRAGMENTS: usize = 2_048;

/// How many words of acknowledgement bitmap a datagram that carries frames leaves room for; a bare acknowledgement has
/// room for all.
pub const RESERVED_WORDS: usize = 4;

/// Smallest datagram size that two endpoints may agree on (what every IPv4 host must take, less its headers).
pub const DATAGRAM_MIN: usize = 508;

/// What is wrong with bytes that were received.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum WireError {
    /// They end before they should.
    #[error("the datagram is cut short")]
    Short,
    /// They are not of this protocol.
    #[error("not a datagram of this protocol")]
    Foreign,
    /// The integrity trailer does not match, or the key does not vouch for it.
    #[error("damaged on the way, or forged")]
    Corrupt,
    /// A datagram of this number has been here, or may have been.
    #[error("a copy of an earlier datagram")]
    Replayed,
    /// A field has a value that no correct sender writes.
    #[error("a field has an impossible value")]
    Value,
}

/// Length of the tag of a sealed datagram.
pub const SEAL_BYTES: usize = 16;

/// What stands unencrypted at the front of a sealed data datagram: the prefix and the packet number.
pub const SEALED_HEADER_BYTES: usize = PREFIX_BYTES + 8;

/// The bytes in front of the frames of a data datagram with `words` words of acknowledgement bitmap.
pub const fn data_header_bytes(words: usize) -> usize {
    PREFIX_BYTES + 8 + 8 + 8 + 4 + 1 + 8 * words
}

/// How many bytes of a message a fragment carries (all but the last one of a message carry exactly this) when two
/// endpoints have agreed on datagrams of at most `datagram_max` bytes.
pub const fn fragment_bytes(datagram_max: usize, protection: Protection) -> usize {
    datagram_max
        .saturating_sub(data_header_bytes(RESERVED_WORDS))
        .saturating_sub(FRAME_HEADER_BYTES)
        .saturating_sub(protection.trailer_bytes())
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
