//! Reading a large remote region.

use std::time::Instant;

use dsm_core::{PAGE_BYTES, Placement, SharedArray};

use super::{Bench, WORDS_PER_PAGE, microseconds, say, shuffled, written};
use crate::figure::{Figure, Unit};

/// Pages for each sample of the other figures.
const PAGES_PER_SAMPLE: usize = 4;

const THREADS: usize = 8;

const WORDS_PER_CACHE_LINE: usize = 8;

impl Bench<'_> {
    pub(super) fn streams(&self) -> Result<(), String> {
        self.sequential_read()?;
        self.random_read()?;
        self.random_read_with_threads()
    }

    fn large(&self) -> Result<(SharedArray<'_, u64>, usize), String> {
        let pages = self.order.len() * PAGES_PER_SAMPLE;
        let words =
            self.dsm.alloc::<u64>(pages * WORDS_PER_PAGE, Placement::Node(1)).map_err(|error| error.to_string())?;
        if self.dsm.rank() == 1 {
            (0..pages).for_each(|page| words.set(page * WORDS_PER_PAGE, written(page)));
        }
        self.dsm.barrier();
        Ok((words, pages))
    }

    /// One word of every cache line, in order.
    fn sequential_read(&self) -> Result<(), String> {
        let (words, pages) = self.large()?;
        if self.is_first() {
            let start = Instant::now();
            let sum =
                (0..words.len()).step_by(WORDS_PER_CACHE_LINE).map(|index| words.get(index)).fold(0, u64::wrapping_add);
            let seconds = start.elapsed().as_secs_f64();
            expect_sum(sum, pages)?;
            let speed = (pages * PAGE_BYTES) as f64 / 1e6 / seconds;
            println!("{}", Figure::of("sequential_read", Unit::MegabytesPerSecond, vec![speed]));
        }
        self.dsm.barrier();
        Ok(())
    }

    fn random_read(&self) -> Result<(), String> {
        let (words, pages) = self.large()?;
        if self.is_first() {
            let mut sum = 0u64;
            let read = |page: usize| microseconds(|| sum = sum.wrapping_add(words.get(page * WORDS_PER_PAGE)));
            let took: Vec<f64> = shuffled(pages).into_iter().map(read).collect();
            expect_sum(sum, pages)?;
            say("random_read", took);
        }
        self.dsm.barrier();
        Ok(())
    }

    /// The time for each page when several threads fault on different pages at once.
    fn random_read_with_threads(&self) -> Result<(), String> {
        let (words, pages) = self.large()?;
        if self.is_first() {
            let order = shuffled(pages);
            let start = Instant::now();
            let sums: Vec<u64> = std::thread::scope(|scope| {
                let read = |part: &[usize]| {
                    part.iter().map(|page| words.get(page * WORDS_PER_PAGE)).fold(0, u64::wrapping_add)
                };
                let parts = order.chunks(pages.div_ceil(THREADS));
                let threads: Vec<_> = parts.map(|part| scope.spawn(move || read(part))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap_or(0)).collect()
            });
            let each = start.elapsed().as_nanos() as f64 / 1e3 / pages as f64;
            expect_sum(sums.into_iter().fold(0, u64::wrapping_add), pages)?;
            say("random_read_threads_8", vec![each]);
        }
        self.dsm.barrier();
        Ok(())
    }
}

fn expect_sum(sum: u64, pages: usize) -> Result<(), String> {
    let right = (0..pages).map(written).fold(0, u64::wrapping_add);
    if sum == right { Ok(()) } else { Err(format!("the pages add up to {sum:#x}, and should to {right:#x}")) }
}
