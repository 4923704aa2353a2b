//! A hash table: nodes look up keys and, now and then, add to what stands there. Some keys are much more popular than others.

use dsm_core::{Dsm, Placement, SharedArray};
use serde::{Deserialize, Serialize};

use super::desk::{Desk, Held};
use super::{Form, Outcome, Over, Pair, PairError, measured, mixed, timed};

/// Keys in the table.
const KEYS: u64 = 8_192;
/// Places in it, a power of two.
const PLACES: usize = 16_384;
/// One operation in so many adds.
const ADDS: u64 = 10;
/// Operations that a good client puts into one call.
const BATCH: usize = 32;

/// The job.
pub const PAIR: Pair = Pair {
    name: "table",
    shows: "a hash table with popular keys",
    unit: "operations of each node",
    size: 2_000,
    quick_size: 100,
    forms: &[
        Form {
            name: "dsm-naive",
            over: Over::Dsm,
            what: "one lock around every operation",
            items: LOCKED,
            run: under_lock,
        },
        Form {
            name: "dsm",
            over: Over::Dsm,
            what: "loads without a lock, additions at the home",
            items: AT_HOME,
            run: at_home,
        },
        Form {
            name: "rpc-naive",
            over: Over::Rpc,
            what: "a call for each operation",
            items: CALLS,
            run: |dsm, size| call(dsm, size, 1),
        },
        Form {
            name: "rpc",
            over: Over::Rpc,
            what: "a call for 32 operations",
            items: CALLS,
            run: |dsm, size| call(dsm, size, BATCH),
        },
    ],
    answer: |nodes, size| {
        (0..nodes).map(|node| Operation::all(node, size).filter(Operation::is_add).count() as u64).sum::<u64>()
            + nodes * size
    },
    source: include_str!("table.rs"),
    plain: |nodes, size| {
        let owner = Owner { keys: filled(), values: Held::new(vec![0; PLACES]) };
        timed(|| {
            let found: u64 = (0..nodes).map(|node| owner.operate(Operation::all(node, size).collect())).sum();
            found + owner.sum()
        })
    },
};

const LOCKED: &[&str] = &["fn find", "struct Shared", "impl<'d> Shared<'d>", "fn under_lock"];
const AT_HOME: &[&str] = &["fn find", "struct Shared", "impl<'d> Shared<'d>", "fn at_home"];
const CALLS: &[&str] = &["fn find", "trait Table", "struct Owner", "impl Table for Owner", "fn call", "const BATCH"];

/// What a node wants of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Whether this key is there.
    Find(u64),
    /// Add one to what stands at this key.
    Add(u64),
}

impl Operation {
    /// Those of a node, in order: half of them for an eighth of the keys.
    fn all(node: u64, size: u64) -> impl Iterator<Item = Operation> {
        (0..size).map(move |step| {
            let random = mixed((node << 32) + step);
            let fraction = (random >> 11) as f64 / (1u64 << 53) as f64;
            let key = key((fraction.powi(3) * KEYS as f64) as u64);
            if random.is_multiple_of(ADDS) { Operation::Add(key) } else { Operation::Find(key) }
        })
    }

    fn is_add(&self) -> bool {
        matches!(self, Operation::Add(_))
    }

    fn key(self) -> u64 {
        let (Operation::Find(key) | Operation::Add(key)) = self;
        key
    }
}

/// The key of this rank in popularity; none is 0, which stands for a free place.
fn key(rank: u64) -> u64 {
    mixed(rank) | 1
}

/// The places at which a key may be, first the one where it should.
fn places(key: u64) -> impl Iterator<Item = usize> {
    (0..PLACES).map(move |step| (mixed(key) as usize).wrapping_add(step) % PLACES)
}

/// Where all keys are.
fn filled() -> Vec<u64> {
    let mut keys = vec![0; PLACES];
    for key in (0..KEYS).map(key) {
        let free = places(key).find(|place| keys[*place] == 0 || keys[*place] == key);
        if let Some(free) = free {
            keys[free] = key;
        }
    }
    keys
}

