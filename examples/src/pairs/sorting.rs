//! Sorting: every node has some keys, and in the end the first node has the smallest ones in order, the second the next, and so on. So
//! everybody sends something to everybody.
//!
//! A key's place follows from its value, since the keys are spread evenly: a bucket sort between nodes, and a sort within each.

use dsm_core::{Dsm, Placement};

use super::desk::{Desk, Held};
use super::{Form, Outcome, Over, PAGE, Pair, PairError, measured, mixed, timed};

/// The job.
pub const PAIR: Pair = Pair {
    name: "sorting",
    shows: "everybody sends something to everybody",
    unit: "keys of each node",
    size: 10_000,
    quick_size: 120,
    forms: &[
        Form {
            name: "dsm-naive",
            over: Over::Dsm,
            what: "a place drawn for each key",
            items: &["fn keys", "fn owner", "fn one_by_one"],
            run: one_by_one,
        },
        Form {
            name: "dsm",
            over: Over::Dsm,
            what: "one piece for each node",
            items: &["fn keys", "fn owner", "fn pieces", "fn in_pieces"],
            run: in_pieces,
        },
        Form {
            name: "rpc-naive",
            over: Over::Rpc,
            what: "a call for each key",
            items: CALLS,
            run: |dsm, size| call(dsm, size, |keys| keys.chunks(1).collect()),
        },
        Form {
            name: "rpc",
            over: Over::Rpc,
            what: "a call for all keys of one node",
            items: CALLS,
            run: |dsm, size| call(dsm, size, |keys| vec![keys]),
        },
    ],
    source: include_str!("sorting.rs"),
    answer: |nodes, size| {
        let mut all: Vec<_> = (0..nodes).flat_map(|node| keys(node, size)).collect();
        all.sort_unstable();
        digest(0, &all)
    },
    plain: |nodes, size| {
        let mut all: Vec<_> = (0..nodes).flat_map(|node| keys(node, size)).collect();
        timed(|| {
            all.sort_unstable();
            digest(0, &all)
        })
    },
};

const CALLS: &[&str] =
    &["fn keys", "fn owner", "fn pieces", "trait Buckets", "struct Owner", "impl Buckets for Owner", "fn call"];

fn keys(node: u64, size: u64) -> impl Iterator<Item = u64> {
    (0..size).map(move |number| mixed((node << 32) + number))
}

/// The node at which a key ends.
fn owner(key: u64, nodes: usize) -> usize {
    ((u128::from(key) * nodes as u128) >> 64) as usize
}

/// What a node hands in for its keys, of which the first has this place. Below 2^60 for a million keys of a thousand nodes.
fn digest(first: usize, keys: &[u64]) -> u64 {
    (first..).zip(keys).map(|(place, key)| (place as u64 % 1_024 + 1) * (key >> 44)).sum()
}

/// For each node the keys that end there, in no order.
fn pieces(keys: &[u64], nodes: usize) -> Vec<Vec<u64>> {
    let mut pieces = vec![Vec::with_capacity(keys.len() / nodes); nodes];
    keys.iter().for_each(|key| pieces[owner(*key, nodes)].push(*key));
    pieces
}

fn one_by_one(dsm: &Dsm, size: u64) -> Result<Outcome, PairError> {
    let (me, nodes) = (dsm.rank(), dsm.size());
    let room = nodes * size as usize;
    let counts = dsm.alloc::<u64>(nodes, Placement::Node(0))?;
    let buckets = dsm.alloc::<u64>(nodes * room, Placement::Block)?;
    let keys: Vec<_> = keys(me as u64, size).collect();
    measured(dsm, || {
        for key in keys {
            let owner = owner(key, nodes);
            let place = counts.fetch_add(owner, 1) as usize;
            buckets.set(owner * room + place, key);
        }
        dsm.barrier();
        let first = (0..me).map(|node| counts.get(node) as usize).sum();
        let mut mine = vec![0; counts.get(me) as usize];
        buckets.read(me * room, &mut mine);
        mine.sort_unstable();
        Ok(digest(first, &mine))
    })
}

fn in_pieces(dsm: &Dsm, size: u64) -> Result<Outcome, PairError> {
    let (me, nodes) = (dsm.rank(), dsm.size());
    // For each receiver, room for the pieces of all senders, at its own node: what nobody touches is never there.
    let room = (size as usize).next_multiple_of(PAGE);
    let buckets = dsm.alloc::<u64>(nodes * nodes * room, Placement::Block)?;
    // Lengths of the pieces, those of one sender on a page.
    let lengths = dsm.alloc::<u64>(nodes * nodes.next_multiple_of(PAGE), Placement::Block)?;
    let length_of = |sender: usize, receiver: usize| sender * nodes.next_multiple_of(PAGE) + receiver;
    let keys: Vec<_> = keys(me as u64, size).collect();
    measured(dsm, || {
        for (receiver, piece) in pieces(&keys, nodes).into_iter().enumerate() {
            buckets.write((receiver * nodes + me) * room, &piece);
            lengths.set(length_of(me, receiver), piece.len() as u64);
        }
        dsm.barrier();
        let all = |receiver| (0..nodes).map(move |sender| lengths.get(length_of(sender, receiver)) as usize);
        let first = (0..me).flat_map(all).sum();
        let mut mine = Vec::new();
        for (sender, length) in all(me).enumerate() {
            let there = mine.len();
            mine.resize(there + length, 0);
            buckets.read((me * nodes + sender) * room, &mut mine[there..]);
        }
        mine.sort_unstable();
        Ok(digest(first, &mine))
    })
}

/// Who collects the keys.
#[rpc::service]
pub trait Buckets {
    /// Keys for a node.
    #[rpc(inline)]
    fn put(&self, node: u32, keys: Vec<u64>);
    /// How many keys stand before those of a node, and those.
    #[rpc(inline)]
    fn take(&self, node: u32) -> (u64, Vec<u64>);
}

struct Owner {
    buckets: Held<Vec<Vec<u64>>>,
}

impl Buckets for Owner {
    fn put(&self, node: u32, keys: Vec<u64>) {
        if let Some(bucket) = self.buckets.lock().get_mut(node as usize) {
            bucket.extend(keys);
        }
    }

    fn take(&self, node: u32) -> (u64, Vec<u64>) {
        let buckets = self.buckets.lock();
        let first = buckets.iter().take(node as usize).map(|bucket| bucket.len() as u64).sum();
        (first, buckets.get(node as usize).cloned().unwrap_or_default())
    }
}

fn call(dsm: &Dsm, size: u64, cut: fn(&[u64]) -> Vec<&[u64]>) -> Result<Outcome, PairError> {
    let (me, nodes) = (dsm.rank(), dsm.size());
    let desk = Desk::open(dsm, || BucketsServer::new(Owner { buckets: Held::new(vec![Vec::new(); nodes]) }))?;
    let buckets = BucketsClient::new(desk.client());
    let keys: Vec<_> = keys(me as u64, size).collect();
    desk.measured(dsm, || {
        for (receiver, piece) in (0..).zip(pieces(&keys, nodes)) {
            cut(&piece).into_iter().try_for_each(|keys| buckets.put(receiver, keys.to_vec()))?;
        }
        dsm.barrier();
        let (first, mut mine) = buckets.take(me as u32)?;
        mine.sort_unstable();
        Ok(digest(first as usize, &mine))
    })
}
