//! `dsm-node litmus`: small tests of what the memory may show, on real processes, faults and datagrams.
//!
//! A test is a few threads of loads and stores ([`mod@test`], read by [`parse`]); the oracle is membership in its list of allowed
//! final states. Each thread is a node of a real job, so that only the shared memory and never the processor's own store queue is
//! between two threads. What makes a test bite is where its variables lie and who has a copy before ([`placement`]), that threads
//! touch their variables while others run already ([`plan`]), and that messages to several nodes arrive in any order ([`run`]).
//! Work and results go past the shared memory, by RPC ([`desk`]).

mod desk;
#[cfg(test)]
mod enumerate;
mod node;
mod parse;
mod placement;
mod plan;
mod run;
mod tally;
mod test;

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use dsm_core::launch::JobKey;
use rpc::driver::DriverConfig;
use rpc::{Key, Server};

use crate::complain;
use crate::jobs::{self, Interrupted, Jobs};
use crate::progress::Progress;
use crate::random::fresh_seed;
use desk::{DeskServer, Hall, Referee, Report, Script};
pub use node::Node;
use run::Run;
use tally::{Summary, Tally, Violation};
use test::Test;

/// The tests that come with the product.
const SEQUENTIAL: &str = include_str!("../../../litmus/sequential.json");

/// A job in which nothing happens for so long hangs. A planted bug may well make it hang, and one waits
/// for it.
const HANG: Duration = Duration::from_secs(if cfg!(feature = "planted") { 20 } else { 120 });

/// The status when a test was violated, or could not be run.
const FAILURE: i32 = 1;

/// The status for a mistake in the command line, or in the file.
const USAGE: i32 = 2;

/// Check the memory with litmus tests on real processes
///
/// Runs every test of FILE in every placement: variables on one page and on several, every home, every start state; half of the runs
/// over a network that delays each datagram by a time of its own. A final state that the file does not allow is a violation: it is printed with its seed, and the status is 1.
#[derive(Args)]
#[command(after_help = "Example: dsm-node litmus --iterations 200 --json litmus.json")]
pub struct Litmus {
    /// Tests in JSON; without it, those of sequential consistency that come with the program
    file: Option<PathBuf>,

    /// Runs of each test, spread evenly over its placements
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    iterations: u64,

