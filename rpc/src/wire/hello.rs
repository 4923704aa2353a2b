//! Opening and refusing sessions.

use super::{PREFIX_BYTES, Reader, WireError};

/// Length of a hello, and of its answer, with prefix and CRC. The answer is never larger than the question, so that
/// nobody can use us to multiply traffic towards a forged address.
pub const HELLO_BYTES: usize = PREFIX_BYTES + 8 + 4 + 4 + 4;

/// The same for endpoints with a key.
pub const SEALED_HELLO_BYTES: usize = PREFIX_BYTES + NOISE_BYTES + HELLO_BYTES;

/// How much longer than its payload a handshake message is: a public key and a tag.
pub const NOISE_BYTES: usize = 32 + 16;

/// Length of a reset, with prefix and CRC.
pub const RESET_BYTES: usize = PREFIX_BYTES + 1 + 8 + 4;

/// The same when a key vouches for it.
pub const SEALED_RESET_BYTES: usize = RESET_BYTES + 32;

/// What both a hello and its answer say of the side that sends them.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Hello {
    /// Its boot epoch.
    pub boot: u64,
    /// The largest datagram that it takes, bytes.
    pub datagram_max: u32,
    /// The largest message that it takes, bytes.
    pub message_max: u32,
}

impl Hello {
    /// Appends it.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.boot.to_be_bytes());
        out.extend_from_slice(&self.datagram_max.to_be_bytes());
        out.extend_from_slice(&self.message_max.to_be_bytes());
    }

    /// Reads it.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Hello { boot: reader.u64()?, datagram_max: reader.u32()?, message_max: reader.u32()? })
    }
}

/// Why a reset was sent.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum ResetReason {
    /// The session that a datagram named does not exist (any more).
    NoSession,
    /// A hello was of another version than the one in this reset's prefix.
    Version,
    /// A hello named another [`Protection`](super::Protection) than the one in this reset's flags.
    Protection,
    /// A hello did not stand up to the key.
    WrongKey,
}

/// The refusal of a datagram. It carries both session numbers of that datagram, swapped: who could not see it cannot
/// forge the refusal.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reset {
    /// Why.
    pub reason: ResetReason,
    /// The boot epoch of the side that sends it: tells a restarted peer from one that forgot.
    pub boot: u64,
}

impl Reset {
    /// Appends it.
    pub fn write(self, out: &mut Vec<u8>) {
        out.push(match self.reason {
            ResetReason::NoSession => 1,
            ResetReason::Version => 2,
            ResetReason::Protection => 3,
            ResetReason::WrongKey => 4,
        });
        out.extend_from_slice(&self.boot.to_be_bytes());
    }

    /// Reads it.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let reason = match reader.u8()? {
            1 => ResetReason::NoSession,
            2 => ResetReason::Version,
            3 => ResetReason::Protection,
            4 => ResetReason::WrongKey,
            _ => return Err(WireError::Value),
        };
        Ok(Reset { reason, boot: reader.u64()? })
    }
}
