//! Heat on a plate by Jacobi's iteration, in whole numbers: in each round every cell becomes the mean of its four neighbours.
//!
//! Each node has a share of the rows, and needs from others no more than the rows next to its own.

use std::ops::Range;

use dsm_core::{Dsm, Placement, SharedArray};

use super::desk::{Desk, Held};
use super::{Form, Outcome, Over, PAGE, Pair, PairError, measured, timed};
use crate::jacobi::plate::rows_of;

/// Rows and columns, edges included: four rows to a page.
const SIDE: usize = 128;
/// What the upper edge is kept at; the others are cold.
const HOT: u64 = 1 << 32;

/// The job.
pub const PAIR: Pair = Pair {
    name: "plate",
    shows: "neighbours that exchange their edges",
    unit: "rounds",
    size: 50,
    quick_size: 3,
    forms: &[
        Form {
            name: "dsm-naive",
            over: Over::Dsm,
            what: "rows dealt out like cards, cell by cell",
            items: &["fn by_cells"],
            run: by_cells,
        },
        Form {
            name: "dsm",
            over: Over::Dsm,
            what: "rows in blocks that begin on pages of their own, row by row",
            items: &["struct Blocks", "impl<'d> Blocks<'d>", "fn by_blocks", "fn inside", "fn round", "fn relax"],
            run: by_blocks,
        },
        Form {
            name: "rpc-naive",
            over: Over::Rpc,
            what: "the server has the plate: a call for each row",
            items: &[
                "trait Plates",
                "struct Owner",
                "impl Owner",
                "impl Plates for Owner",
                "fn by_calls",
                "fn inside",
                "fn relax",
            ],
            run: by_calls,
        },
        Form {
            name: "rpc",
            over: Over::Rpc,
            what: "rows stay where they are worked on: two calls a round",
            items: &[
                "trait Plates",
                "struct Owner",
                "impl Owner",
                "impl Plates for Owner",
                "fn by_edges",
                "fn inside",
                "fn round",
                "fn relax",
            ],
            run: by_edges,
        },
    ],
    source: include_str!("plate.rs"),
    answer: |_, size| alone(size),
    plain: |_, size| timed(|| alone(size)),
};

/// A row before the first round.
fn first(row: usize) -> Vec<u64> {
    vec![if row == 0 { HOT } else { 0 }; SIDE]
}

/// A row after a round, from three before it. The ends of a row are edges, and stay.
fn relax(above: &[u64], here: &[u64], below: &[u64]) -> Vec<u64> {
    let mut out = here.to_vec();
    for column in 1..SIDE - 1 {
        out[column] = (above[column] + below[column] + here[column - 1] + here[column + 1]) / 4;
    }
    out
}

/// What a node hands in for a row. Below 2^60 for all rows together.
fn digest(row: usize, cells: &[u64]) -> u64 {
    (row * SIDE + 1..).zip(cells).map(|(place, cell)| place as u64 * cell).sum()
}

/// A node's rows, without the plate's upper and lower edge.
fn inside(rows: Range<usize>) -> Range<usize> {
    rows.start.max(1)..rows.end.min(SIDE - 1)
}

/// The rows of one node, or all, after a round: those above and below it are given.
fn round(rows: &[Vec<u64>]) -> Vec<Vec<u64>> {
    rows.windows(3).map(|three| relax(&three[0], &three[1], &three[2])).collect()
}

fn alone(rounds: u64) -> u64 {
    let mut rows: Vec<_> = (0..SIDE).map(first).collect();
    for _ in 0..rounds {
        let relaxed = round(&rows);
        rows[1..SIDE - 1].clone_from_slice(&relaxed);
    }
    (0..).zip(&rows).map(|(row, cells)| digest(row, cells)).sum()
}

fn by_cells(dsm: &Dsm, rounds: u64) -> Result<Outcome, PairError> {
    let mut old = dsm.alloc::<u64>(SIDE * SIDE, Placement::Block)?;
    let mut new = dsm.alloc::<u64>(SIDE * SIDE, Placement::Block)?;
    let mine = || (dsm.rank()..SIDE).step_by(dsm.size());
    for row in mine() {
        [old, new].iter().for_each(|plate| plate.write(row * SIDE, &first(row)));
    }
    measured(dsm, || {
        for _ in 0..rounds {
            for row in mine().filter(|row| (1..SIDE - 1).contains(row)) {
                for cell in row * SIDE + 1..(row + 1) * SIDE - 1 {
                    let around = [cell - SIDE, cell + SIDE, cell - 1, cell + 1];
                    new.set(cell, around.map(|cell| old.get(cell)).iter().sum::<u64>() / 4);
                }
            }
            dsm.barrier();
            (old, new) = (new, old);
        }
        let cells = |row| (row * SIDE..(row + 1) * SIDE).map(|cell| old.get(cell)).collect::<Vec<_>>();
        Ok(mine().map(|row| digest(row, &cells(row))).sum())
    })
}

/// A plate in shared memory, the rows of each node on pages of its own.
#[derive(Clone, Copy)]
struct Blocks<'d> {
    words: SharedArray<'d, u64>,
    nodes: usize,
}

