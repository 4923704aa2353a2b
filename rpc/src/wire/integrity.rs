//! The trailer that guards a datagram.

use super::WireError;

/// What guards a datagram against damage on the way.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Integrity {
    /// CRC-32 (the polynomial of IEEE 802.3) over everything before it. Against accidents, not against attackers.
    #[default]
    Crc32,
}

impl Integrity {
    /// How long the trailer is.
    pub const fn trailer_bytes(self) -> usize {
        match self {
            Integrity::Crc32 => 4,
        }
    }

    /// Appends the trailer to a finished datagram.
    pub fn seal(self, datagram: &mut Vec<u8>) {
        match self {
            Integrity::Crc32 => {
                let sum = crc32fast::hash(datagram);
                datagram.extend_from_slice(&sum.to_be_bytes());
            }
        }
    }

    /// Checks the trailer; gives the datagram without it.
    pub fn open(self, datagram: &[u8]) -> Result<&[u8], WireError> {
        match self {
            Integrity::Crc32 => {
                let (covered, sum) = datagram.split_last_chunk::<4>().ok_or(WireError::Short)?;
                if crc32fast::hash(covered) == u32::from_be_bytes(*sum) { Ok(covered) } else { Err(WireError::Corrupt) }
            }
        }
    }
}
