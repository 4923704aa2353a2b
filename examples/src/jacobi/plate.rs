//! The plate, the arithmetic, the checksum and the picture.

use std::ops::Range;

/// The temperature of the upper edge; the other edges stay at 0.
pub const HOT: f64 = 100.0;
/// The smallest plate: one point inside its edges.
pub const SIZE_MIN: usize = 3;
/// The largest plate: two of them take a gigabyte.
pub const SIZE_MAX: usize = 8192;

/// A square of temperatures, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Plate {
    /// Points on each side, edges included.
    pub size: usize,
    /// `size * size` temperatures.
    pub cells: Vec<f64>,
}

impl Plate {
    /// The plate before the first iteration.
    pub fn new(size: usize) -> Self {
        Self { size, cells: (0..size).flat_map(|row| first_row(size, row)).collect() }
    }

    /// Computes all iterations in this process alone: the reference for the others.
    pub fn solve(size: usize, iterations: usize) -> Self {
        let mut old = Self::new(size);
        let mut new = old.clone();
        for _ in 0..iterations {
            for row in 1..size - 1 {
                let [above, here, below] = [row - 1, row, row + 1].map(|r| &old.cells[r * size..(r + 1) * size]);
                relax_row(above, here, below, &mut new.cells[row * size..(row + 1) * size]);
            }
            std::mem::swap(&mut old, &mut new);
        }
        old
    }

    /// FNV-1a, 64 bits, over the bits of all cells in row order, low byte first. Equal only when every bit is.
    pub fn checksum(&self) -> u64 {
        self.cells
            .iter()
            .flat_map(|cell| cell.to_bits().to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    /// The plate as `lines` lines of text, each twice as many characters wide: the hotter, the denser.
    pub fn picture(&self, lines: usize) -> String {
        const SHADES: &[u8] = b" .:-=+*#%@";
        let lines = lines.clamp(1, self.size);
        let columns = lines * 2;
        let mut text = String::with_capacity(lines * (columns + 1));
        for line in 0..lines {
            for column in 0..columns {
                let cell = self.cells[line * self.size / lines * self.size + column * self.size / columns];
                // The square root shows the faint warmth far from the edge.
                let shade = ((cell / HOT).max(0.0).sqrt() * SHADES.len() as f64) as usize;
                text.push(char::from(SHADES[shade.min(SHADES.len() - 1)]));
            }
            text.push('\n');
        }
        text
    }
}

/// A row before the first iteration.
pub fn first_row(size: usize, row: usize) -> Vec<f64> {
    vec![if row == 0 { HOT } else { 0.0 }; size]
}

/// One row after an iteration, from three rows before it. The ends of a row are edges and stay. All rows have one
/// length.
///
/// The order of the additions is part of the result: it is what makes every run equal to the last bit, on however many
/// nodes.
pub fn relax_row(above: &[f64], here: &[f64], below: &[f64], out: &mut [f64]) {
    out.copy_from_slice(here);
    let inside = here.len().saturating_sub(1);
    for column in 1..inside {
        out[column] = (above[column] + below[column] + here[column - 1] + here[column + 1]) * 0.25;
    }
}

/// The rows of one node: equal contiguous shares, edges included, the first ones a row longer when it does not divide.
pub fn rows_of(node: usize, nodes: usize, size: usize) -> Range<usize> {
    let start = |node: usize| node * (size / nodes) + node.min(size % nodes);
    start(node)..start(node + 1)
}