impl<'d> Blocks<'d> {
    fn new(dsm: &'d Dsm) -> Result<Self, PairError> {
        let nodes = dsm.size();
        let block = SIDE.div_ceil(nodes) * SIDE;
        Ok(Blocks { words: dsm.alloc(nodes * block.next_multiple_of(PAGE), Placement::Block)?, nodes })
    }

    fn place(&self, row: usize) -> usize {
        let block = self.words.len() / self.nodes;
        let owner = (0..self.nodes).find(|node| rows_of(*node, self.nodes, SIDE).contains(&row)).unwrap_or(0);
        owner * block + (row - rows_of(owner, self.nodes, SIDE).start) * SIDE
    }

    fn row(&self, row: usize) -> Vec<u64> {
        let mut cells = vec![0; SIDE];
        self.words.read(self.place(row), &mut cells);
        cells
    }

    fn set(&self, row: usize, cells: &[u64]) {
        self.words.write(self.place(row), cells);
    }
}

fn by_blocks(dsm: &Dsm, rounds: u64) -> Result<Outcome, PairError> {
    let (mut old, mut new) = (Blocks::new(dsm)?, Blocks::new(dsm)?);
    let mine = rows_of(dsm.rank(), dsm.size(), SIDE);
    for row in mine.clone() {
        [old, new].iter().for_each(|plate| plate.set(row, &first(row)));
    }
    let inside = inside(mine.clone());
    measured(dsm, || {
        for _ in 0..rounds {
            let rows: Vec<_> = (inside.start - 1..inside.end + 1).map(|row| old.row(row)).collect();
            inside.clone().zip(round(&rows)).for_each(|(row, cells)| new.set(row, &cells));
            dsm.barrier();
            (old, new) = (new, old);
        }
        Ok(mine.map(|row| digest(row, &old.row(row))).sum())
    })
}

/// Who has the rows that others need: those of this round and of the next.
#[rpc::service]
pub trait Plates {
    /// These rows, as they were before a round.
    #[rpc(inline)]
    fn rows(&self, round: u64, rows: Vec<u32>) -> Vec<Vec<u64>>;
    /// These rows are so before a round.
    #[rpc(inline)]
    fn put(&self, round: u64, rows: Vec<(u32, Vec<u64>)>);
}

struct Owner {
    plates: Held<[Vec<Vec<u64>>; 2]>,
}

impl Owner {
    fn new() -> Self {
        let rows: Vec<_> = (0..SIDE).map(first).collect();
        Owner { plates: Held::new([rows.clone(), rows]) }
    }
}

impl Plates for Owner {
    fn rows(&self, round: u64, rows: Vec<u32>) -> Vec<Vec<u64>> {
        let plates = self.plates.lock();
        let plate = &plates[(round % 2) as usize];
        rows.iter().filter_map(|row| plate.get(*row as usize)).cloned().collect()
    }

    fn put(&self, round: u64, rows: Vec<(u32, Vec<u64>)>) {
        let mut plates = self.plates.lock();
        let plate = &mut plates[(round % 2) as usize];
        for (row, cells) in rows {
            if let Some(there) = plate.get_mut(row as usize) {
                *there = cells;
            }
        }
    }
}

fn by_calls(dsm: &Dsm, rounds: u64) -> Result<Outcome, PairError> {
    let desk = Desk::open(dsm, || PlatesServer::new(Owner::new()))?;
    let plates = PlatesClient::new(desk.client());
    let mine = rows_of(dsm.rank(), dsm.size(), SIDE);
    let inside = inside(mine.clone());
    desk.measured(dsm, || {
        let row = |round, row: usize| Ok::<_, PairError>(plates.rows(round, vec![row as u32])?.concat());
        for number in 0..rounds {
            let (mut above, mut here) = (row(number, inside.start - 1)?, row(number, inside.start)?);
            for place in inside.clone() {
                let below = row(number, place + 1)?;
                plates.put(number + 1, vec![(place as u32, relax(&above, &here, &below))])?;
                (above, here) = (here, below);
            }
            dsm.barrier();
        }
        mine.map(|place| Ok(digest(place, &row(rounds, place)?))).sum()
    })
}

fn by_edges(dsm: &Dsm, rounds: u64) -> Result<Outcome, PairError> {
    let desk = Desk::open(dsm, || PlatesServer::new(Owner::new()))?;
    let plates = PlatesClient::new(desk.client());
    let mine = rows_of(dsm.rank(), dsm.size(), SIDE);
    let inside = inside(mine.clone());
    desk.measured(dsm, || {
        // Mine, and the rows around them.
        let mut rows: Vec<_> = (inside.start - 1..inside.end + 1).map(first).collect();
        let (last, around) = (rows.len() - 1, vec![inside.start as u32 - 1, inside.end as u32]);
        for number in 1..=rounds {
            let relaxed = round(&rows);
            rows[1..last].clone_from_slice(&relaxed);
            let edges = vec![(inside.start as u32, rows[1].clone()), (inside.end as u32 - 1, rows[last - 1].clone())];
            plates.put(number, edges)?;
            dsm.barrier();
            if let [above, below] = &mut plates.rows(number, around.clone())?[..] {
                rows[0] = std::mem::take(above);
                rows[last] = std::mem::take(below);
            }
        }
        Ok(mine.map(|row| digest(row, &rows[row + 1 - inside.start])).sum())
    })
}
