//! Each kind of access: those of [`examples::ladder`], and calls.

use dsm_core::{Dsm, Placement};
use examples::ladder::{self, Cost};

use super::calls;
use super::node::{consume, median, say, text};

/// The rung of an atomic operation at another node.
pub const FETCH_ADD: &str = "fetch-and-add at another process";

pub(super) fn measure(dsm: &Dsm, quick: bool) -> Result<(), String> {
    let samples = if quick { 200 } else { 1_000 };
    ladder::climb(dsm, samples, |Cost { rung, p50, .. }| say(rung.words(), 0.0, p50 / 1e9))?;
    fetch_add(dsm, samples)?;
    calls::rungs(dsm, samples)
}

fn fetch_add(dsm: &Dsm, samples: usize) -> Result<(), String> {
    let word = dsm.alloc::<u64>(1, Placement::Node(1)).map_err(text)?;
    if dsm.rank() == 0 {
        let took =
            (0..samples).map(|_| calls::seconds(|| Ok(consume(word.fetch_add(0, 1))))).collect::<Result<_, _>>()?;
        say(FETCH_ADD, 0.0, median(took));
    }
    dsm.barrier();
    Ok(())
}
