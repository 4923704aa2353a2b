//! Large items from one to all others: node 0 makes them, every other node takes its own, one after the other, and checks them.
//! A node that is alone does both, in two threads.

use std::sync::mpsc::sync_channel;
use std::thread;

use dsm_core::{Dsm, Placement, SharedArray};
use rpc::Bytes;

use super::desk::Desk;
use super::{Form, Outcome, Over, PAGE, Pair, PairError, measured, mixed, timed};

/// Words of an item: 32 KiB.
const ITEM: usize = 4_096;
/// Items that wait for one taker, at most, where the place of one is used again. To take pages back that a taker has costs more than
/// to fetch them.
const RING: u64 = 4;

/// The job.
pub const PAIR: Pair = Pair {
    name: "stream",
    shows: "large items from one to all others",
    unit: "items for each taker",
    size: 100,
    quick_size: 4,
    forms: &[
        Form {
            name: "dsm-naive",
            over: Over::Dsm,
            what: "a ring of 4 items, all counts on one page",
            items: RINGS,
            run: |dsm, size| hand_over(dsm, size, RING, 1),
        },
        Form {
            name: "dsm",
            over: Over::Dsm,
            what: "no item overwritten, each count on its own page, fetched ahead",
            items: RINGS,
            run: |dsm, size| hand_over(dsm, size, size, PAGE),
        },
        Form {
            name: "rpc-naive",
            over: Over::Rpc,
            what: "asks for an item when the last is done",
            items: CALLS,
            run: |dsm, size| fetch(dsm, size, false),
        },
        Form {
            name: "rpc",
            over: Over::Rpc,
            what: "asks for the next item before it looks at this one",
            items: CALLS,
            run: |dsm, size| fetch(dsm, size, true),
        },
    ],
    answer: |nodes, size| {
        takers(nodes)
            .map(|taker| (0..size).map(|number| sum(item(taker, number))).fold(0, u64::wrapping_add))
            .fold(0, u64::wrapping_add)
    },
    source: include_str!("stream.rs"),
    plain: |nodes, size| {
        let all = |taker| (0..size).map(move |number| sum(item(taker, number))).fold(0, u64::wrapping_add);
        timed(|| takers(nodes).map(all).fold(0, u64::wrapping_add))
    },
};

const RINGS: &[&str] = &["struct Rings", "impl<'d> Rings<'d>", "fn await_that", "fn hand_over"];
const CALLS: &[&str] = &["trait Source", "struct Maker", "impl Source for Maker", "fn fetch"];

/// Who makes the items.
#[rpc::service]
pub trait Source {
    /// Item `number` of a taker: its words, low byte first.
    fn item(&self, taker: u64, number: u64) -> Bytes;
}

struct Maker;

impl Source for Maker {
    fn item(&self, taker: u64, number: u64) -> Bytes {
        let mut bytes = vec![0; 8 * ITEM];
        bytes
            .as_chunks_mut()
            .0
            .iter_mut()
            .zip(item(taker, number))
            .for_each(|(there, word)| *there = word.to_le_bytes());
        Bytes::from(bytes)
    }
}

fn takers(nodes: u64) -> std::ops::Range<u64> {
    if nodes == 1 { 0..1 } else { 1..nodes }
}

/// The words of an item.
fn item(taker: u64, number: u64) -> impl Iterator<Item = u64> {
    let seed = mixed((taker << 32) + number);
    (0..ITEM as u64).map(move |word| seed.wrapping_add(word * word))
}

/// What a taker hands in for an item.
fn sum(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, |sum: u64, word| sum.rotate_left(1).wrapping_add(word)) >> 16
}

/// A ring of items for each taker, and two counts: of what was made, and of what was taken.
#[derive(Clone, Copy)]
struct Rings<'d> {
    items: SharedArray<'d, u64>,
    made: SharedArray<'d, u64>,
    taken: SharedArray<'d, u64>,
    length: u64,
    spacing: usize,
}

impl<'d> Rings<'d> {
    fn new(dsm: &'d Dsm, length: u64, spacing: usize) -> Result<Self, PairError> {
        let nodes = dsm.size();
        let items = dsm.alloc(nodes * length as usize * ITEM, Placement::Node(0))?;
        let counts = dsm.alloc(nodes * spacing, Placement::Node(0))?;
        // Where it does not matter who gets in whose way, one array has both counts of all.
        let taken = if spacing == 1 {
            dsm.alloc(nodes, Placement::Node(0))?
        } else {
            dsm.alloc(nodes * spacing, Placement::Block)?
        };
        Ok(Rings { items, made: counts, taken, length, spacing })
    }

    fn start(&self, taker: u64, number: u64) -> usize {
        (taker * self.length + number % self.length) as usize * ITEM
    }

    fn count(&self, taker: u64) -> usize {
        taker as usize * self.spacing
    }

    /// Makes the items of all takers.
    fn make(&self, takers: std::ops::Range<u64>, size: u64) {
        for number in 0..size {
            for taker in takers.clone() {
                await_that(|| number < self.length || self.taken.get(self.count(taker)) + self.length > number);
                self.items.write(self.start(taker, number), &item(taker, number).collect::<Vec<_>>());
                self.made.set(self.count(taker), number + 1);
            }
        }
    }

    fn take(&self, taker: u64, size: u64, ahead: bool) -> u64 {
        let (mut words, mut handed_in) = (vec![0; ITEM], 0u64);
        for number in 0..size {
            await_that(|| self.made.get(self.count(taker)) > number);
            let start = self.start(taker, number);
            if ahead {
                self.items.prefetch(start, ITEM);
            }
            self.items.read(start, &mut words);
            self.taken.set(self.count(taker), number + 1);
            handed_in = handed_in.wrapping_add(sum(words.iter().copied()));
        }
        handed_in
    }
}

/// Looks again and again: the word is here until somebody changes it, and then it is fetched.
fn await_that(holds: impl Fn() -> bool) {
    while !holds() {
        thread::yield_now();
    }
}

fn hand_over(dsm: &Dsm, size: u64, length: u64, spacing: usize) -> Result<Outcome, PairError> {
    let rings = Rings::new(dsm, length, spacing)?;
    let (me, takers) = (dsm.rank() as u64, takers(dsm.size() as u64));
    let ahead = spacing > 1;
    measured(dsm, || {
        Ok(thread::scope(|scope| {
            if me == 0 {
                let takers = takers.clone();
                scope.spawn(move || rings.make(takers, size));
            }
            if takers.contains(&me) { rings.take(me, size, ahead) } else { 0 }
        }))
    })
}

fn fetch(dsm: &Dsm, size: u64, ahead: bool) -> Result<Outcome, PairError> {
    let desk = Desk::open(dsm, || SourceServer::new(Maker))?;
    let me = dsm.rank() as u64;
    let is_taker = takers(dsm.size() as u64).contains(&me);
    let source = SourceClient::new(desk.client());
    let handed_in = |bytes: &Bytes| sum(bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)));
    desk.measured(dsm, || {
        if !is_taker {
            return Ok(0);
        }
        if !ahead {
            return (0..size).try_fold(0u64, |all, number| Ok(all.wrapping_add(handed_in(&source.item(me, number)?))));
        }
        // One item waits while the taker looks at another and the next is on its way.
        let (hand, items) = sync_channel(1);
        thread::scope(|scope| {
            scope.spawn(move || (0..size).try_for_each(|number| hand.send(source.item(me, number))));
            items.iter().try_fold(0u64, |all, item| Ok(all.wrapping_add(handed_in(&item?))))
        })
    })
}
