//! Pages fetched by a node that looks at several words of each, against calls for the words; and pages read in order.

use std::time::Instant;

use dsm_core::{Dsm, PAGE_BYTES, Placement};
use examples::pairs::desk::Desk;

use super::calls::{Held, WordsClient, WordsServer};
use super::node::{consume, random, say, shuffled, text};

const WORDS: usize = PAGE_BYTES / 8;
/// Looks in one call, where a call has many.
const BATCH: usize = 32;
/// Calls in all that a point may take.
const CALLS_MAX: usize = 1_024;

/// Node 0 has written the pages, node 1 looks at them.
pub(super) fn measure(dsm: &Dsm, quick: bool) -> Result<(), String> {
    let pages = if quick { 32 } else { 128 };
    let desk = Desk::open(dsm, || WordsServer::new(Held::default())).map_err(text)?;
    let words = WordsClient::new(desk.client());
    // The first round finds cold caches and does not count.
    point(dsm, &words, pages, 2, |_, _, _| {})?;
    for power in (0..=9).step_by(if quick { 3 } else { 1 }) {
        point(dsm, &words, pages, 1 << power, say)?;
    }
    Ok(())
}

/// So many looks at each page.
fn point(
    dsm: &Dsm,
    words: &WordsClient,
    pages: usize,
    accesses: usize,
    say: impl Fn(&str, f64, f64),
) -> Result<(), String> {
    let memory = dsm.alloc::<u64>(pages * WORDS, Placement::Node(0)).map_err(text)?;
    if dsm.rank() == 0 {
        (0..pages).for_each(|page| memory.set(page * WORDS, 1));
    }
    dsm.barrier();
    if dsm.rank() == 1 {
        let x = accesses as f64;
        let mut state = accesses as u64;
        let mut place = |page: usize| page * WORDS + (random(&mut state) >> 40) as usize % WORDS;
        let start = Instant::now();
        for page in shuffled(pages, accesses as u64) {
            (0..accesses).for_each(|_| consume(memory.get(place(page))));
        }
        say("DSM", x, start.elapsed().as_secs_f64() / pages as f64);

        let few = (CALLS_MAX / accesses).clamp(2, pages);
        let looks: Vec<u64> = (0..few * accesses).map(|look| place(look / accesses) as u64).collect();
        let start = Instant::now();
        looks.iter().try_for_each(|place| words.get(*place).map(drop)).map_err(text)?;
        say("RPC with a call for each access", x, start.elapsed().as_secs_f64() / few as f64);

        // Whoever knows all that it wants asks for many at a time, of whichever pages.
        let start = Instant::now();
        looks.chunks(BATCH).try_for_each(|batch| words.sum(batch.to_vec()).map(drop)).map_err(text)?;
        say("RPC with 32 accesses a call", x, start.elapsed().as_secs_f64() / few as f64);
    }
    dsm.barrier();
    Ok(())
}

/// Node 1 reads in order what node 0 has written.
pub(super) fn stream(dsm: &Dsm, quick: bool, loss: u32) -> Result<(), String> {
    let pages = if quick { 256 } else { 2_048 };
    let memory = dsm.alloc::<u64>(pages * WORDS, Placement::Node(0)).map_err(text)?;
    if dsm.rank() == 0 {
        (0..pages).for_each(|page| memory.set(page * WORDS, page as u64));
    }
    dsm.barrier();
    if dsm.rank() == 1 {
        let start = Instant::now();
        let right = (0..pages).all(|page| memory.get(page * WORDS) == page as u64);
        let elapsed = start.elapsed().as_secs_f64();
        if !right {
            return Err("a page shows something else than what was stored".into());
        }
        say("DSM, pages read in order, this machine", f64::from(loss), (pages * PAGE_BYTES) as f64 / elapsed);
    }
    dsm.barrier();
    Ok(())
}
