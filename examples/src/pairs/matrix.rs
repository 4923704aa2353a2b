//! Matrix multiplication: much work on data that all read and nobody changes, and a result that each writes a part of.

use std::ops::Range;

use dsm_core::{Dsm, Placement, SharedArray};

use super::desk::{Desk, Held};
use super::{Form, Outcome, Over, Pair, PairError, measured, mixed, timed};
use crate::jacobi::plate::rows_of;

/// The job.
pub const PAIR: Pair = Pair {
    name: "matrix",
    shows: "much work on data that all read",
    unit: "rows and columns",
    size: 128,
    quick_size: 24,
    forms: &[
        Form {
            name: "dsm-naive",
            over: Over::Dsm,
            what: "elements dealt out one by one",
            items: &["struct Matrices", "impl<'d> Matrices<'d>", "fn by_elements"],
            run: by_elements,
        },
        Form {
            name: "dsm",
            over: Over::Dsm,
            what: "rows in blocks, both factors read at once",
            items: &["struct Matrices", "impl<'d> Matrices<'d>", "fn by_rows", "fn times"],
            run: by_rows,
        },
        Form {
            name: "rpc-naive",
            over: Over::Rpc,
            what: "a call for each row and each column",
            items: BY_COLUMNS,
            run: |dsm, size| call(dsm, size, by_columns),
        },
        Form {
            name: "rpc",
            over: Over::Rpc,
            what: "a call for each factor, and one for the result",
            items: BY_FACTORS,
            run: |dsm, size| call(dsm, size, by_factors),
        },
    ],
    source: include_str!("matrix.rs"),
    answer: |_, size| {
        let (left, right) = (filled(0, size), filled(1, size));
        digest(&times(&left, &right, size as usize))
    },
    plain: |_, size| {
        let (left, right) = (filled(0, size), filled(1, size));
        timed(|| digest(&times(&left, &right, size as usize)))
    },
};

const BY_COLUMNS: &[&str] = &["trait Factors", "struct Owner", "impl Factors for Owner", "fn call", "fn by_columns"];
const BY_FACTORS: &[&str] =
    &["trait Factors", "struct Owner", "impl Factors for Owner", "fn call", "fn by_factors", "fn times"];

/// A factor, row by row: numbers of 8 bits.
fn filled(factor: u64, size: u64) -> Vec<u64> {
    (0..size * size).map(|place| mixed((factor << 40) + place) >> 56).collect()
}

/// Some rows of the left factor, times the right one.
fn times(rows: &[u64], right: &[u64], size: usize) -> Vec<u64> {
    let mut product = vec![0; rows.len()];
    for (row, out) in rows.chunks_exact(size).zip(product.chunks_exact_mut(size)) {
        for (element, right) in row.iter().zip(right.chunks_exact(size)) {
            out.iter_mut().zip(right).for_each(|(out, right)| *out += element * right);
        }
    }
    product
}

/// Depends on every element and on its place.
fn digest(product: &[u64]) -> u64 {
    (1..).zip(product).fold(0, |sum: u64, (place, element)| sum.wrapping_add(element.wrapping_mul(place)))
}

/// The factors, which node 0 has made, and the product.
struct Matrices<'d> {
    left: SharedArray<'d, u64>,
    right: SharedArray<'d, u64>,
    product: SharedArray<'d, u64>,
}

impl<'d> Matrices<'d> {
    fn new(dsm: &'d Dsm, size: u64) -> Result<Self, PairError> {
        let elements = (size * size) as usize;
        let factor = || dsm.alloc(elements, Placement::Node(0));
        let matrices = Matrices { left: factor()?, right: factor()?, product: dsm.alloc(elements, Placement::Block)? };
        if dsm.rank() == 0 {
            matrices.left.write(0, &filled(0, size));
            matrices.right.write(0, &filled(1, size));
        }
        Ok(matrices)
    }

    /// Node 0 hands in what stands there when all are done.
    fn handed_in(&self, dsm: &Dsm) -> u64 {
        dsm.barrier();
        if dsm.rank() > 0 {
            return 0;
        }
        let mut product = vec![0; self.product.len()];
        self.product.read(0, &mut product);
        digest(&product)
    }
}

