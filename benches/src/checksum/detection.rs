//! Damaging datagrams by the million, and counting what goes unnoticed.

use rpc::wire::Integrity;
use serde::Serialize;

use super::Plan;
use super::contents::Contents;
use super::damage::Damage;
use super::random::Random;

/// What a trailer covers: an Ethernet frame's worth of datagram without the longest trailer.
pub const COVERED_BYTES: usize = 1_468;

/// So many damaged copies are made of a datagram before there is a new one.
const COPIES: u64 = 64;

/// How often one check was deceived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Detection {
    /// What stood in the datagrams.
    pub contents: Contents,
    /// What happened to them.
    pub damage: Damage,
    /// What guarded them.
    #[serde(serialize_with = "by_name")]
    pub integrity: Integrity,
    /// How many were damaged.
    pub corruptions: u64,
    /// Of these, the ones that were taken for good.
    pub undetected: u64,
}

fn by_name<S: serde::Serializer>(integrity: &Integrity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(integrity.name())
}

/// Runs every kind of damage on every kind of contents, and calls `progress` before each.
pub fn measure(plan: Plan, mut progress: impl FnMut(Contents, Damage)) -> Vec<Detection> {
    let mut all = Vec::new();
    for contents in Contents::ALL {
        for damage in Damage::ALL {
            progress(contents, damage);
            let counts = count(contents, damage, plan);
            all.extend(Integrity::ALL.into_iter().zip(counts).map(|(integrity, undetected)| Detection {
                contents,
                damage,
                integrity,
                corruptions: plan.corruptions,
                undetected,
            }));
        }
    }
    all
}

/// How often each check was deceived. All see the same datagrams and the same damage, which spares the trailers: they are of
/// different lengths.
fn count(contents: Contents, damage: Damage, plan: Plan) -> [u64; Integrity::ALL.len()] {
    let mut random = Random(plan.seed);
    let (mut good, mut bad) = ([0; COVERED_BYTES], [0; COVERED_BYTES]);
    let mut sealed = Integrity::ALL.map(|_| Vec::new());
    let mut undetected = [0; Integrity::ALL.len()];
    for number in 0..plan.corruptions {
        if number % COPIES == 0 {
            contents.fill(&mut good, &mut random);
            for (integrity, datagram) in Integrity::ALL.into_iter().zip(&mut sealed) {
                datagram.clear();
                datagram.extend_from_slice(&good);
                integrity.seal(datagram);
            }
        }
        bad.copy_from_slice(&good);
        damage.apply(&mut bad, &mut random);
        for ((integrity, datagram), count) in Integrity::ALL.into_iter().zip(&mut sealed).zip(&mut undetected) {
            datagram[..COVERED_BYTES].copy_from_slice(&bad);
            *count += u64::from(integrity.open(datagram).is_ok());
        }
    }
    undetected
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { rounds: 0, corruptions: 20_000, seed: 1 };

    fn undetected(all: &[Detection], of: impl Fn(&Detection) -> bool) -> Vec<u64> {
        all.iter().filter(|detection| of(detection)).map(|detection| detection.undetected).collect()
    }

    #[test]
    fn the_counts_are_what_theory_promises() {
        let all = measure(PLAN, |_, _| {});
        assert_eq!(all.len(), Contents::ALL.len() * Damage::ALL.len() * Integrity::ALL.len());
        let missed = |integrity, damages: &[Damage]| {
            undetected(&all, |it| it.integrity == integrity && damages.contains(&it.damage))
        };
        // No check notices nothing.
        assert!(missed(Integrity::None, &Damage::ALL).iter().all(|count| *count == PLAN.corruptions));
        // A CRC of 32 bits catches every burst of up to 32 bits; longer damage slips through once in 2^32 times.
        assert!(missed(Integrity::Crc32, &Damage::ALL).iter().all(|count| *count == 0));
        // Sums catch every single bit, and know nothing of the order of words.
        assert!(missed(Integrity::Additive, &[Damage::SingleBit]).iter().all(|count| *count == 0));
        let swaps = [Damage::SwappedHalfwords, Damage::SwappedWords];
        assert!(missed(Integrity::Additive, &swaps).iter().all(|count| *count == PLAN.corruptions));
        // Fletcher's second sum does: words must differ by a multiple of 65,535 divided by what that has in common with their
        // distance in order to change places unnoticed.
        assert!(missed(Integrity::Fletcher32, &[Damage::SingleBit]).iter().all(|count| *count == 0));
        let random = undetected(&all, |it| {
            it.integrity == Integrity::Fletcher32 && it.contents == Contents::Random && swaps.contains(&it.damage)
        });
        assert!(random.iter().all(|count| *count < PLAN.corruptions / 1_000), "{random:?}");
    }

    #[test]
    fn zero_and_minus_one_are_the_same_to_both_sums() {
        let all = measure(PLAN, |_, _| {});
        for integrity in [Integrity::Additive, Integrity::Fletcher32] {
            let count = undetected(&all, |it| {
                it.integrity == integrity && it.contents == Contents::Numbers && it.damage == Damage::ZeroedRun
            });
            assert!(count[0] > 0, "{integrity}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_counts() {
        let plan = Plan { corruptions: 2_000, ..PLAN };
        assert_eq!(measure(plan, |_, _| {}), measure(plan, |_, _| {}));
    }
}