/// The table's owner.
#[rpc::service]
pub trait Table {
    /// Does these in order. Gives how many keys were found.
    #[rpc(inline)]
    fn operate(&self, operations: Vec<Operation>) -> u64;
    /// The sum of all that stands in the table.
    fn sum(&self) -> u64;
}

struct Owner {
    keys: Vec<u64>,
    values: Held<Vec<u64>>,
}

impl Table for Owner {
    fn operate(&self, operations: Vec<Operation>) -> u64 {
        let mut values = self.values.lock();
        let mut found = 0;
        for operation in operations {
            let place = find(operation.key(), |place| self.keys[place]);
            found += u64::from(place.is_some());
            if let (Some(place), Operation::Add(_)) = (place, operation) {
                values[place] += 1;
            }
        }
        found
    }

    fn sum(&self) -> u64 {
        self.values.lock().iter().sum()
    }
}

fn find(key: u64, at: impl Fn(usize) -> u64) -> Option<usize> {
    places(key)
        .map_while(|place| Some(at(place)).filter(|there| *there != 0).map(|there| (place, there)))
        .find(|(_, there)| *there == key)
        .map(|(place, _)| place)
}

/// Keys and values, apart: keys never change, so every node keeps its copy of them.
struct Shared<'d> {
    keys: SharedArray<'d, u64>,
    values: SharedArray<'d, u64>,
}

impl<'d> Shared<'d> {
    fn new(dsm: &'d Dsm) -> Result<Shared<'d>, PairError> {
        let shared =
            Shared { keys: dsm.alloc(PLACES, Placement::Node(0))?, values: dsm.alloc(PLACES, Placement::Block)? };
        if dsm.rank() == 0 {
            shared.keys.write(0, &filled());
        }
        Ok(shared)
    }

    fn place(&self, operation: Operation) -> Option<usize> {
        find(operation.key(), |place| self.keys.get(place))
    }

    /// What a node hands in: what it found, and node 0 also what stands in the table when all are done.
    fn handed_in(&self, dsm: &Dsm, found: u64) -> u64 {
        dsm.barrier();
        let sum = if dsm.rank() == 0 { (0..PLACES).map(|place| self.values.get(place)).sum() } else { 0 };
        found + sum
    }
}

fn under_lock(dsm: &Dsm, size: u64) -> Result<Outcome, PairError> {
    let shared = Shared::new(dsm)?;
    measured(dsm, || {
        let mut found = 0;
        for operation in Operation::all(dsm.rank() as u64, size) {
            let _held = dsm.lock(0);
            let place = shared.place(operation);
            found += u64::from(place.is_some());
            if let (Some(place), Operation::Add(_)) = (place, operation) {
                shared.values.set(place, shared.values.get(place) + 1);
            }
        }
        Ok(shared.handed_in(dsm, found))
    })
}

fn at_home(dsm: &Dsm, size: u64) -> Result<Outcome, PairError> {
    let shared = Shared::new(dsm)?;
    measured(dsm, || {
        let mut found = 0;
        for operation in Operation::all(dsm.rank() as u64, size) {
            let place = shared.place(operation);
            found += u64::from(place.is_some());
            if let (Some(place), Operation::Add(_)) = (place, operation) {
                shared.values.fetch_add(place, 1);
            }
        }
        Ok(shared.handed_in(dsm, found))
    })
}

fn call(dsm: &Dsm, size: u64, batch: usize) -> Result<Outcome, PairError> {
    let desk = Desk::open(dsm, || TableServer::new(Owner { keys: filled(), values: Held::new(vec![0; PLACES]) }))?;
    let table = TableClient::new(desk.client());
    desk.measured(dsm, || {
        let mut found = 0;
        let mut operations = Operation::all(dsm.rank() as u64, size).peekable();
        while operations.peek().is_some() {
            found += table.operate(operations.by_ref().take(batch).collect())?;
        }
        dsm.barrier();
        Ok(found + if dsm.rank() == 0 { table.sum()? } else { 0 })
    })
}
