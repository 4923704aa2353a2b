//! False sharing: every node counts in a word of its own, and the words lie on one page.
//!
//! Nobody shares anything until the end, when each node looks at its neighbour's count. But memory is shared by pages: where the
//! words lie on one, it goes to whoever counts, each time.

use dsm_core::{Dsm, Placement};

use super::desk::{Desk, Held};
use super::{Form, Outcome, Over, PAGE, Pair, PairError, measured, timed};

/// Steps between two of which a node does something else, for which it does not need its count.
const STEPS: u64 = 64;

/// The job.
pub const PAIR: Pair = Pair {
    name: "neighbours",
    shows: "false sharing",
    unit: "times that each node counts",
    size: 1_000_000,
    quick_size: 5_000,
    forms: &[
        Form {
            name: "dsm-naive",
            over: Over::Dsm,
            what: "the words side by side",
            items: &["fn count", "fn neighbour"],
            run: |dsm, size| count(dsm, size, 1),
        },
        Form {
            name: "dsm",
            over: Over::Dsm,
            what: "each word on a page of its own",
            items: &["fn count", "fn neighbour"],
            run: |dsm, size| count(dsm, size, PAGE),
        },
        Form {
            name: "rpc-naive",
            over: Over::Rpc,
            what: "counts at the server, a call for 64",
            items: CALLS,
            run: |dsm, size| tell(dsm, size, STEPS),
        },
        Form {
            name: "rpc",
            over: Over::Rpc,
            what: "counts at home, and tells at the end",
            items: CALLS,
            run: |dsm, size| tell(dsm, size, u64::MAX),
        },
    ],
    source: include_str!("neighbours.rs"),
    answer: |nodes, size| nodes * size,
    plain: |nodes, size| {
        // Each load and each store is one instruction, as with shared words.
        timed(|| (0..nodes).map(|_| counted(size)).sum())
    },
};

const CALLS: &[&str] =
    &["trait Counts", "struct Board", "impl Counts for Board", "fn tell", "fn counted", "fn neighbour"];

/// Who keeps the counts.
#[rpc::service]
pub trait Counts {
    /// Adds to the count of a node.
    #[rpc(inline)]
    fn add(&self, node: u32, count: u64);
    /// The count of a node.
    #[rpc(inline)]
    fn count(&self, node: u32) -> u64;
}

struct Board {
    counts: Held<Vec<u64>>,
}

impl Counts for Board {
    fn add(&self, node: u32, count: u64) {
        let mut counts = self.counts.lock();
        if let Some(entry) = counts.get_mut(node as usize) {
            *entry += count;
        }
    }

    fn count(&self, node: u32) -> u64 {
        self.counts.lock().get(node as usize).copied().unwrap_or_default()
    }
}

fn count(dsm: &Dsm, size: u64, spacing: usize) -> Result<Outcome, PairError> {
    let counts = dsm.alloc::<u64>(dsm.size() * spacing, Placement::Block)?;
    let (mine, next) = (dsm.rank() * spacing, neighbour(dsm) * spacing);
    measured(dsm, || {
        for _ in 0..size {
            counts.set(mine, counts.get(mine) + 1);
        }
        dsm.barrier();
        Ok(counts.get(next))
    })
}

fn tell(dsm: &Dsm, size: u64, steps: u64) -> Result<Outcome, PairError> {
    let nodes = dsm.size();
    let desk = Desk::open(dsm, || CountsServer::new(Board { counts: Held::new(vec![0; nodes]) }))?;
    let counts = CountsClient::new(desk.client());
    desk.measured(dsm, || {
        let mut left = size;
        while left > 0 {
            let step = steps.min(left);
            let count = counted(step);
            counts.add(dsm.rank() as u32, count)?;
            left -= step;
        }
        dsm.barrier();
        Ok(counts.count(neighbour(dsm) as u32)?)
    })
}

/// Counts as memory is counted in that others may read, one by one.
fn counted(times: u64) -> u64 {
    (0..times).fold(0, |count, _| std::hint::black_box(count) + 1)
}

fn neighbour(dsm: &Dsm) -> usize {
    (dsm.rank() + 1) % dsm.size()
}
