//! Over shared memory.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dsm_core::launch::{self, JobSpec, LaunchError, Sinks};
use dsm_core::{Dsm, Error, Placement};

use super::{Ending, FATAL, Process, SHARES, die, primes_of};

/// How many nodes.
const NODES: usize = 3;
/// The one that dies.
const VICTIM: usize = 1;
/// What it says before.
const LAST_WORDS: &str = "dies now";

/// What each node does: every share whose turn it is, so that the victim comes to its fatal one however slow it is.
///
/// # Errors
/// The memory cannot be had.
pub fn node() -> Result<(), Error> {
    let dsm = Dsm::join()?;
    // Written by whoever counted it, and fetched from there by whoever reads it.
    let found = dsm.alloc::<u64>(SHARES as usize, Placement::Block)?;
    dsm.barrier();
    for (number, share) in (1..).zip((dsm.rank() as u64..SHARES).step_by(dsm.size())) {
        if dsm.rank() == VICTIM && number == FATAL {
            println!("{LAST_WORDS}");
            die();
        }
        found.set(share as usize, primes_of(share));
        println!("done");
    }
    dsm.barrier();
    if dsm.rank() == 0 {
        println!("primes {}", (0..SHARES as usize).map(|share| found.get(share)).sum::<u64>());
    }
    dsm.finalize()
}

/// Runs the job.
///
/// # Errors
/// The nodes cannot be started.
pub fn run(process: &Process) -> Result<Ending, LaunchError> {
    let mut spec = JobSpec::new(NODES, process.program.clone());
    spec.args = process.words.clone();
    spec.label = false;
    let (printed, complained) = (Heard::default(), Heard::default());
    let sinks = Sinks { stdout: Box::new(printed.clone()), stderr: Box::new(complained.clone()) };
    launch::run(spec, sinks)?;
    let over = Instant::now();
    let (printed, complained) = (printed.lines(), complained.lines());
    let death = printed.iter().find(|(_, line)| line == LAST_WORDS).map(|(when, _)| *when);
    Ok(Ending {
        done: printed.iter().filter(|(_, line)| line == "done").count() as u64,
        primes: printed.iter().find_map(|(_, line)| line.strip_prefix("primes ")?.parse().ok()),
        pause: death.map_or(Duration::ZERO, |death| over - death),
        said: complained
            .into_iter()
            .find(|(_, line)| line.contains("lost node"))
            .map_or_else(String::new, |(_, line)| line),
    })
}

/// What nodes said, and when.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Piece>>>);

/// When, and what.
type Piece = (Instant, Vec<u8>);

impl Heard {
    /// Complete lines.
    fn lines(&self) -> Vec<(Instant, String)> {
        let pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(when, bytes): &Piece| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines().map(|line| (*when, line.to_string())).collect::<Vec<_>>()
        };
        pieces.iter().flat_map(of).collect()
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), bytes.to_vec()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
