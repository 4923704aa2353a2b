//! What a process of a launch does.

use dsm_core::Dsm;
use serde::{Deserialize, Serialize};

use super::{Curve, Sample, calls, crossing, ladder, sharing};

/// What the nodes are told, as JSON on their command line.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// What to measure.
    pub curve: Curve,
    /// Whether few samples will do.
    pub quick: bool,
    /// Where this launch lies on a curve that takes a launch for each point.
    pub x: u32,
}

impl Orders {
    /// Does it.
    ///
    /// # Errors
    ///
    /// A sentence for the user.
    pub fn play(self) -> Result<(), String> {
        let dsm = Dsm::join().map_err(text)?;
        match self.curve {
            Curve::Ladder => ladder::measure(&dsm, self.quick),
            Curve::Crossing => crossing::measure(&dsm, self.quick),
            Curve::Writes => sharing::writes(&dsm, self.quick),
            Curve::Sharing => sharing::stores(&dsm, self.quick),
            Curve::Stream => crossing::stream(&dsm, self.quick, self.x),
            Curve::Datagrams => calls::datagrams(&dsm, self.quick),
        }?;
        dsm.finalize().map_err(text)
    }
}

/// Tells the launcher of a point.
pub(super) fn say(series: &str, x: f64, y: f64) {
    // Three words and two numbers can always be written as JSON.
    let sample = Sample { series: series.into(), x, y };
    println!("{}", serde_json::to_string(&sample).unwrap_or_default());
}

pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Has the compiler believe that the value is needed.
pub(super) fn consume(value: u64) {
    let _ = std::hint::black_box(value);
}

/// The middle one.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Numbers below `count` in an order that looks random and is always the same.
pub(super) fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed.wrapping_mul(2).wrapping_add(43);
    for last in (1..count).rev() {
        order.swap(last, (random(&mut state) >> 33) as usize % (last + 1));
    }
    order
}

/// Knuth's MMIX generator.
pub(super) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *state
}
