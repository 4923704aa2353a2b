//! A node of a litmus job: does what its scripts say.

use std::net::SocketAddr;
use std::sync::atomic::{Ordering, compiler_fence};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use dsm_core::job::Job;
use dsm_core::{Dsm, PAGE_BYTES, Placement, SharedArray};
use rpc::{Client, ClientConfig};

use super::desk::{DeskClient, Move, Report, Script, Word};
use super::test::Value;
use crate::complain;

/// Pages that a job may use for each node that is their home.
pub const PAGES_PER_HOME: u64 = 4096;

/// Words of a page.
pub const WORDS_PER_PAGE: u64 = PAGE_BYTES as u64 / 8;

/// Others may take long; the runner notices when nothing happens at all.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How many remote faults are timed for the round trip.
const SAMPLES: usize = 16;

/// Outside of these a measurement was disturbed.
const ROUND_TRIP_MIN: Duration = Duration::from_micros(20);
const ROUND_TRIP_MAX: Duration = Duration::from_micros(1000);

/// A node of a job that the litmus runner starts
#[derive(Args)]
pub struct Node {
    /// Where the runner serves.
    desk: SocketAddr,
}

impl Node {
    /// Plays the part and returns the status to exit with.
    pub fn execute(self) -> i32 {
        match self.play() {
            Ok(()) => 0,
            Err(why) => {
                complain(why);
                1
            }
        }
    }

    fn play(&self) -> Result<(), Box<dyn std::error::Error>> {
        let job = Job::from_env()?.unwrap_or_else(Job::alone);
        let dsm = Dsm::join_job(&job)?;
        let config = ClientConfig { timeout: PATIENCE, ..ClientConfig::new(job.security()?) };
        let desk = DeskClient::new(Client::connect(self.desk, config)?);
        let node = dsm.rank() as u32;
        let pages = PAGES_PER_HOME as usize * dsm.size();
        let memory =
            dsm.alloc::<u64>(pages * WORDS_PER_PAGE as usize, Placement::Cyclic { block_bytes: PAGE_BYTES })?;
        let round_trip = round_trip(&dsm)?;
        let mut report = Report::Ready(round_trip.as_nanos() as u64);
        while let Some(script) = desk.next(node, report)? {
            report = Player { desk: &desk, memory, round_trip }.perform(&script)?;
        }
        Ok(dsm.finalize()?)
    }
}

/// The time of a remote fault, about: the median of a few.
fn round_trip(dsm: &Dsm) -> Result<Duration, dsm_core::Error> {
    let pages = SAMPLES * dsm.size();
    let array = dsm.alloc::<u8>(pages * PAGE_BYTES, Placement::Cyclic { block_bytes: PAGE_BYTES })?;
    let neighbour = (dsm.rank() + 1) % dsm.size();
    let mut times: Vec<Duration> = (0..SAMPLES)
        .map(|sample| {
            let start = Instant::now();
            array.get((sample * dsm.size() + neighbour) * PAGE_BYTES);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let median = times.get(SAMPLES / 2).copied().unwrap_or(ROUND_TRIP_MAX);
    Ok(median.clamp(ROUND_TRIP_MIN, ROUND_TRIP_MAX))
}

/// Performs scripts.
struct Player<'p> {
    desk: &'p DeskClient,
    memory: SharedArray<'p, u64>,
    round_trip: Duration,
}

impl Player<'_> {
    fn perform(&self, script: &Script) -> Result<Report, Box<dyn std::error::Error>> {
        script.own.iter().for_each(|&word| self.memory.set(word as usize, 0));
        self.desk.meet()?;
        script.share.iter().for_each(|&word| self.look(word));
        self.desk.meet()?;
        let mut loads = Vec::with_capacity(script.runs.len());
        for run in &script.runs {
            self.desk.start()?;
            loads.push(self.run(run));
        }
        self.desk.meet()?;
        let finals = script.finals.iter().map(|&word| self.memory.get(word as usize)).collect();
        Ok(Report::Done { loads, finals })
    }

    /// Loads a word for the sake of having a copy.
    fn look(&self, word: Word) {
        let _ = self.memory.get(word as usize);
    }

    /// Performs one iteration and gives what its loads saw.
    fn run(&self, moves: &[Move]) -> Vec<Value> {
        let mut loads = Vec::with_capacity(moves.len());
        for &step in moves {
            // The compiler may swap relaxed accesses to different words; the test is about what the memory does.
            compiler_fence(Ordering::SeqCst);
            match step {
                Move::Wait(thousandths) => wait(self.round_trip * 2 * u32::from(thousandths) / 1000),
                Move::Look(word) => self.look(word),
                Move::Load(word) => loads.push(self.memory.get(word as usize)),
                Move::Store(word, value) => self.memory.set(word as usize, value),
            }
        }
        loads
    }
}

/// Lets so much time pass awake: a sleep would last longer than all that happens meanwhile.
fn wait(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        thread::yield_now();
    }
}
