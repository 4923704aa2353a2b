//! How many bytes a second each check takes.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use rpc::wire::Integrity;

use super::Plan;
use super::contents::Contents;
use super::random::Random;
use crate::figure::{Figure, Unit};

/// A small call, a full Ethernet frame, and the largest datagram on one machine, more or less.
pub const SIZES: [usize; 3] = [64, 1_472, 64 << 10];

/// So much is worked through for one sample.
const SAMPLE_BYTES: usize = 2 << 20;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// What a sender does: the bytes are copied into a datagram, and a trailer is put behind them. Without a check this is
    /// the copy alone, which has to be made anyway.
    Seal,
    /// What a receiver does: the trailer is compared with the bytes. Without a check there is nothing to do, and no figure.
    Open,
}

impl Work {
    /// Both.
    pub const ALL: [Work; 2] = [Work::Seal, Work::Open];

    /// The figure's name.
    pub fn figure(self, integrity: Integrity, bytes: usize) -> String {
        let work = match self {
            Work::Seal => "seal",
            Work::Open => "open",
        };
        format!("{work}_{integrity}_{bytes}")
    }

    /// Whether there is anything to do.
    fn is_any(self, integrity: Integrity) -> bool {
        self == Work::Seal || integrity != Integrity::None
    }

    /// Millions of bytes a second, once.
    fn sample(self, integrity: Integrity, bytes: &[u8], datagram: &mut Vec<u8>) -> f64 {
        let repetitions = SAMPLE_BYTES / bytes.len();
        datagram.clear();
        datagram.extend_from_slice(bytes);
        integrity.seal(datagram);
        let start = Instant::now();
        for _ in 0..repetitions {
            match self {
                Work::Seal => {
                    datagram.clear();
                    datagram.extend_from_slice(black_box(bytes));
                    integrity.seal(datagram);
                    black_box(&mut *datagram);
                }
                Work::Open => {
                    let _ = black_box(integrity.open(black_box(datagram)));
                }
            }
        }
        (repetitions * bytes.len()) as f64 / start.elapsed().as_secs_f64() / 1e6
    }
}

/// Measures in rounds, in each of which every check does every work on every size once; calls `progress` before each round.
/// A percentile of a figure is one over the rounds.
pub fn measure(plan: Plan, mut progress: impl FnMut()) -> Vec<Figure> {
    let mut datagram = Vec::with_capacity(SIZES.into_iter().fold(0, usize::max) + 64);
    let sources = SIZES.map(|size| Source::new(size, plan.seed, &datagram));
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..plan.rounds {
        progress();
        for bytes in sources.iter().map(Source::bytes) {
            for work in Work::ALL {
                for integrity in Integrity::ALL.into_iter().filter(|integrity| work.is_any(*integrity)) {
                    let sample = work.sample(integrity, bytes, &mut datagram);
                    samples.entry(work.figure(integrity, bytes.len())).or_default().push(sample);
                }
            }
        }
    }
    samples.into_iter().map(|(name, samples)| Figure::of(&name, Unit::MegabytesPerSecond, samples)).collect()
}

/// The bytes to copy, half a page away from where they are copied to. Where the allocator puts two buffers at nearly the same
/// place of their pages, processors take each load for one that must wait for the stores just before it, and a copy is many
/// times slower: that would be measured, and not the checks.
struct Source {
    buffer: Vec<u8>,
    start: usize,
    size: usize,
}

impl Source {
    fn new(size: usize, seed: u64, datagram: &[u8]) -> Source {
        const PAGE: usize = 4_096;
        let mut buffer = vec![0; size + PAGE];
        Contents::Random.fill(&mut buffer, &mut Random(seed));
        let wanted = datagram.as_ptr() as usize + PAGE / 2;
        let start = wanted.wrapping_sub(buffer.as_ptr() as usize) % PAGE;
        Source { buffer, start, size }
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_a_figure_for_every_size_and_work() {
        let figures = measure(Plan { rounds: 1, corruptions: 0, seed: 1 }, || {});
        assert_eq!(figures.len(), SIZES.len() * (Integrity::ALL.len() + Integrity::ALL.len() - 1));
        assert!(figures.iter().all(|figure| figure.p50 > 0.0 && figure.p50.is_finite()));
        assert!(figures.iter().any(|figure| figure.name == "seal_none_64"));
        assert!(figures.iter().any(|figure| figure.name == "open_crc32_65536"));
    }
}
