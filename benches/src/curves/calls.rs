//! Calls: what they cost, also when a datagram is lost, and how many datagrams they take.

use std::time::{Duration, Instant};

use dsm_core::{Dsm, Placement, SharedArray};
use examples::pairs::desk::Desk;
use rpc::impair::Impairments;

use super::node::{consume, median, say, shuffled, text};
use super::work::Work;

/// The rung of a call of no work.
pub const NULL_CALL: &str = "call, both sides polling";
/// The rungs of calls of one process: of no work, for a page's worth of bytes, and for [`LARGE_BYTES`].
pub const CALLS: [&str; 3] = [NULL_CALL, "call that brings a page's worth of bytes", "call that brings 64 KiB"];
/// The same where the caller does [`WORK`](super::work::WORK) before each.
pub const CALLS_AFTER_WORK: [&str; 3] =
    ["call after work", "call for a page's worth, after work", "call for 64 KiB, after work"];
/// The same while two processes call.
pub const BUSY_CALLS: [&str; 3] =
    ["call, while two processes call", "call for a page's worth, while two do so", "call for 64 KiB, while two do so"];
/// The same while two processes call, each after work.
pub const BUSY_CALLS_AFTER_WORK: [&str; 3] = [
    "call after work, while two do so",
    "call for a page's worth, after work, while two do so",
    "call for 64 KiB, after work, while two do so",
];
/// Bytes of a large result.
pub const LARGE_BYTES: usize = 64 << 10;
/// Calls before the first one that counts. In the first ten milliseconds or so a call takes twice as long as after them; polling that rests
/// because others have just computed (`rpc::driver`'s `Polling`) would explain it, and so would threads that have found no processor yet.
const SETTLING_CALLS: usize = 1_000;
/// The rung of a call whose request is lost.
pub const LOST_CALL: &str = "call whose first datagram is lost";

/// What the calls of all curves go to: words, as shared memory has them.
#[rpc::service]
pub trait Words {
    /// What a word holds.
    #[rpc(inline)]
    fn get(&self, index: u64) -> u64;
    /// Stores it.
    #[rpc(inline)]
    fn set(&self, index: u64, value: u64);
    /// The sum of several.
    #[rpc(inline)]
    fn sum(&self, indices: Vec<u64>) -> u64;
    /// So many words.
    fn several(&self, count: u32) -> Vec<u64>;
}

/// Words at a server.
#[derive(Default)]
pub(super) struct Held(std::sync::atomic::AtomicU64);

impl Words for Held {
    fn get(&self, index: u64) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed).wrapping_add(index)
    }

    fn set(&self, _index: u64, value: u64) {
        self.0.store(value, std::sync::atomic::Ordering::Relaxed);
    }

    fn sum(&self, indices: Vec<u64>) -> u64 {
        indices.into_iter().map(|index| self.get(index)).fold(0, u64::wrapping_add)
    }

    fn several(&self, count: u32) -> Vec<u64> {
        vec![7; (LARGE_BYTES / 8).min(count as usize)]
    }
}

/// Calls that fail in a row before a measurement of lost ones gives up.
const LOST_CALLS_MAX: usize = 4_000;

/// Seconds of one access.
pub(super) fn seconds(access: impl FnOnce() -> Result<(), String>) -> Result<f64, String> {
    let start = Instant::now();
    access()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The rungs of the ladder that are calls. Node 0 serves, node 1 calls; then both call at once.
pub(super) fn rungs(dsm: &Dsm, samples: usize) -> Result<(), String> {
    let desk = Desk::open(dsm, || WordsServer::new(Held::default())).map_err(text)?;
    let words = WordsClient::new(desk.client());
    let get = || words.get(1).map(drop).map_err(text);
    let bytes = |count: usize| words.several((count / 8) as u32).map(drop).map_err(text);
    let (page, large) = (|| bytes(dsm_core::PAGE_BYTES), || bytes(LARGE_BYTES));
    let calls: [&dyn Fn() -> Result<(), String>; 3] = [&get, &page, &large];
    (0..SETTLING_CALLS).try_for_each(|_| get())?;
    let (nothing, work) = (Work::default(), Work::measured());
    for (place, call) in calls.into_iter().enumerate() {
        // A large one takes as long as several small ones.
        let samples = if place == 2 { samples / 4 } else { samples };
        let rung = |name, who, work| on_average(dsm, name, who, work, samples, |_| call());
        rung(CALLS[place], Who::One, nothing)?;
        rung(CALLS_AFTER_WORK[place], Who::One, work)?;
        rung(BUSY_CALLS[place], Who::Two, nothing)?;
        rung(BUSY_CALLS_AFTER_WORK[place], Who::Two, work)?;
    }
    if dsm.rank() == 1 {
        let impairments = Impairments { loss: 0.05, seed: 1, ..Impairments::default() };
        let lossy = WordsClient::new(desk.another(impairments).map_err(text)?);
        say(LOST_CALL, 0.0, median(lost(&lossy, samples / 20)?));
    }
    dsm.barrier();
    Ok(())
}

/// What an access costs on average, waiting for the processor included, while nodes 0 and 1 do the same.
pub(super) fn at_once(
    dsm: &Dsm,
    name: &str,
    samples: usize,
    access: impl Fn(usize) -> Result<(), String>,
) -> Result<(), String> {
    on_average(dsm, name, Who::Two, Work::default(), samples, access)
}

/// Which nodes access something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Node 1, while the others wait at a barrier.
    One,
    /// Nodes 0 and 1.
    Two,
}

