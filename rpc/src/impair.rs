//! Seeded faults on the way out: loss, duplication, reordering, corruption, delay. Pure: time is an argument.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::{Time, nanoseconds};
use crate::transport::random::Random;

/// Which faults, how often. The default is none.
#[derive(Copy, Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Impairments {
    /// Probability that a datagram vanishes, 0 to 1.
    pub loss: f64,
    /// Probability that it goes out twice.
    pub duplicate: f64,
    /// Probability that it is held back so that later ones overtake it.
    pub reorder: f64,
    /// Probability that bits of it are flipped.
    pub corrupt: f64,
    /// Mean extra delay; each datagram gets between nothing and twice this.
    pub delay: Duration,
    /// The same seed and the same datagrams give the same faults.
    pub seed: u64,
}

impl Impairments {
    /// Whether there is any fault at all.
    pub fn is_any(&self) -> bool {
        self.loss > 0.0 || self.duplicate > 0.0 || self.reorder > 0.0 || self.corrupt > 0.0 || !self.delay.is_zero()
    }
}

/// A datagram that is held back to be overtaken waits between this and twice this.
const REORDER_HOLD: Duration = Duration::from_millis(1);

/// What may be held back at a time, bytes and datagrams; beyond that the network is "full" and loses them.
const HELD_BYTES_MAX: usize = 16 << 20;
const HELD_COUNT_MAX: usize = 4_096;

/// Applies [`Impairments`] to a stream of datagrams.
#[derive(Debug)]
pub struct Impairer {
    impairments: Impairments,
    random: Random,
    /// By due time, then by arrival.
    held: BTreeMap<(Time, u64), (SocketAddr, Vec<u8>)>,
    held_bytes: usize,
    arrivals: u64,
    scratch: Vec<u8>,
}

impl Impairer {
    /// With faults as given.
    pub fn new(impairments: Impairments) -> Self {
        Impairer {
            impairments,
            random: Random::new(impairments.seed),
            held: BTreeMap::new(),
            held_bytes: 0,
            arrivals: 0,
            scratch: Vec::new(),
        }
    }

    /// Decides what becomes of a datagram; `out` is called for each copy that goes out at once, the others wait for
    /// [`Self::due`].
    pub fn apply(&mut self, now: Time, datagram: &[u8], to: SocketAddr, mut out: impl FnMut(&[u8], SocketAddr)) {
        let copies = if self.random.chance(self.impairments.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            if self.random.chance(self.impairments.loss) {
                continue;
            }
            let mut copy = std::mem::take(&mut self.scratch);
            copy.clear();
            copy.extend_from_slice(datagram);
            if self.random.chance(self.impairments.corrupt) {
                self.flip(&mut copy);
            }
            let wait = self.wait();
            if wait.is_zero() {
                out(&copy, to);
                self.scratch = copy;
            } else {
                self.hold(now + wait, to, copy);
            }
        }
    }

    /// Hands out the delayed datagrams whose time has come, in the order of their times.
    pub fn due(&mut self, now: Time, mut out: impl FnMut(&[u8], SocketAddr)) {
        while let Some(first) = self.held.first_entry()
            && first.key().0 <= now
        {
            let (to, datagram) = first.remove();
            self.held_bytes -= datagram.len();
            out(&datagram, to);
            self.scratch = datagram;
        }
    }

    /// When the next delayed datagram is due.
    pub fn next_due(&self) -> Option<Time> {
        self.held.keys().next().map(|(due, _)| *due)
    }

    /// One to four bits.
    fn flip(&mut self, datagram: &mut [u8]) {
        for _ in 0..=self.random.below(4) {
            let at = self.random.below(datagram.len() as u64) as usize;
            if let Some(byte) = datagram.get_mut(at) {
                *byte ^= 1 << self.random.below(8);
            }
        }
    }

    fn wait(&mut self) -> Duration {
        let mean = nanoseconds(self.impairments.delay);
        let mut wait = self.random.below(mean.saturating_mul(2));
        if self.random.chance(self.impairments.reorder) {
            let hold = nanoseconds(REORDER_HOLD);
            wait = wait.saturating_add(hold + self.random.below(hold));
        }
        Duration::from_nanos(wait)
    }