fn by_elements(dsm: &Dsm, size: u64) -> Result<Outcome, PairError> {
    let matrices = Matrices::new(dsm, size)?;
    let size = size as usize;
    measured(dsm, || {
        for place in (dsm.rank()..size * size).step_by(dsm.size()) {
            let (row, column) = (place / size, place % size);
            let term = |k| matrices.left.get(row * size + k) * matrices.right.get(k * size + column);
            matrices.product.set(place, (0..size).map(term).sum());
        }
        Ok(matrices.handed_in(dsm))
    })
}

fn by_rows(dsm: &Dsm, size: u64) -> Result<Outcome, PairError> {
    let matrices = Matrices::new(dsm, size)?;
    let size = size as usize;
    let mine = rows_of(dsm.rank(), dsm.size(), size);
    measured(dsm, || {
        let (mut rows, mut right) = (vec![0; mine.len() * size], vec![0; size * size]);
        matrices.left.read(mine.start * size, &mut rows);
        matrices.right.read(0, &mut right);
        matrices.product.write(mine.start * size, &times(&rows, &right, size));
        Ok(matrices.handed_in(dsm))
    })
}

/// Who has the factors, and collects the product.
#[rpc::service]
pub trait Factors {
    /// So many rows of the left factor.
    #[rpc(inline)]
    fn rows(&self, first: u32, count: u32) -> Vec<u64>;
    /// A column of the right factor.
    #[rpc(inline)]
    fn column(&self, column: u32) -> Vec<u64>;
    /// The right factor.
    fn right(&self) -> Vec<u64>;
    /// Rows of the product, from this one on.
    #[rpc(inline)]
    fn put(&self, first: u32, rows: Vec<u64>);
    /// The digest of the product.
    fn digest(&self) -> u64;
}

struct Owner {
    size: usize,
    left: Vec<u64>,
    right: Vec<u64>,
    product: Held<Vec<u64>>,
}

impl Factors for Owner {
    fn rows(&self, first: u32, count: u32) -> Vec<u64> {
        self.left.iter().skip(first as usize * self.size).take(count as usize * self.size).copied().collect()
    }

    fn column(&self, column: u32) -> Vec<u64> {
        self.right.iter().skip(column as usize).step_by(self.size).copied().collect()
    }

    fn right(&self) -> Vec<u64> {
        self.right.clone()
    }

    fn put(&self, first: u32, rows: Vec<u64>) {
        let mut product = self.product.lock();
        product.iter_mut().skip(first as usize * self.size).zip(rows).for_each(|(there, new)| *there = new);
    }

    fn digest(&self) -> u64 {
        digest(&self.product.lock())
    }
}

/// One node's share.
type Share = fn(&FactorsClient, Range<usize>, usize) -> Result<(), PairError>;

fn call(dsm: &Dsm, size: u64, share: Share) -> Result<Outcome, PairError> {
    let owner = || Owner {
        size: size as usize,
        left: filled(0, size),
        right: filled(1, size),
        product: Held::new(vec![0; (size * size) as usize]),
    };
    let desk = Desk::open(dsm, || FactorsServer::new(owner()))?;
    let factors = FactorsClient::new(desk.client());
    desk.measured(dsm, || {
        share(&factors, rows_of(dsm.rank(), dsm.size(), size as usize), size as usize)?;
        dsm.barrier();
        Ok(if dsm.rank() == 0 { factors.digest()? } else { 0 })
    })
}

fn by_columns(factors: &FactorsClient, mine: Range<usize>, size: usize) -> Result<(), PairError> {
    for row in mine {
        let left = factors.rows(row as u32, 1)?;
        let mut out = Vec::with_capacity(size);
        for column in 0..size {
            let right = factors.column(column as u32)?;
            out.push(left.iter().zip(&right).map(|(left, right)| left * right).sum());
        }
        factors.put(row as u32, out)?;
    }
    Ok(())
}

fn by_factors(factors: &FactorsClient, mine: Range<usize>, size: usize) -> Result<(), PairError> {
    let (rows, right) = (factors.rows(mine.start as u32, mine.len() as u32)?, factors.right()?);
    factors.put(mine.start as u32, times(&rows, &right, size))?;
    Ok(())
}