    /// Run only the test of this name
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// Write what came out to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Decides delays and who touches what first; the timing of the processes remains
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Litmus {
    /// Runs the tests and returns the status to exit with.
    pub fn execute(self) -> i32 {
        let (status, why) = match self.run() {
            Ok(true) => return 0,
            Ok(false) => return FAILURE,
            Err(Stop::Interrupted(status)) => return status,
            // Nobody reads any more.
            Err(Stop::Output) => return 141,
            Err(Stop::Usage(why)) => (USAGE, why),
            Err(Stop::Failed(why)) => (FAILURE, why),
        };
        complain(why);
        status
    }

    /// Says whether all tests held.
    fn run(&self) -> Result<bool, Stop> {
        let tests = self.tests().map_err(Stop::Usage)?;
        let json = self.json.as_deref().map(create).transpose().map_err(Stop::Usage)?;
        let seed = self.seed.unwrap_or_else(fresh_seed);
        say(&format!("{} tests, {} runs each, seed {seed}\n{}\n", tests.len(), self.iterations, tally::head()))?;
        let progress = Progress::steps("litmus", self.iterations * tests.len() as u64);
        let (iterations, count) = (self.iterations, tests.len());
        let run = Arc::new(Mutex::new(Run::new(tests, iterations, seed, move |tally, added| {
            progress.advance(&tally.name, added);
            if tally.runs >= iterations {
                progress.above(&tally.line());
            }
        })));
        let jobs = Jobs::new()?;
        let mut result = Ok(());
        while result.is_ok() && !lock(&run).is_over() {
            result = one_job(&jobs, &run);
        }
        let mut run = lock(&run);
        run.hush();
        let violations = self.violations(seed, run.tallies());
        let finished = run.tallies().iter().filter(|tally| tally.runs >= iterations).count();
        let few = run.tallies().iter().filter(|tally| tally.runs >= iterations && !tally.has_seen_enough()).count();
        say(&violations)?;
        if let Some((file, path)) = json {
            write_json(file, path, &summary(&run, seed, iterations)).map_err(Stop::Failed)?;
        }
        result?;
        if few > 0 {
            say(&format!("{few} of {finished} tests saw few of their allowed states: more runs would prove more\n"))?;
        }
        let held = violations.is_empty() && finished == count;
        say(&format!(
            "{}\n",
            if held { "every run ended in an allowed state" } else { "the memory is not as promised" }
        ))?;
        Ok(held)
    }

    fn tests(&self) -> Result<Vec<Test>, String> {
        let (name, text) = match &self.file {
            None => ("the tests of the program".to_string(), SEQUENTIAL.to_string()),
            Some(path) => (path.display().to_string(), read(path)?),
        };
        let mut tests = parse::parse(&text).map_err(|error| format!("cannot use {name}: {error}"))?;
        if let Some(only) = &self.only {
            let names: Vec<String> = tests.iter().map(|test| test.name.clone()).collect();
            tests.retain(|test| test.name == *only);
            if tests.is_empty() {
                return Err(format!("{name} has no test {only:?}; it has {}", names.join(", ")));
            }
        }
        Ok(tests)
    }

    /// What was violated, with the command to see it again.
    fn violations(&self, seed: u64, tallies: &[Tally]) -> String {
        let mut text = String::new();
        for tally in tallies.iter().filter(|tally| tally.violations > 0) {
            let Tally { name, violations, runs, .. } = tally;
            text += &format!("\nVIOLATION of {name} in {violations} of {runs} runs, seed {seed}:\n");
            for kept in &tally.violations_kept {
                let what = if kept.forbidden { "the forbidden state" } else { "not allowed" };
                let Violation { iteration, words, placement, network, .. } = kept;
                text += &format!("  run {iteration}: {words} ({what}); {placement}; {network}\n");
            }
            let file = self.file.as_ref().map_or(String::new(), |file| format!(" {}", file.display()));
            let iterations = self.iterations;
            text += &format!("  again: dsm-node litmus{file} --only {name} --iterations {iterations} --seed {seed}\n");
        }
        text
    }
}

/// Why the tests did not come to their end.
enum Stop {
    Usage(String),
    Interrupted(i32),
    Failed(String),
    Output,
}

impl From<Interrupted> for Stop {
    fn from(interrupted: Interrupted) -> Stop {
        match interrupted {
            Interrupted::Signal(signal) => Stop::Interrupted(128 + signal),
            Interrupted::Failed(why) => Stop::Failed(why),
        }
    }
}

/// The run, lent to one job after the other.
struct Shared(Arc<Mutex<Run>>);

impl Referee for Shared {
    fn judge(&mut self, reports: Vec<Report>) -> Option<Vec<Script>> {
        lock(&self.0).judge(reports)
    }
}

/// Runs one job, until its pages are used up or all is done.
fn one_job(jobs: &Jobs, run: &Arc<Mutex<Run>>) -> Result<(), Stop> {
    let (nodes, impairments) = {
        let run = lock(run);
        (run.nodes(), run.impairments())
    };
    let hall = Arc::new(Hall::new(nodes, Shared(Arc::clone(run))));
    let failed = |error: rpc::StartError| Stop::Failed(format!("cannot serve the nodes: {error}"));
    let key = Key::random().map_err(|error| Stop::Failed(error.to_string()))?;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    // Every call waits for those of the other nodes, so each needs a thread.
    let server = Server::builder(DriverConfig::new(key.clone()))
        .bind(any)
        .map_err(failed)?
        .pool(nodes)
        .serve(DeskServer::shared(Arc::clone(&hall)));
    let server = server.start().map_err(failed)?;
    let mut spec = jobs::own(nodes, &["litmus-node".to_string(), server.local_addr().to_string()])?;
    spec.impairments = impairments;
    // The nodes talk to the desk with the key that they have for each other.
    spec.key = JobKey::Given(key);
    let (ended, hung) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let hung = hall.watch(HANG);
            if hung {
                jobs.end();
            }
            hung
        });
        let ended = jobs.run(spec, |_| Ok(()));
        hall.close();
        (ended, watcher.join().unwrap_or(false))
    });
    server.stop();
    let run = lock(run);
    if hung {
        return Err(Stop::Failed(format!("nothing happened for {} s {}: it hangs", HANG.as_secs(), run.at())));
    }
    if let Some(node) = run.nonsense() {
        return Err(Stop::Failed(format!("node {node} did not report what it was asked {}", run.at())));
    }
    ended.map_err(|interrupted| match Stop::from(interrupted) {
        Stop::Failed(why) => Stop::Failed(format!("{}: {why}", run.at())),
        other => other,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_| Stop::Output)
}

fn read(path: &Path) -> Result<String, String> {
    let name = path.display();
    let file = File::open(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let mut text = String::new();
    let limited = file.take(parse::FILE_BYTES_MAX + 1).read_to_string(&mut text);
    limited.map_err(|error| format!("cannot read {name}: {error}"))?;
    if text.len() as u64 > parse::FILE_BYTES_MAX {
        return Err(format!("{name} is larger than {} KiB", parse::FILE_BYTES_MAX >> 10));
    }
    Ok(text)
}

/// Opened before the run, so that a mistake in its name is not found after it.
fn create(path: &Path) -> Result<(File, &Path), String> {
    let file = File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok((file, path))
}

fn summary(run: &Run, seed: u64, iterations: u64) -> Summary<'_> {
    let tests = run.tallies();
    Summary {
        seed,
        iterations,
        nodes: run.nodes(),
        round_trip_ns: run.round_trip(),
        runs: tests.iter().map(|tally| tally.runs).sum(),
        violations: tests.iter().map(|tally| tally.violations).sum(),
        tests,
    }
}

fn write_json(mut file: File, path: &Path, summary: &Summary<'_>) -> Result<(), String> {
    let text = serde_json::to_string_pretty(summary).map_err(|error| error.to_string());
    let written = text.and_then(|text| writeln!(file, "{text}").map_err(|error| error.to_string()));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}
