//! Who gets how much: of a page that two nodes want at once, and of the processor.

use std::fs;
use std::time::{Duration, Instant};

use dsm_core::Placement;

use super::Bench;
use crate::figure::{Figure, Unit};

/// How long both nodes write one page as fast as they can.
const FREE_RUNNING: Duration = Duration::from_millis(200);

/// How long a node does nothing but compute.
const COMPUTING: Duration = Duration::from_millis(500);

impl Bench<'_> {
    pub(super) fn pair_processors(&self) -> Result<(), String> {
        self.write_freely()?;
        self.compute()
    }

    /// Both nodes count in words of their own in one page; of all that they count together, the share of the one that came off worse.
    fn write_freely(&self) -> Result<(), String> {
        let words = self.dsm.alloc::<u64>(64, Placement::Node(0)).map_err(|error| error.to_string())?;
        let mine = 32 * self.dsm.rank();
        self.dsm.barrier();
        let start = Instant::now();
        while start.elapsed() < FREE_RUNNING {
            words.set(mine, words.get(mine) + 1);
        }
        self.dsm.barrier();
        if self.is_first() {
            let counts = [words.get(0) as f64, words.get(32) as f64];
            let least = counts.into_iter().fold(f64::INFINITY, f64::min);
            say_share("free_writes_lesser_share", least / counts.into_iter().sum::<f64>());
        }
        self.dsm.barrier();
        Ok(())
    }

    /// What the engine's thread takes of a processor while this node computes and the other sleeps at a barrier.
    fn compute(&self) -> Result<(), String> {
        if self.is_first() {
            let (start, before) = (Instant::now(), engine_time()?);
            let mut number = 1u64;
            while start.elapsed() < COMPUTING {
                number = std::hint::black_box(number.wrapping_mul(6364136223846793005).wrapping_add(1));
            }
            let took = engine_time()? - before;
            say_share("engine_while_computing", took.as_secs_f64() / start.elapsed().as_secs_f64());
        }
        self.dsm.barrier();
        Ok(())
    }
}

fn say_share(name: &str, share: f64) {
    println!("{}", Figure::of(name, Unit::Percent, vec![100.0 * share]));
}

/// Processor time of this process's engine thread so far: the first number of its scheduler statistics, in nanoseconds.
fn engine_time() -> Result<Duration, String> {
    let unknown = |why: String| format!("the engine's processor time is not to be had: {why}");
    for task in fs::read_dir("/proc/self/task").map_err(|error| unknown(error.to_string()))?.flatten() {
        let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == "dsm-engine" {
            let statistics = read("schedstat");
            let nanoseconds = statistics.split(' ').next().and_then(|word| word.parse().ok());
            return nanoseconds.map(Duration::from_nanos).ok_or_else(|| unknown(format!("`{statistics}`")));
        }
    }
    Err(unknown("there is no such thread".to_string()))
}
