//! `dsm-node sim`: simulates whole clusters, one for each seed, and says which rule was broken where.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use ::sim::{FAULT_KINDS_MIN, OPERATIONS_MIN, Options, Report, Summary};
use clap::Args;

use crate::progress::Progress;

/// The status when a rule was broken.
const VIOLATION: i32 = 1;

/// Failing seeds after which it is enough.
const FAILURES_MAX: usize = 20;

/// Simulate whole clusters: the real protocols and transport, over a network in which everything goes wrong
///
/// Each seed decides everything about one cluster, and gives the same run whenever it is used. The exit status is 1 when a rule was
/// broken.
#[derive(Args)]
pub struct Sim {
    /// How many seeds
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
    /// How many nodes, 2 to 64, instead of what the seed says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=64))]
    nodes: Option<u64>,
    /// Run this seed alone, and say all about it
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Print what happens, message by message
    #[arg(long, requires = "seed")]
    trace: bool,
}

/// What became of a seed.
enum Outcome {
    Ran(Box<Report>),
    /// The code that is simulated panicked.
    Panicked(u64),
}

impl Sim {
    /// Runs what was asked for and returns the status to exit with.
    pub fn execute(self) -> i32 {
        let is_good = match self.seed {
            Some(seed) => self.one(seed),
            None => self.many(),
        };
        if is_good { 0 } else { VIOLATION }
    }

    fn options(&self) -> Options<'static> {
        Options { nodes: self.nodes.map(|nodes| nodes as usize), ..Options::default() }
    }

    fn one(&self, seed: u64) -> bool {
        let mut out = BufWriter::new(io::stdout().lock());
        // When nobody reads, the status is still the answer.
        let report = if self.trace {
            ::sim::trace(seed, &self.options(), &mut |line| drop(writeln!(out, "{line}")))
        } else {
            ::sim::run(seed, &self.options())
        };
        let _ = writeln!(out, "{report:#?}");
        let _ = out.flush();
        report.verdict.is_ok()
    }

    fn many(&self) -> bool {
        let (next, stop) = (AtomicU64::new(self.from), AtomicBool::new(false));
        let end = self.from.saturating_add(self.seeds);
        let (outcomes, incoming) = mpsc::channel();
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        thread::scope(|scope| {
            for _ in 0..workers {
                let outcomes = outcomes.clone();
                let (next, stop) = (&next, &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end || outcomes.send(self.attempt(seed)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(outcomes);
            self.collect(incoming, &stop)
        })
    }

    fn attempt(&self, seed: u64) -> Outcome {
        let run = || ::sim::run(seed, &self.options());
        catch_unwind(AssertUnwindSafe(run)).map_or(Outcome::Panicked(seed), |report| Outcome::Ran(Box::new(report)))
    }

    /// Takes what the workers have; says whether all went well.
    fn collect(&self, incoming: mpsc::Receiver<Outcome>, stop: &AtomicBool) -> bool {
        let progress = Progress::steps("seeds", self.seeds);
        let (mut summary, mut failures, mut idle) = (Summary::default(), 0, BTreeSet::new());
        for outcome in incoming {
            let (seed, why) = match &outcome {
                Outcome::Ran(report) => {
                    summary.add(report);
                    if !report.counts() && report.verdict.is_ok() {
                        idle.insert(report.seed);
                    }
                    (report.seed, report.verdict.as_ref().err().map(ToString::to_string))
                }
                Outcome::Panicked(seed) => (*seed, Some("it panicked".to_string())),
            };
            if let Some(why) = why {
                failures += 1;
                progress.above(&self.describe(seed, &why));
                stop.store(failures >= FAILURES_MAX, Ordering::Relaxed);
            }
            progress.advance(&format!("{failures} failed"), 1);
        }
        drop(progress);
        let mut out = io::stdout().lock();
        let _ = write!(out, "{summary}");
        if !idle.is_empty() {
            let _ = writeln!(
                out,
                "not counted, for fewer than {OPERATIONS_MIN} loads and stores or {FAULT_KINDS_MIN} kinds of network fault: {idle:?}"
            );
        }
        let _ = writeln!(out, "{failures} failed");
        failures == 0
    }

    /// How to see a failure again.
    fn describe(&self, seed: u64, why: &str) -> String {
        let (flag, nodes) = match self.nodes {
            Some(nodes) => (format!(" --nodes {nodes}"), format!("Some({nodes})")),
            None => (String::new(), "None".to_string()),
        };
        format!(
            "seed {seed}: {why}\n  replay it:  dsm-node sim --seed {seed}{flag} --trace\n  test it:    \
             assert_eq!(sim::run({seed}, &Options {{ nodes: {nodes}, ..Options::default() }}).verdict, Ok(()));"
        )
    }
}
