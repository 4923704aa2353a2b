//! What every datagram starts with, in every version of the protocol.

use super::{Integrity, MAGIC, Protection, Reader, VERSION, WireError};

/// Length of a [`Prefix`] on the wire.
pub const PREFIX_BYTES: usize = 2 + 1 + 1 + 1 + 8 + 8;

/// The number by which one side of a session knows it: random, chosen anew for every opening. Zero stands for "not
/// known yet".
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SessionId(pub u64);

impl SessionId {
    /// The other side's number is not known yet.
    pub const UNKNOWN: SessionId = SessionId(0);
}

/// What a datagram is for.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Asks to open a session.
    Hello,
    /// Answers a hello.
    HelloAck,
    /// Messages and acknowledgements.
    Data,
    /// "I have no such session", or "I do not speak your version".
    Reset,
}

/// One bit each.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// Nothing special.
    pub const NONE: Flags = Flags(0);
    /// Asks for an acknowledgement at once.
    pub const PING: Flags = Flags(1);
    /// The acknowledgement bitmap was cut: it says nothing about what lies beyond it.
    pub const CUT: Flags = Flags(2);
    /// The datagram is sealed with the keys of the handshake that its sender began; without it, of the one that its receiver did.
    pub const INITIATOR: Flags = Flags(16);

    /// Tries whether a datagram of this size arrives: what follows the acknowledgement is padding.
    pub const PROBE: Flags = Flags(4);
    /// Such a datagram has arrived: what follows the acknowledgement is its packet number.
    pub const PROBED: Flags = Flags(8);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Those of a hello or a reset: what guards its sender's data. CRC-32 is no bit at all, so that whoever knows of nothing
    /// else says the right thing.
    pub const fn of(protection: Protection) -> Flags {
        let code = match protection {
            Protection::Plain(Integrity::Crc32) => 0,
            Protection::Plain(Integrity::None) => 1,
            Protection::Plain(Integrity::Additive) => 2,
            Protection::Plain(Integrity::Fletcher32) => 3,
            Protection::Sealed => 4,
        };
        Flags(code << 4)
    }

    /// The inverse of [`Flags::of`].
    ///
    /// # Errors
    /// [`WireError::Value`] for a kind that is not known here.
    pub fn protection(self) -> Result<Protection, WireError> {
        let same = |kind: &Protection| Flags::of(*kind).0 == self.0 & 0xf0;
        Protection::ALL.into_iter().find(same).ok_or(WireError::Value)
    }
}

/// The fields that every datagram starts with.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Prefix {
    /// The sender's version of the protocol.
    pub version: u8,
    /// What follows.
    pub kind: Kind,
    /// Special requests.
    pub flags: Flags,
    /// The session, by its receiver's number.
    pub to: SessionId,
    /// The session, by its sender's number.
    pub from: SessionId,
}

impl Prefix {
    /// A prefix of our own version.
    pub fn new(kind: Kind, to: SessionId, from: SessionId) -> Self {
        Prefix { version: VERSION, kind, flags: Flags::NONE, to, from }
    }

    /// Appends it.
    pub fn write(self, out: &mut Vec<u8>) {
        let kind = match self.kind {
            Kind::Hello => 1,
            Kind::HelloAck => 2,
            Kind::Data => 3,
            Kind::Reset => 4,
        };
        let mut bytes = [0; PREFIX_BYTES];
        bytes[0..2].copy_from_slice(&MAGIC.to_be_bytes());
        bytes[2..5].copy_from_slice(&[self.version, kind, self.flags.0]);
        bytes[5..13].copy_from_slice(&self.to.0.to_be_bytes());
        bytes[13..21].copy_from_slice(&self.from.0.to_be_bytes());
        out.extend_from_slice(&bytes);
    }

    /// Reads it. An unknown version is not an error here: the prefix is the same in all of them.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        if reader.u16()? != MAGIC {
            return Err(WireError::Foreign);
        }
        let version = reader.u8()?;
        let kind = match reader.u8()? {
            1 => Kind::Hello,
            2 => Kind::HelloAck,
            3 => Kind::Data,
            4 => Kind::Reset,
            _ => return Err(WireError::Foreign),
        };
        let flags = Flags(reader.u8()?);
        Ok(Prefix { version, kind, flags, to: SessionId(reader.u64()?), from: SessionId(reader.u64()?) })
    }
}
