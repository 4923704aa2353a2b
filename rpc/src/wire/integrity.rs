//! The trailer that guards a datagram.

use std::fmt;
use std::str::FromStr;

use super::{SEAL_BYTES, WireError, sums};

/// What guards a datagram against damage on the way. All of it is against accidents, not against attackers.
///
/// The trailer covers everything before it and stands at the end, the high byte first. Both ends of a session use the same
/// kind: openings say which, and carry a CRC-32 themselves in every mode.
///
/// Only [`Integrity::Crc32`] is fit for work. The others are there to be measured, and to show what they let through.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Integrity {
    /// Nothing: damage is delivered, or breaks the session in whatever way it likes.
    None,
    /// 16 bits: the Internet checksum of RFC 1071, which UDP, TCP and IPv4 use. It is this one, and not a sum of 32 bits,
    /// because it is the additive check that the network has already: what it misses here, UDP misses. A sum does not know
    /// the order of its words.
    Additive,
    /// 32 bits: two sums of 16-bit words modulo 2^16 - 1, the second of which knows the order (J. G. Fletcher, "An
    /// Arithmetic Checksum for Serial Transmissions", IEEE Transactions on Communications 30(1), 1982).
    Fletcher32,
    /// 32 bits: the CRC of Ethernet (IEEE 802.3; W. W. Peterson and D. T. Brown, "Cyclic Codes for Error Detection",
    /// Proceedings of the IRE 49(1), 1961).
    #[default]
    Crc32,
}

impl Integrity {
    /// All of them, the weakest first.
    pub const ALL: [Integrity; 4] = [Integrity::None, Integrity::Additive, Integrity::Fletcher32, Integrity::Crc32];

    /// Its name on command lines and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Integrity::None => "none",
            Integrity::Additive => "additive",
            Integrity::Fletcher32 => "fletcher32",
            Integrity::Crc32 => "crc32",
        }
    }

    /// How long the trailer is.
    pub const fn trailer_bytes(self) -> usize {
        match self {
            Integrity::None => 0,
            Integrity::Additive => 2,
            Integrity::Fletcher32 | Integrity::Crc32 => 4,
        }
    }

    /// Appends the trailer to a finished datagram.
    pub fn seal(self, datagram: &mut Vec<u8>) {
        match self {
            Integrity::None => {}
            Integrity::Additive => datagram.extend_from_slice(&sums::internet(datagram).to_be_bytes()),
            Integrity::Fletcher32 => datagram.extend_from_slice(&sums::fletcher32(datagram).to_be_bytes()),
            Integrity::Crc32 => datagram.extend_from_slice(&crc32fast::hash(datagram).to_be_bytes()),
        }
    }

    /// Checks the trailer; gives the datagram without it.
    pub fn open(self, datagram: &[u8]) -> Result<&[u8], WireError> {
        match self {
            Integrity::None => Ok(datagram),
            Integrity::Additive => open(datagram, |covered| sums::internet(covered).to_be_bytes()),
            Integrity::Fletcher32 => open(datagram, |covered| sums::fletcher32(covered).to_be_bytes()),
            Integrity::Crc32 => open(datagram, |covered| crc32fast::hash(covered).to_be_bytes()),
        }
    }
}

/// The trailer of [`seal_lent`].
pub(crate) const LENT_TRAILER_BYTES: usize = Integrity::Crc32.trailer_bytes();

/// [`Integrity::Crc32`]'s trailer, appended to a datagram in which `lent` is to stand before it.
pub(crate) fn seal_lent(datagram: &mut Vec<u8>, lent: &[u8]) {
    let mut crc = crc32fast::Hasher::new();
    crc.update(datagram);
    crc.update(lent);
    datagram.extend_from_slice(&crc.finalize().to_be_bytes());
}

/// What guards the data of an endpoint, as its hellos and refusals say it: a checksum, or a key.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protection {
    /// A trailer that finds accidents.
    Plain(Integrity),
    /// Encryption, and a tag that only who has the key can make.
    Sealed,
}

impl Protection {
    /// All of them.
    pub const ALL: [Protection; 5] = [
        Protection::Plain(Integrity::None),
        Protection::Plain(Integrity::Additive),
        Protection::Plain(Integrity::Fletcher32),
        Protection::Plain(Integrity::Crc32),
        Protection::Sealed,
    ];

    /// How much longer it makes a data datagram.
    pub const fn trailer_bytes(self) -> usize {
        match self {
            Protection::Plain(integrity) => integrity.trailer_bytes(),
            Protection::Sealed => SEAL_BYTES,
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Protection::Plain(integrity) => integrity.fmt(f),
            Protection::Sealed => f.pad("a key"),
        }
    }
}

fn open<const N: usize>(datagram: &[u8], sum: impl FnOnce(&[u8]) -> [u8; N]) -> Result<&[u8], WireError> {
    let (covered, trailer) = datagram.split_last_chunk::<N>().ok_or(WireError::Short)?;
    if sum(covered) == *trailer { Ok(covered) } else { Err(WireError::Corrupt) }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Not the name of an integrity check.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text:?} is no integrity check: write none, additive, fletcher32 or crc32")]
pub struct IntegrityError {
    text: String,
}

impl FromStr for Integrity {
    type Err = IntegrityError;

    fn from_str(text: &str) -> Result<Self, IntegrityError> {
        let named = Integrity::ALL.into_iter().find(|kind| kind.name() == text);
        named.ok_or_else(|| IntegrityError { text: text.to_owned() })
    }
}
