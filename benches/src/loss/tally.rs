//! A server that writes down what it runs where a crash does not reach it, and what only the ends can know: which calls began late.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use rpc::driver::DriverConfig;
use rpc::impair::Impairments;
use rpc::{ReplyLimits, Server};
use serde::{Deserialize, Serialize};
use yardstick::process;

use crate::served::Served;

/// What is called.
#[rpc::service]
pub trait Tally {
    /// Writes the number into the ledger.
    fn increment(&self, number: u64) -> u64;
    /// Writes the number into the ledger, and takes so long.
    fn work(&self, number: u64, milliseconds: u64) -> u64;
    /// Computes for 100 microseconds; if it began after this time of a [`SharedClock`], that is counted.
    fn short(&self, deadline: u64);
    /// How many calls of `short` began, and how many of these too late.
    fn begun(&self) -> (u64, u64);
}

/// How long [`Tally::short`] computes.
pub const SHORT: Duration = Duration::from_micros(100);

/// How a tally's process is set up. Travels as JSON on its command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Where it writes down what it runs: appended to.
    pub ledger: PathBuf,
    /// Handlers at a time.
    pub workers: usize,
    /// Faults of what it sends.
    pub impairments: Impairments,
    /// Whether it drops requests that have come before.
    pub suppress_duplicates: bool,
}

impl Setup {
    /// Starts a process of it.
    ///
    /// # Errors
    ///
    /// A sentence for the user.
    pub fn start(&self) -> Result<Served, String> {
        let own = std::env::current_exe().map_err(|error| format!("cannot find this program's own file: {error}"))?;
        let setup = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let mut command = Command::new(own);
        command.args(["side", "tally", &setup]);
        Served::start(command)
    }
}

/// Serves until the process is dismissed.
///
/// # Errors
///
/// A sentence for the user.
pub fn serve(setup: &str) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let setup: Setup = serde_json::from_str(setup).map_err(|error| text(&error))?;
    let ledger = OpenOptions::new().append(true).create(true).open(&setup.ledger).map_err(|error| text(&error))?;
    let handler = Handler { ledger, begun: AtomicU64::new(0), late: AtomicU64::new(0) };
    let mut config = DriverConfig { impairments: setup.impairments, ..DriverConfig::plain() };
    config.transport.lessons.deliver_duplicates = !setup.suppress_duplicates;
    let replies = ReplyLimits { suppress_duplicates: setup.suppress_duplicates, ..ReplyLimits::default() };
    let builder = Server::builder(config).bind(setup.bind).map_err(|error| text(&error))?;
    let builder = builder.replies(replies).pool(setup.workers).serve(TallyServer::new(handler));
    let server = builder.start().map_err(|error| text(&error))?;
    process::announce(&server.local_addr().to_string()).map_err(|error| text(&error))?;
    process::until_dismissed();
    server.stop();
    Ok(())
}

/// Nanoseconds of a clock that all processes of the machine share.
fn now() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| Duration::from(time).as_nanos() as u64)
}

/// Tells this process's points in time to others.
#[derive(Clone, Copy, Debug)]
pub struct SharedClock {
    instant: Instant,
    shared: u64,
}

impl Default for SharedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedClock {
    /// Looks at both clocks. What passes between two looks makes a deadline later: the closest of some pairs is taken.
    pub fn new() -> SharedClock {
        let look = |_| {
            let (instant, shared) = (Instant::now(), now());
            (instant.elapsed(), SharedClock { instant, shared })
        };
        let closest = (1..100).map(look).fold(look(0), |best, other| if other.0 < best.0 { other } else { best });
        closest.1
    }

    /// A later point in time, as [`Tally::short`] wants it.
    pub fn at(self, later: Instant) -> u64 {
        self.shared + later.saturating_duration_since(self.instant).as_nanos() as u64
    }
}

struct Handler {
    ledger: File,
    begun: AtomicU64,
    late: AtomicU64,
}

impl Handler {
    /// One write, appended as a whole: what a killed process has written stays.
    fn write_down(&self, number: u64) {
        if let Err(error) = (&self.ledger).write_all(&number.to_le_bytes()) {
            // A ledger with gaps would accuse the innocent.
            eprintln!("dsm-bench: cannot write the ledger: {error}");
            std::process::exit(1);
        }
    }
}

impl Tally for Handler {
    fn increment(&self, number: u64) -> u64 {
        self.write_down(number);
        number
    }

    fn work(&self, number: u64, milliseconds: u64) -> u64 {
        self.write_down(number);
        thread::sleep(Duration::from_millis(milliseconds));
        number
    }

    fn short(&self, deadline: u64) {
        let start = Instant::now();
        self.late.fetch_add(u64::from(now() > deadline), Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        while start.elapsed() < SHORT {
            std::hint::spin_loop();
        }
    }

    fn begun(&self) -> (u64, u64) {
        (self.begun.load(Ordering::Relaxed), self.late.load(Ordering::Relaxed))
    }
}

/// A file of numbers, removed with this value.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
}

impl Ledger {
    /// A new one. Names are different for different purposes and processes.
    pub fn new(purpose: &str) -> Ledger {
        let path = std::env::temp_dir().join(format!("dsm-bench-{purpose}-{}.ledger", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Ledger { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How often each number below `count` stands in it.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has a number that nobody sent.
    pub fn executions(&self, count: u64) -> Result<Vec<u32>, String> {
        let bytes = std::fs::read(&self.path).map_err(|error| format!("cannot read the ledger: {error}"))?;
        let mut executions = vec![0; count as usize];
        for entry in bytes.chunks_exact(8) {
            let number = entry.try_into().map_or(u64::MAX, u64::from_le_bytes);
            let of = executions.get_mut(number as usize).ok_or_else(|| format!("{number} ran, and nobody sent it"))?;
            *of += 1;
        }
        Ok(executions)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_clock_tells_what_the_clock_will_show() {
        let clock = SharedClock::new();
        let (before, told, after) = (now(), clock.at(Instant::now()), now());
        assert!(before <= told + 1_000 && told <= after + 1_000, "{before} {told} {after}");
    }

    #[test]
    fn the_ledger_counts_what_was_written_down_and_knows_strangers() {
        let ledger = Ledger::new("test");
        let file = OpenOptions::new().append(true).create(true).open(ledger.path()).unwrap();
        let handler = Handler { ledger: file, begun: AtomicU64::new(0), late: AtomicU64::new(0) };
        [0, 2, 2].into_iter().for_each(|number| handler.write_down(number));
        assert_eq!(ledger.executions(3), Ok(vec![1, 0, 2]));
        assert!(ledger.executions(2).is_err());
    }
}
