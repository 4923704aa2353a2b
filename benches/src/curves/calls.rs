//! Calls: what they cost, also when a datagram is lost, and how many datagrams they take.

use std::time::{Duration, Instant};

use dsm_core::{Dsm, Placement, SharedArray};
use examples::pairs::desk::Desk;
use rpc::Bytes;
use rpc::impair::Impairments;

use super::node::{consume, median, say, text};

/// The rung of a call of no work.
pub const NULL_CALL: &str = "call, both sides polling";
/// The rung of a call whose result is as large as a page.
pub const PAGE_CALL: &str = "call that brings a page's worth of bytes";
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
    /// Bytes, as many as a page has.
    fn page(&self) -> Bytes;
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

    fn page(&self) -> Bytes {
        Bytes(vec![7; dsm_core::PAGE_BYTES])
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

/// The rungs of the ladder that are calls. Node 0 serves, node 1 calls.
pub(super) fn rungs(dsm: &Dsm, samples: usize) -> Result<(), String> {
    let desk = Desk::open(dsm, || WordsServer::new(Held::default())).map_err(text)?;
    if dsm.rank() == 1 {
        let words = WordsClient::new(desk.client());
        let timed =
            |call: &dyn Fn() -> Result<(), String>| (0..samples).map(|_| seconds(call)).collect::<Result<Vec<_>, _>>();
        // The first calls open the session.
        timed(&|| words.get(1).map(drop).map_err(text))?;
        say(NULL_CALL, 0.0, median(timed(&|| words.get(1).map(drop).map_err(text))?));
        say(PAGE_CALL, 0.0, median(timed(&|| words.page().map(drop).map_err(text))?));
        let impairments = Impairments { loss: 0.05, seed: 1, ..Impairments::default() };
        let lossy = WordsClient::new(desk.another(impairments).map_err(text)?);
        say(LOST_CALL, 0.0, median(lost(&lossy, samples / 20)?));
    }
    dsm.barrier();
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
    let counted = dsm.alloc::<u64>(1, Placement::Node(0)).map_err(text)?;
    let word = |page: usize| page * dsm_core::PAGE_BYTES / 8;
    if dsm.rank() == 0 {
        (0..samples).for_each(|page| pages.set(word(page), 1));
    }
    let memory = |name: &str, access: &dyn Fn(usize)| {
        dsm.barrier();
        let before = dsm.stats().datagrams_sent;
        if dsm.rank() == 1 {
            (0..samples).for_each(access);
        }
        let mine = dsm.stats().datagrams_sent - before;
        dsm.barrier();
        // What came to this node after its last access, and what others' barriers take, is not its accesses'.
        counted.fetch_add(0, mine);
        dsm.barrier();
        let all = counted.get(0);
        dsm.barrier();
        if dsm.rank() == 1 {
            say(name, 0.0, all as f64 / samples as f64);
            counted.set(0, 0);
        }
        dsm.barrier();
    };
    memory("fault of a load", &|page| consume(pages.get(word(page))));
    memory("fault of a store to a page that is here", &|page| pages.set(word(page), 2));
    memory("fetch-and-add at its home", &|_| consume(pages.fetch_add(1, 1)));
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
        count("call that brings a page's worth of bytes", Duration::ZERO, &|| words.page().map(drop).map_err(text))?;
    }
    dsm.barrier();
    Ok(())
}
