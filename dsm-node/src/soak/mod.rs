//! `dsm-node soak`: random programs with known outcomes, on real processes and bad networks, for as long as one likes.
//!
//! A seed draws a job ([`plan`]): nodes, threads, pages, locks, the network's faults, and every operation of every thread. What
//! the threads do never depends on what they load, so what every word must hold at each barrier is known beforehand ([`outcome`]);
//! between barriers each thread checks that no word goes back, that a flag is never ahead of its datum, that what a lock guards
//! is consistent, and that nothing exceeds what will have been stored ([`node`]).

mod node;
mod outcome;
mod plan;

use std::io::{self, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::Args;

use crate::complain;
use crate::jobs::{self, Interrupted, Jobs};
use crate::random::{Random, fresh_seed};
pub use node::Node;
use plan::Plan;

/// A job that takes so much longer than it should hangs. A planted bug may well make it hang, and one waits
/// for it.
const HANG: Duration = Duration::from_secs(if cfg!(feature = "planted") { 20 } else { 120 });

/// The status when something was wrong.
const FAILURE: i32 = 1;

/// Run random programs with known outcomes on real processes, with faults in the network
///
/// Job follows job, each of 5 to 20 seconds with a seed of its own. A wrong value or a hang is printed with the command that runs the
/// same job again, and the status is 1.
#[derive(Args)]
#[command(after_help = "Example: dsm-node soak --minutes 30")]
pub struct Soak {
    /// How long to go on
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,

    /// At most so many jobs
    #[arg(long, value_name = "N")]
    jobs: Option<u64>,

    /// Seed of the first job; the seeds of the others follow from it
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Reads `30` or `0.5`.
fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.001..=1e6).contains(&minutes) => Ok(minutes),
        _ => Err(format!("`{text}` is no number of minutes from 0.001 to 1000000")),
    }
}

/// Why it ended before its time.
enum Stop {
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

impl Soak {
    /// Runs the jobs and returns the status to exit with.
    pub fn execute(self) -> i32 {
        match self.run() {
            Ok(()) => 0,
            Err(Stop::Interrupted(status)) => status,
            // Nobody reads any more.
            Err(Stop::Output) => 141,
            Err(Stop::Failed(why)) => {
                complain(why);
                FAILURE
            }
        }
    }

    fn run(&self) -> Result<(), Stop> {
        let jobs = Jobs::new()?;
        let end = Instant::now() + Duration::from_secs_f64(self.minutes * 60.0);
        let first = self.seed.unwrap_or_else(fresh_seed);
        let mut done = 0;
        while self.jobs.is_none_or(|most| done < most) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // The first job's seed is the one that was given, so that it can be run again by itself.
            let seed = if done == 0 { first } else { Random::of(first, done).below(1 << 32) };
            let plan = Plan::draw(seed);
            say(&format!("job {done}, seed {seed}: {plan}\n"))?;
            let told = one_job(&jobs, &plan, plan.time.min(left)).map_err(|stop| match stop {
                Stop::Failed(why) => {
                    Stop::Failed(format!("{why}\nseed {seed}; again: dsm-node soak --jobs 1 --seed {seed}"))
                }
                other => other,
            })?;
            say(&format!("  {told}\n"))?;
            done += 1;
        }
        say(&format!("{done} jobs, nothing wrong\n"))
    }
}

/// Runs one job and says what it did.
fn one_job(jobs: &Jobs, plan: &Plan, time: Duration) -> Result<String, Stop> {
    let args = ["soak-node".to_string(), plan.seed.to_string(), time.as_millis().to_string()];
    let mut spec = jobs::own(plan.nodes, &args)?;
    spec.impairments = plan.impairments;
    let limit = time + HANG;
    let (mut told, mut totals) = (0, [0; 3]);
    let (ended, hung) = std::thread::scope(|scope| {
        let (over, watched) = channel::<()>();
        let watcher = scope.spawn(move || {
            let hung = watched.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if hung {
                jobs.end();
            }
            hung
        });
        let ended = jobs.run(spec, |line| {
            let [rounds, messages, again] = numbers(line)?;
            told += 1;
            totals = [totals[0].max(rounds), totals[1] + messages, totals[2] + again];
            Ok(())
        });
        drop(over);
        (ended, watcher.join().unwrap_or(false))
    });
    if hung {
        return Err(Stop::Failed(format!("the job should have taken {time:?} and hangs after {limit:?}")));
    }
    ended?;
    if told != plan.nodes {
        return Err(Stop::Failed(format!("{told} of {} nodes told what they did", plan.nodes)));
    }
    let [rounds, messages, again] = totals;
    let operations = rounds * (plan.writers() * plan.operations) as u64;
    Ok(format!("{rounds} rounds, {operations} operations, {messages} messages, {again} retransmissions"))
}

/// What a node tells: its rank, rounds, messages, retransmissions.
fn numbers(line: &str) -> Result<[u64; 3], String> {
    let words: Vec<u64> = line.split(' ').map_while(|word| word.parse().ok()).collect();
    match words[..] {
        [_, rounds, messages, again] => Ok([rounds, messages, again]),
        _ => Err(format!("`{line}` is not what a node tells")),
    }
}

fn say(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_| Stop::Output)
}
