//! Nodes that share a page: with more and more writes, and with more and more nodes.

use std::time::{Duration, Instant};

use dsm_core::{Dsm, PAGE_BYTES, Placement, SharedArray};
use examples::pairs::desk::Desk;

use super::calls::{Held, WordsClient, WordsServer};
use super::node::{consume, random, say, text};

const WORDS: usize = PAGE_BYTES / 8;
/// Hundredths of accesses that write.
const WRITES: [u64; 7] = [0, 1, 5, 10, 25, 50, 100];
/// What a node does of its own between two accesses. Without, it gets through thousands of accesses while the page is its own, and
/// sharing costs next to nothing.
const WORK: Duration = Duration::from_micros(10);

/// Seconds; what seems to cost less is lost in the work in between, which takes now more, now less.
const LEAST: f64 = 10e-9;

/// How often each node does something: back to back, with work in between, and by calls.
struct Counts {
    at_once: u64,
    working: u64,
    calls: u64,
}

impl Counts {
    fn new(quick: bool) -> Counts {
        if quick {
            Counts { at_once: 20_000, working: 200, calls: 100 }
        } else {
            Counts { at_once: 500_000, working: 3_000, calls: 1_000 }
        }
    }
}

/// All nodes load and store words of one page, anywhere on it.
pub(super) fn writes(dsm: &Dsm, quick: bool) -> Result<(), String> {
    let counts = Counts::new(quick);
    let page = dsm.alloc::<u64>(WORDS, Placement::Node(0)).map_err(text)?;
    let desk = Desk::open(dsm, || WordsServer::new(Held::default())).map_err(text)?;
    let words = WordsClient::new(desk.client());
    for hundredths in WRITES {
        let mut state = hundredths + 1_000 * dsm.rank() as u64;
        let mut next = || {
            let random = random(&mut state) >> 32;
            (random as usize % WORDS, (random >> 16) % 100 < hundredths)
        };
        let memory = |(word, write): (usize, bool)| {
            if write {
                page.set(word, 1);
            } else {
                consume(page.get(word));
            }
            Ok(())
        };
        let x = hundredths as f64;
        point(dsm, "DSM, accesses back to back", x, (counts.at_once, Duration::ZERO), || memory(next()))?;
        point(dsm, "DSM, 10 us of work between accesses", x, (counts.working, WORK), || memory(next()))?;
        point(dsm, "RPC, a call for each", x, (counts.calls, Duration::ZERO), || {
            let (word, write) = next();
            if write { words.set(word as u64, 1) } else { words.get(word as u64).map(drop) }.map_err(text)
        })?;
    }
    Ok(())
}

/// Every node stores to a word of its own.
pub(super) fn stores(dsm: &Dsm, quick: bool) -> Result<(), String> {
    let counts = Counts::new(quick);
    let (nodes, me) = (dsm.size(), dsm.rank());
    let array = |spacing| dsm.alloc::<u64>(nodes * spacing, Placement::Node(0)).map_err(text);
    let (together, apart): (SharedArray<'_, u64>, SharedArray<'_, u64>) = (array(1)?, array(WORDS)?);
    let desk = Desk::open(dsm, || WordsServer::new(Held::default())).map_err(text)?;
    let words = WordsClient::new(desk.client());
    let x = nodes as f64;
    let working = (counts.working, WORK);
    point(dsm, "DSM, words on one page", x, working, || {
        together.set(me, together.get(me) + 1);
        Ok(())
    })?;
    point(dsm, "DSM, each word on a page of its own", x, working, || {
        apart.set(me * WORDS, apart.get(me * WORDS) + 1);
        Ok(())
    })?;
    point(dsm, "RPC, a call for each store", x, (counts.calls, WORK), || words.set(me as u64, 1).map_err(text))
}

/// All nodes do the same so many times; node 0 tells how many seconds one took beside the work in between.
fn point(
    dsm: &Dsm,
    series: &str,
    x: f64,
    (count, work): (u64, Duration),
    mut access: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    // The page is here, and the session open.
    access()?;
    let with = laps(dsm, count, work, access)?;
    let without = if work.is_zero() { Duration::ZERO } else { laps(dsm, count, work, || Ok(()))? };
    if dsm.rank() == 0 {
        // Nodes that share a processor disturb each other's work by chance.
        say(series, x, (with.saturating_sub(without).as_secs_f64() / count as f64).max(LEAST));
    }
    Ok(())
}

/// How long all nodes take for it.
fn laps(
    dsm: &Dsm,
    count: u64,
    work: Duration,
    mut access: impl FnMut() -> Result<(), String>,
) -> Result<Duration, String> {
    dsm.barrier();
    let start = Instant::now();
    for _ in 0..count {
        access()?;
        let begun = Instant::now();
        while begun.elapsed() < work {
            std::hint::spin_loop();
        }
    }
    dsm.barrier();
    Ok(start.elapsed())
}
