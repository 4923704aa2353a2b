//! One hot word: every node draws numbers from one counter, and no number is drawn twice.

use std::sync::atomic::{AtomicU64, Ordering};

use dsm_core::{Dsm, Placement, SharedArray};

use super::desk::Desk;
use super::{Form, Outcome, Over, Pair, PairError, measured, timed};

/// How many numbers a node draws at a time, where it draws many.
const BATCH: u64 = 32;

/// The job.
pub const PAIR: Pair = Pair {
    name: "tickets",
    shows: "one hot word",
    unit: "numbers that each node draws",
    size: 2_048,
    quick_size: 128,
    forms: &[
        Form {
            name: "dsm-naive",
            over: Over::Dsm,
            what: "load and store under a lock",
            items: &["fn counter", "fn under_lock"],
            run: under_lock,
        },
        Form {
            name: "dsm",
            over: Over::Dsm,
            what: "fetch-and-add, 32 numbers at a time",
            items: &["fn counter", "fn at_home", "fn draw_all"],
            run: at_home,
        },
        Form {
            name: "rpc-naive",
            over: Over::Rpc,
            what: "a call for each number",
            items: CALLS,
            run: |dsm, size| call(dsm, size, 1),
        },
        Form {
            name: "rpc",
            over: Over::Rpc,
            what: "a call for 32 numbers",
            items: CALLS,
            run: |dsm, size| call(dsm, size, BATCH),
        },
    ],
    source: include_str!("tickets.rs"),
    answer: |nodes, size| (0..nodes * size).sum(),
    plain: |nodes, size| {
        timed(|| {
            let (mut next, mut sum) = (0, 0);
            for _ in 0..nodes * size {
                sum += next;
                next = std::hint::black_box(next) + 1;
            }
            sum
        })
    },
};

const CALLS: &[&str] = &["trait Tickets", "struct Roll", "impl Tickets for Roll", "fn call", "fn draw_all"];

/// The desk that gives them out.
#[rpc::service]
pub trait Tickets {
    /// Draws `count` numbers; gives the first.
    #[rpc(inline)]
    fn draw(&self, count: u64) -> u64;
}

#[derive(Default)]
struct Roll {
    next: AtomicU64,
}

impl Tickets for Roll {
    fn draw(&self, count: u64) -> u64 {
        self.next.fetch_add(count, Ordering::Relaxed)
    }
}

fn counter(dsm: &Dsm) -> Result<SharedArray<'_, u64>, PairError> {
    Ok(dsm.alloc(1, Placement::Node(0))?)
}

fn under_lock(dsm: &Dsm, size: u64) -> Result<Outcome, PairError> {
    let counter = counter(dsm)?;
    let draw = || {
        let _held = dsm.lock(0);
        let drawn = counter.get(0);
        counter.set(0, drawn + 1);
        drawn
    };
    measured(dsm, || Ok((0..size).map(|_| draw()).sum()))
}

fn at_home(dsm: &Dsm, size: u64) -> Result<Outcome, PairError> {
    let counter = counter(dsm)?;
    measured(dsm, || draw_all(size, BATCH, |count| Ok(counter.fetch_add(0, count))))
}

fn call(dsm: &Dsm, size: u64, batch: u64) -> Result<Outcome, PairError> {
    let desk = Desk::open(dsm, || TicketsServer::new(Roll::default()))?;
    let tickets = TicketsClient::new(desk.client());
    desk.measured(dsm, || draw_all(size, batch, |count| Ok(tickets.draw(count)?)))
}

/// Draws `size` numbers, `batch` at a time; gives their sum.
fn draw_all(size: u64, batch: u64, draw: impl Fn(u64) -> Result<u64, PairError>) -> Result<u64, PairError> {
    let mut sum = 0;
    for begun in (0..size).step_by(batch as usize) {
        let count = batch.min(size - begun);
        let first = draw(count)?;
        sum += (first..first + count).sum::<u64>();
    }
    Ok(sum)
}
