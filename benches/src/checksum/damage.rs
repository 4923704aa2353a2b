//! What happens to datagrams on the way.

use serde::Serialize;

use super::random::Random;

/// One kind of damage. A burst is counted in the order in which Ethernet puts bits on the wire, the low bit of each byte first:
/// its first and its last bit are wrong, and those between them by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// One bit is wrong.
    SingleBit,
    /// A burst of 2 to 32 bits.
    ShortBurst,
    /// A burst of 33 to 64 bits.
    LongBurst,
    /// Two aligned words of 16 bits have changed places.
    SwappedHalfwords,
    /// Two aligned words of 32 bits have changed places.
    SwappedWords,
    /// 2 to 64 bytes are zero.
    ZeroedRun,
    /// An aligned word of 32 bits is anything.
    GarbageWord,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Damage; 7] = [
        Damage::SingleBit,
        Damage::ShortBurst,
        Damage::LongBurst,
        Damage::SwappedHalfwords,
        Damage::SwappedWords,
        Damage::ZeroedRun,
        Damage::GarbageWord,
    ];

    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Damage::SingleBit => "single bit",
            Damage::ShortBurst => "burst of 2 to 32 bits",
            Damage::LongBurst => "burst of 33 to 64 bits",
            Damage::SwappedHalfwords => "swapped 16-bit words",
            Damage::SwappedWords => "swapped 32-bit words",
            Damage::ZeroedRun => "zeroed run",
            Damage::GarbageWord => "garbage in a word",
        }
    }

    /// Damages `bytes`, which are not all the same. What changes nothing (two equal words that change places) is no damage, and is
    /// drawn again.
    pub(crate) fn apply(self, bytes: &mut [u8], random: &mut Random) {
        while !self.attempt(bytes, random) {}
    }

    /// Whether anything has changed.
    fn attempt(self, bytes: &mut [u8], random: &mut Random) -> bool {
        match self {
            Damage::SingleBit => burst(bytes, 1, random),
            Damage::ShortBurst => burst(bytes, random.between(2, 32), random),
            Damage::LongBurst => burst(bytes, random.between(33, 64), random),
            Damage::SwappedHalfwords => swap::<2>(bytes, random),
            Damage::SwappedWords => swap::<4>(bytes, random),
            Damage::ZeroedRun => {
                let length = random.between(2, 64);
                let start = random.below(bytes.len() - length + 1);
                let run = &mut bytes[start..start + length];
                let changes = run.iter().any(|byte| *byte != 0);
                run.fill(0);
                changes
            }
            Damage::GarbageWord => {
                let (words, _) = bytes.as_chunks_mut::<4>();
                let place = random.below(words.len());
                let garbage = (random.next() as u32).to_ne_bytes();
                std::mem::replace(&mut words[place], garbage) != garbage
            }
        }
    }
}

fn burst(bytes: &mut [u8], bits: usize, random: &mut Random) -> bool {
    let start = random.below(8 * bytes.len() - bits + 1);
    let pattern = random.next() | 1 | 1 << (bits - 1);
    for bit in (0..bits).filter(|bit| pattern >> bit & 1 == 1) {
        let place = start + bit;
        bytes[place / 8] ^= 1 << (place % 8);
    }
    true
}

fn swap<const N: usize>(bytes: &mut [u8], random: &mut Random) -> bool {
    let (words, _) = bytes.as_chunks_mut::<N>();
    let (one, other) = (random.below(words.len()), random.below(words.len()));
    words.swap(one, other);
    words[one] != words[other]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::contents::Contents;

    /// The positions, in bits on the wire, that differ.
    fn wrong_bits(before: &[u8], after: &[u8]) -> Vec<usize> {
        let differs = |place: &usize| (before[place / 8] ^ after[place / 8]) >> (place % 8) & 1 == 1;
        (0..8 * before.len()).filter(differs).collect()
    }

    #[test]
    fn every_kind_of_damage_is_what_its_name_says_and_always_changes_something() {
        for contents in Contents::ALL {
            let mut random = Random(7);
            let mut before = [0; 200];
            contents.fill(&mut before, &mut random);
            for damage in Damage::ALL.into_iter().flat_map(|damage| [damage; 500]) {
                let mut after = before;
                damage.apply(&mut after, &mut random);
                let wrong = wrong_bits(&before, &after);
                let span = wrong[wrong.len() - 1] - wrong[0] + 1;
                match damage {
                    Damage::SingleBit => assert_eq!(wrong.len(), 1),
                    Damage::ShortBurst => assert!((2..=32).contains(&span), "{span}"),
                    Damage::LongBurst => assert!((33..=64).contains(&span), "{span}"),
                    Damage::SwappedHalfwords | Damage::SwappedWords => {
                        let sorted = |mut bytes: [u8; 200]| {
                            bytes.sort_unstable();
                            bytes
                        };
                        assert_eq!(sorted(before), sorted(after));
                    }
                    Damage::ZeroedRun => {
                        assert!(span <= 8 * 64);
                        assert!(wrong.iter().all(|place| after[place / 8] == 0));
                    }
                    Damage::GarbageWord => assert_eq!(wrong[0] / 32, wrong[wrong.len() - 1] / 32),
                }
            }
        }
    }
}