/// What an access costs on average, until the slower of the two has done all of its own. Whatever the work before it takes longer than
/// alone is a part of the cost.
fn on_average(
    dsm: &Dsm,
    name: &str,
    who: Who,
    work: Work,
    samples: usize,
    access: impl Fn(usize) -> Result<(), String>,
) -> Result<(), String> {
    let takes_part = dsm.rank() == 1 || (dsm.rank() == 0 && who == Who::Two);
    dsm.barrier();
    let all = seconds(|| {
        for sample in (0..samples).filter(|_| takes_part) {
            work.work();
            access(sample)?;
        }
        dsm.barrier();
        Ok(())
    })?;
    if dsm.rank() == 1 {
        say(name, 0.0, all / samples as f64 - work.seconds());
    }
    Ok(())
}

/// Calls during which the client had to send something again.
fn lost(words: &WordsClient, wanted: usize) -> Result<Vec<f64>, String> {
    let again = || words.client().counters().transport.retransmissions;
    let (mut took, mut before) = (Vec::new(), again());
    for _ in 0..LOST_CALLS_MAX {
        let time = seconds(|| words.get(1).map(drop).map_err(text))?;
        let after = again();
        if after > before {
            took.push(time);
        }
        before = after;
        if took.len() >= wanted {
            break;
        }
    }
    Ok(took)
}

/// Datagrams of all kinds of accesses, on two nodes: node 0 is the home and the server.
pub(super) fn datagrams(dsm: &Dsm, quick: bool) -> Result<(), String> {
    let samples = if quick { 50 } else { 500 };
    let pages: SharedArray<'_, u64> =
        dsm.alloc(samples * dsm_core::PAGE_BYTES / 8, Placement::Node(0)).map_err(text)?;
    let word = |page: usize| page * dsm_core::PAGE_BYTES / 8;
    if dsm.rank() == 0 {
        (0..samples).for_each(|page| pages.set(word(page), 1));
    }
    let order = shuffled(samples, 1);
    let of_memory = |name: &str, access: &dyn Fn(usize)| -> Result<(), String> {
        let sent = dsm.alloc::<u64>(1, Placement::Node(0)).map_err(text)?;
        dsm.barrier();
        let before = dsm.stats().datagrams_sent;
        if dsm.rank() == 1 {
            order.iter().for_each(|page| access(*page));
        }
        // Its few datagrams are counted, too.
        dsm.barrier();
        sent.fetch_add(0, dsm.stats().datagrams_sent - before);
        dsm.barrier();
        if dsm.rank() == 1 {
            say(name, 0.0, sent.get(0) as f64 / samples as f64);
        }
        Ok(())
    };
    of_memory("fault of a load", &|page| consume(pages.get(word(page))))?;
    of_memory("fault of a store to a page that is here", &|page| pages.set(word(page), 2))?;
    of_memory("fetch-and-add at its home", &|_| consume(pages.fetch_add(1, 1)))?;
    calls_of(dsm, samples)
}

fn calls_of(dsm: &Dsm, samples: usize) -> Result<(), String> {
    let desk = Desk::open(dsm, || WordsServer::new(Held::default())).map_err(text)?;
    if dsm.rank() == 1 {
        let words = WordsClient::new(desk.client());
        words.get(1).map_err(text)?;
        let count = |name: &str, pause: Duration, call: &dyn Fn() -> Result<(), String>| {
            let datagrams = || {
                let transport = words.client().counters().transport;
                transport.datagrams_sent + transport.datagrams_received
            };
            let before = datagrams();
            for _ in 0..samples {
                call()?;
                std::thread::sleep(pause);
            }
            // The last acknowledgement is under way.
            std::thread::sleep(Duration::from_millis(30));
            say(name, 0.0, (datagrams() - before) as f64 / samples as f64);
            Ok::<(), String>(())
        };
        count("call, the next at once", Duration::ZERO, &|| words.get(1).map(drop).map_err(text))?;
        count("call, the next after 30 ms", Duration::from_millis(30), &|| words.get(1).map(drop).map_err(text))?;
        count("call that brings a page's worth of bytes", Duration::ZERO, &|| {
            words.several((dsm_core::PAGE_BYTES / 8) as u32).map(drop).map_err(text)
        })?;
    }
    dsm.barrier();
    Ok(())
}
