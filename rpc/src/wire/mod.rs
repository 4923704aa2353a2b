//! Bytes on the wire: what a datagram looks like. Everything is in network byte order and written by hand.

/// The version of the protocol that this code speaks.
pub const VERSION: u8 = 1;

/// How far the sequence numbers of a session may run ahead of the oldest fragment that is not acknowledged.
pub const WINDOW_FRAGMENTS: usize = 1_024;

/// What guards a datagram against damage on the way.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Integrity {
    /// CRC-32 (the polynomial of IEEE 802.3) over everything before it.
    #[default]
    Crc32,
}
