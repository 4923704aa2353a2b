//! Heat on a plate over shared memory.

use std::time::Duration;

use dsm_core::{Dsm, Error, Placement, SharedArray};

use super::plate::{Plate, first_row, relax_row, rows_of};
use crate::figures::{Meter, Totals};

/// What a run gave, and what it cost all nodes together.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The plate after the last iteration.
    pub plate: Plate,
    /// All iterations, without the first filling and the last reading of the plate.
    pub elapsed: Duration,
    /// Messages sent.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Collective: every node with the same arguments. `size` from [`SIZE_MIN`](super::plate::SIZE_MIN). Node 0 gets the
/// report, the others none.
///
/// # Errors
/// The memory cannot be had.
pub fn run(dsm: &Dsm, size: usize, iterations: usize) -> Result<Option<Report>, Error> {
    let mut old = dsm.alloc::<f64>(size * size, Placement::Block)?;
    let mut new = dsm.alloc::<f64>(size * size, Placement::Block)?;
    let mine = rows_of(dsm.rank(), dsm.size(), size);
    // Both plates: the edges are never written again, and must be there whichever plate is read.
    for row in mine.clone() {
        old.write(row * size, &first_row(size, row));
        new.write(row * size, &first_row(size, row));
    }

    let meter = Meter::start(dsm);
    let inside = mine.start.max(1)..mine.end.min(size - 1);
    for _ in 0..iterations {
        relax(old, new, size, inside.clone());
        // Nobody may read the new plate before it is complete, nor write over the old one while a neighbour reads it.
        dsm.barrier();
        (old, new) = (new, old);
    }
    let cost = meter.stop(dsm, 0, Totals::default())?;

    if dsm.rank() != 0 {
        return Ok(None);
    }
    let mut cells = vec![0.0; size * size];
    old.read(0, &mut cells);
    let plate = Plate { size, cells };
    Ok(Some(Report { plate, elapsed: cost.elapsed, messages: cost.total().messages, bytes: cost.total().bytes }))
}

/// One iteration over some rows inside the edges. Three rows at a time are kept here, so that each is read from shared
/// memory once.
fn relax(old: SharedArray<'_, f64>, new: SharedArray<'_, f64>, size: usize, rows: std::ops::Range<usize>) {
    if rows.is_empty() {
        return;
    }
    let row_of = |row: usize| {
        let mut cells = vec![0.0; size];
        old.read(row * size, &mut cells);
        cells
    };
    let (mut above, mut here, mut below) = (row_of(rows.start - 1), row_of(rows.start), vec![0.0; size]);
    let mut out = vec![0.0; size];
    for row in rows {
        old.read((row + 1) * size, &mut below);
        relax_row(&above, &here, &below, &mut out);
        new.write(row * size, &out);
        // What was here is above the next row, what was below is here; the third is read anew.
        std::mem::swap(&mut above, &mut here);
        std::mem::swap(&mut here, &mut below);
    }
}
