//! The parts that this program plays as a node of the demo's own jobs.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use dsm_core::Dsm;
use dsm_core::job::Job;
use examples::ladder;
use examples::tsp::instances::Published;
use examples::tsp::over_rpc::{self, TspError, TspServer};
use examples::tsp::{ASCENT_ROUNDS, Problem, Report, over_dsm};
use rpc::Key;
use rpc::driver::DriverConfig;

use crate::complain;

/// Levels of the search tree that are cut into tasks.
const DEPTH: usize = 2;

/// A node of a job that the demo runs
#[derive(Args)]
pub struct Node {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Measures.
    Ladder { samples: usize },
    /// Solves over shared memory.
    Tsp { instance: String },
    /// Solves over RPC.
    Work { server: SocketAddr },
}

impl Node {
    /// Plays the part and returns the status to exit with.
    pub fn execute(self) -> i32 {
        let result = match self.part {
            Part::Ladder { samples } => measure(samples),
            Part::Tsp { instance } => solve(&instance),
            Part::Work { server } => work(server),
        };
        match result {
            Ok(()) => 0,
            Err(why) => {
                complain(why);
                1
            }
        }
    }
}

fn work(server: SocketAddr) -> Result<(), String> {
    let job = Job::from_env().map_err(|error| error.to_string())?.unwrap_or_else(Job::alone);
    let security = job.security().map_err(|error| error.to_string())?;
    over_rpc::work(server, DriverConfig::new(security)).map(drop).map_err(|error| error.to_string())
}

fn measure(samples: usize) -> Result<(), String> {
    let dsm = Dsm::join().map_err(|error| error.to_string())?;
    ladder::climb(&dsm, samples, |cost| println!("{cost}"))?;
    dsm.finalize().map_err(|error| error.to_string())
}

fn solve(instance: &str) -> Result<(), String> {
    let published = Published::named(instance).ok_or_else(|| format!("there is no instance `{instance}`"))?;
    let dsm = Dsm::join().map_err(|error| error.to_string())?;
    let report = over_dsm::run(&dsm, &problem(published), DEPTH).map_err(|error| error.to_string())?;
    dsm.finalize().map_err(|error| error.to_string())?;
    if let Some(report) = report {
        println!("{}", report_to_line(&report));
    }
    Ok(())
}

fn problem(published: Published) -> Problem {
    Problem::new(published.instance(), ASCENT_ROUNDS)
}

/// The server's part, which the demo plays itself.
pub(super) fn serve(published: Published, key: Key) -> Result<TspServer, TspError> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    TspServer::start(any, &problem(published), published.text, ASCENT_ROUNDS as u32, DEPTH, DriverConfig::new(key))
}

fn report_to_line(report: &Report) -> String {
    let Report { length, tour, expanded, tasks, workers, elapsed, messages, bytes } = report;
    let tour: Vec<String> = tour.iter().map(u8::to_string).collect();
    let nanoseconds = elapsed.as_nanos();
    format!("{length} {expanded} {tasks} {workers} {nanoseconds} {messages} {bytes} {}", tour.join(","))
}

/// The inverse of what a node prints.
pub(super) fn report_from_line(line: &str) -> Result<Report, String> {
    let wrong = || format!("`{line}` is no report");
    let words: Vec<&str> = line.split(' ').collect();
    let [length, expanded, tasks, workers, nanoseconds, messages, bytes, tour] = words[..] else { return Err(wrong()) };
    let number = |word: &str| word.parse::<u64>().map_err(|_| wrong());
    Ok(Report {
        length: number(length)?.try_into().map_err(|_| wrong())?,
        tour: tour.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?,
        expanded: number(expanded)?,
        tasks: number(tasks)? as usize,
        workers: number(workers)? as usize,
        elapsed: Duration::from_nanos(number(nanoseconds)?),
        messages: number(messages)?,
        bytes: number(bytes)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_its_line() {
        let report = Report {
            length: 2020,
            tour: vec![0, 2, 1],
            expanded: 5,
            tasks: 6,
            workers: 3,
            elapsed: Duration::from_micros(1234),
            messages: 8,
            bytes: 9,
        };
        assert_eq!(report_from_line(&report_to_line(&report)), Ok(report));
        for wrong in ["", "1 2 3", "a 2 3 4 5 6 7 0,1", "1 2 3 4 5 6 7 0,x"] {
            assert!(report_from_line(wrong).is_err());
        }
    }
}