    fn hold(&mut self, due: Time, to: SocketAddr, datagram: Vec<u8>) {
        if self.held.len() < HELD_COUNT_MAX && self.held_bytes + datagram.len() <= HELD_BYTES_MAX {
            self.held_bytes += datagram.len();
            self.arrivals += 1;
            self.held.insert((due, self.arrivals), (to, datagram));
        }
    }
}

/// Not a probability.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text:?} is not a probability: write 0.05 or 5%")]
pub struct ProbabilityError {
    text: String,
}

/// Reads "0.05" or "5%".
pub fn parse_probability(text: &str) -> Result<f64, ProbabilityError> {
    let wrong = || ProbabilityError { text: text.to_owned() };
    let trimmed = text.trim();
    let (digits, scale) = match trimmed.strip_suffix('%') {
        Some(digits) => (digits.trim_end(), 100.0),
        None => (trimmed, 1.0),
    };
    let value: f64 = digits.parse().map_err(|_| wrong())?;
    let probability = value / scale;
    if (0.0..=1.0).contains(&probability) { Ok(probability) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(impairments: Impairments) -> Vec<Vec<u8>> {
        let to = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut impairer = Impairer::new(impairments);
        let mut out = Vec::new();
        for number in 0..10_000u32 {
            let now = Time(u64::from(number) * 100_000);
            impairer.due(now, |bytes, _| out.push(bytes.to_vec()));
            impairer.apply(now, &number.to_be_bytes(), to, |bytes, _| out.push(bytes.to_vec()));
        }
        impairer.due(Time::MAX, |bytes, _| out.push(bytes.to_vec()));
        assert_eq!(impairer.next_due(), None);
        assert_eq!(impairer.held_bytes, 0);
        out
    }

    #[test]
    fn without_impairments_everything_passes_in_order() {
        let out = run(Impairments::default());
        assert!(out.iter().map(|bytes| bytes.to_vec()).eq((0..10_000u32).map(|number| number.to_be_bytes().to_vec())));
        assert!(!Impairments::default().is_any());
    }

    #[test]
    fn faults_come_about_as_often_as_asked() {
        let lost = 10_000 - run(Impairments { loss: 0.1, ..Default::default() }).len();
        assert!((800..1_200).contains(&lost), "{lost}");
        let extra = run(Impairments { duplicate: 0.1, ..Default::default() }).len() - 10_000;
        assert!((800..1_200).contains(&extra), "{extra}");
        let out = run(Impairments { reorder: 0.1, ..Default::default() });
        assert_eq!(out.len(), 10_000);
        let descents = out.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!((600..1_200).contains(&descents), "{descents}");
        let out = run(Impairments { corrupt: 0.1, ..Default::default() });
        let whole = out.iter().zip(0u32..).filter(|(bytes, number)| **bytes == number.to_be_bytes()).count();
        assert!((8_800..9_300).contains(&whole), "{whole}");
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let impairments = Impairments {
            loss: 0.1,
            duplicate: 0.1,
            reorder: 0.1,
            corrupt: 0.1,
            delay: Duration::from_millis(1),
            seed: 7,
        };
        assert_eq!(run(impairments), run(impairments));
        assert_ne!(run(impairments), run(Impairments { seed: 8, ..impairments }));
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut impairer = Impairer::new(Impairments { delay: Duration::from_secs(1), ..Default::default() });
        let to = SocketAddr::from(([127, 0, 0, 1], 1));
        (0..10_000).for_each(|_| impairer.apply(Time::ZERO, &[0; 10_000], to, |_, _| {}));
        assert!(impairer.held_bytes <= HELD_BYTES_MAX && impairer.held.len() <= HELD_COUNT_MAX);
    }

    #[test]
    fn probabilities_are_read_as_fractions_or_percent() {
        assert_eq!(parse_probability("5%"), Ok(0.05));
        assert_eq!(parse_probability(" 0.25 "), Ok(0.25));
        assert_eq!(parse_probability("100 %"), Ok(1.0));
        for wrong in ["", "%", "x", "-1", "1.5", "101%", "NaN", "inf"] {
            assert!(parse_probability(wrong).is_err(), "{wrong}");
        }
    }
}
