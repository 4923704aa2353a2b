//! Seeded faults on the way out: loss, duplication, reordering, corruption, delay. Pure: time is an argument.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Time;

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

/// Applies [`Impairments`].
#[derive(Debug)]
pub struct Impairer {
    _impairments: Impairments,
}

impl Impairer {
    /// With faults as given.
    pub fn new(impairments: Impairments) -> Self {
        Impairer { _impairments: impairments }
    }
    /// Decides what becomes of a datagram; `out` is called for each copy that goes out at once.
    pub fn apply(&mut self, _now: Time, datagram: &[u8], to: SocketAddr, mut out: impl FnMut(&[u8], SocketAddr)) {
        out(datagram, to);
    }
    /// Hands out the delayed datagrams whose time has come.
    pub fn due(&mut self, _now: Time, _out: impl FnMut(&[u8], SocketAddr)) {}
    /// When the next delayed datagram is due.
    pub fn next_due(&self) -> Option<Time> {
        None
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
