//! Each kind of access: those of [`examples::ladder`], and calls.

use std::time::Instant;

use dsm_core::{Dsm, Placement};
use examples::ladder::{self, Cost};

use super::calls;
use super::node::{consume, median, say, shuffled, text};
use super::work::Work;

/// The rung of a fetched page while another process fetches, too.
pub const BUSY_FETCH: &str = "read fetched, while two processes fetch";
/// The rung of a page that comes with others, which were asked for ahead, while another process reads so, too.
pub const BUSY_AHEAD: &str = "page read in order, while two read so";
/// The rung of a store that invalidates while another process does the same.
pub const BUSY_UPGRADE: &str = "write that invalidates, while two do so";
/// The rung of an atomic operation while another process does the same.
pub const BUSY_FETCH_ADD: &str = "fetch-and-add, while two do so";
/// The rung of a barrier at which the others wait already.
pub const LATE_BARRIER: &str = "barrier to which the last one comes from work";
/// The rung of an atomic operation at another node.
pub const FETCH_ADD: &str = "fetch-and-add at another process";

pub(super) fn measure(dsm: &Dsm, quick: bool) -> Result<(), String> {
    let samples = if quick { 200 } else { 1_000 };
    ladder::climb(dsm, samples, |Cost { rung, p50, .. }| say(rung.words(), 0.0, p50 / 1e9))?;
    fetch_add(dsm, samples)?;
    late_barrier(dsm, samples);
    pages_at_once(dsm, samples)?;
    calls::rungs(dsm, samples)
}

fn fetch_add(dsm: &Dsm, samples: usize) -> Result<(), String> {
    let word = dsm.alloc::<u64>(1, Placement::Node(1)).map_err(text)?;
    if dsm.rank() == 0 {
        let took = (0..samples).map(|_| seconds(|| consume(word.fetch_add(0, 1)))).collect();
        say(FETCH_ADD, 0.0, median(took));
    }
    dsm.barrier();
    Ok(())
}

/// From the moment at which node 1 comes to that at which it goes on.
fn late_barrier(dsm: &Dsm, samples: usize) {
    let work = Work::measured();
    dsm.barrier();
    let late = dsm.rank() == 1;
    let all = seconds(|| {
        for _ in 0..samples {
            if late {
                work.work();
            }
            dsm.barrier();
        }
    });
    if late {
        say(LATE_BARRIER, 0.0, all / samples as f64 - work.seconds());
    }
}

/// Nodes 0 and 1 fetch each other's pages, and then store to them.
fn pages_at_once(dsm: &Dsm, samples: usize) -> Result<(), String> {
    const WORDS: usize = dsm_core::PAGE_BYTES / 8;
    let me = dsm.rank();
    let written = |node| {
        let array = dsm.alloc::<u64>(samples * WORDS, Placement::Node(node)).map_err(text)?;
        if me == node {
            (0..samples).for_each(|page| array.set(page * WORDS, 1));
        }
        Ok::<_, String>(array)
    };
    let in_order = [written(0)?, written(1)?][1 - me.min(1)];
    at_once(dsm, BUSY_AHEAD, samples, |page| consume(in_order.get(page * WORDS)))?;
    let arrays = [written(0)?, written(1)?];
    let (order, theirs) = (shuffled(samples, 2), arrays[1 - me.min(1)]);
    at_once(dsm, BUSY_FETCH, samples, |index| consume(theirs.get(order[index] * WORDS)))?;
    at_once(dsm, BUSY_UPGRADE, samples, |index| theirs.set(order[index] * WORDS, 2))?;
    // Every second word is at home here, as words are that are spread over the nodes. That costs next to nothing.
    let mine = arrays[me.min(1)];
    let both = |_| {
        consume(mine.fetch_add(1, 1));
        consume(theirs.fetch_add(1, 1));
    };
    at_once(dsm, BUSY_FETCH_ADD, samples, both)
}

/// [`calls::at_once`], for what cannot fail.
fn at_once(dsm: &Dsm, name: &str, samples: usize, access: impl Fn(usize)) -> Result<(), String> {
    calls::at_once(dsm, name, samples, |index| {
        access(index);
        Ok(())
    })
}

fn seconds(access: impl FnOnce()) -> f64 {
    let start = Instant::now();
    access();
    start.elapsed().as_secs_f64()
}
