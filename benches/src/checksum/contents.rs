//! What stands in the datagrams that are damaged.

use serde::Serialize;

use super::random::Random;

/// How the bytes of a datagram come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Contents {
    /// Every bit by chance, as in compressed or encrypted data. The kindest case for every check.
    Random,
    /// Numbers as programs keep them, of 32 bits, the low byte first: half of them zero, three in eight small, one in eight -1.
    /// Real data is like this, and checks that add do worse on it than by chance (Stone and Partridge, "When the CRC and TCP
    /// Checksum Disagree", 2000).
    Numbers,
}

impl Contents {
    /// Both.
    pub const ALL: [Contents; 2] = [Contents::Random, Contents::Numbers];

    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Contents::Random => "random",
            Contents::Numbers => "numbers",
        }
    }

    /// Fills `bytes`. They are never all the same.
    pub(crate) fn fill(self, bytes: &mut [u8], random: &mut Random) {
        for word in bytes.chunks_mut(4) {
            let number = match self {
                Contents::Random => random.next() as u32,
                Contents::Numbers => match random.below(8) {
                    0..4 => 0,
                    4..7 => random.between(1, 999) as u32,
                    _ => u32::MAX,
                },
            };
            word.copy_from_slice(&number.to_le_bytes()[..word.len()]);
        }
        if let [first, .., last] = bytes {
            (*first, *last) = (1, 2);
        }
    }
}
