//! Pointers: every node follows a linked list from its first element to its last, and adds up what it finds.
//!
//! Nothing can be fetched before the element that points to it is here, so each step waits for the one before. What
//! helps is to lay the elements where the next ones come with them.

use dsm_core::{Dsm, Placement};

use super::desk::Desk;
use super::{Form, Outcome, Over, PAGE, Pair, PairError, measured, mixed, timed};

/// Words of an element: the place of the next one, and a value.
const ELEMENT: usize = 2;
/// Elements that a server walks in one call.
const WALK: u32 = 256;

/// The job.
pub const PAIR: Pair = Pair {
    name: "chain",
    shows: "pointers followed one after the other",
    unit: "elements",
    size: 4_000,
    quick_size: 100,
    forms: &[
        Form {
            name: "dsm-naive",
            over: Over::Dsm,
            what: "elements on pages of their own, in no order",
            items: LIST,
            run: |dsm, size| follow(dsm, size, PAGE),
        },
        Form {
            name: "dsm",
            over: Over::Dsm,
            what: "elements side by side, in the order of the list",
            items: LIST,
            run: |dsm, size| follow(dsm, size, ELEMENT),
        },
        Form {
            name: "rpc-naive",
            over: Over::Rpc,
            what: "a call for each element",
            items: CALLS,
            run: |dsm, size| walk(dsm, size, 1),
        },
        Form {
            name: "rpc",
            over: Over::Rpc,
            what: "a call for 256 steps",
            items: CALLS,
            run: |dsm, size| walk(dsm, size, WALK),
        },
    ],
    answer: |nodes, size| (0..size).map(value).fold(0, u64::wrapping_add).wrapping_mul(nodes),
    source: include_str!("chain.rs"),
    plain: |nodes, size| {
        let mut list = vec![0; PAGE + size as usize * ELEMENT];
        link(size, ELEMENT, |place, word| list[place] = word);
        timed(|| (0..nodes).map(|_| along(|place| list[place])).fold(0, u64::wrapping_add))
    },
};

const LIST: &[&str] = &["fn places", "fn link", "fn follow", "fn along"];
const CALLS: &[&str] = &["trait Chain", "struct List", "impl Chain for List", "fn walk"];

/// The list's owner.
#[rpc::service]
pub trait Chain {
    /// From this element on, at most so many steps: the values met, and where the walk stands then; none at the end.
    #[rpc(inline)]
    fn walk(&self, from: u32, steps: u32) -> (Vec<u64>, Option<u32>);
}

/// What stands in the element that is `place` steps from the first.
fn value(place: u64) -> u64 {
    mixed(place) >> 32
}

struct List {
    values: Vec<u64>,
}

impl Chain for List {
    fn walk(&self, from: u32, steps: u32) -> (Vec<u64>, Option<u32>) {
        let rest = self.values.get(from as usize..).unwrap_or_default();
        let met = rest.iter().take(steps as usize).copied().collect::<Vec<_>>();
        let next = from.saturating_add(met.len() as u32);
        (met, (u64::from(next) < self.values.len() as u64).then_some(next))
    }
}

/// The places of the elements, `spacing` words each: in the order of the list where they are packed, in no order where they are not.
fn places(size: u64, spacing: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..size as usize).map(|place| place * spacing).collect();
    if spacing > ELEMENT {
        for last in (1..places.len()).rev() {
            places.swap(last, mixed(last as u64) as usize % (last + 1));
        }
    }
    places
}

fn follow(dsm: &Dsm, size: u64, spacing: usize) -> Result<Outcome, PairError> {
    // One word in front: where the first element is. A place is stored as one more, and 0 ends the list.
    let list = dsm.alloc::<u64>(PAGE + size as usize * spacing, Placement::Node(0))?;
    if dsm.rank() == 0 {
        link(size, spacing, |place, word| list.set(place, word));
    }
    measured(dsm, || Ok(along(|place| list.get(place))))
}

/// Writes the list.
fn link(size: u64, spacing: usize, mut set: impl FnMut(usize, u64)) {
    let mut previous = 0;
    for (step, place) in places(size, spacing).iter().map(|place| PAGE + place).enumerate() {
        set(previous, place as u64 + 1);
        set(place + 1, value(step as u64));
        previous = place;
    }
}

/// Follows it, and adds up.
fn along(get: impl Fn(usize) -> u64) -> u64 {
    let (mut sum, mut next) = (0u64, get(0));
    while next != 0 {
        let place = next as usize - 1;
        sum = sum.wrapping_add(get(place + 1));
        next = get(place);
    }
    sum
}

fn walk(dsm: &Dsm, size: u64, steps: u32) -> Result<Outcome, PairError> {
    let desk = Desk::open(dsm, || ChainServer::new(List { values: (0..size).map(value).collect() }))?;
    let chain = ChainClient::new(desk.client());
    desk.measured(dsm, || {
        let (mut sum, mut from) = (0u64, Some(0));
        while let Some(place) = from {
            let (values, next) = chain.walk(place, steps)?;
            sum = values.into_iter().fold(sum, u64::wrapping_add);
            from = next;
        }
        Ok(sum)
    })
}
