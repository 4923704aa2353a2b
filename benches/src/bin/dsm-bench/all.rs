//! `dsm-bench all`.

use std::net::SocketAddr;
use std::path::PathBuf;

use benches::apps::measure::Runs;
use benches::apps::{self, model};
use benches::checksum::{self, contents::Contents, damage::Damage};
use benches::curves::Curve;
use benches::curves::measure::{self as curves, Measured};
use benches::page::results::{Bar, Check, Death, How, Over, Part, Results, Series};
use benches::page::{self, findings};
use clap::Args;
use examples::survivor::{Ending, PRIMES, Process, SHARES, over_dsm, over_rpc};
use indicatif::ProgressBar;

use super::{apps as of_apps, bar, step};

const WAITING: &str = "polling 100 us, then sleeping";

/// The whole experiment: what every access costs, whole jobs over shared memory and over RPC, and a page that shows it
///
/// Writes into a folder: `report.html`, one file that shows everything and loads nothing; `results.json`, with every number; and each
/// figure as SVG.
#[derive(Args)]
pub(crate) struct All {
    /// The folder; made if need be
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Small jobs and few launches: less than a minute
    #[arg(long)]
    quick: bool,

    /// Measure nothing: draw the page anew from this `results.json`
    #[arg(long, value_name = "FILE", conflicts_with = "quick")]
    from: Option<PathBuf>,
}

impl All {
    pub(crate) fn run(&self) -> Result<(), String> {
        let results = match &self.from {
            Some(path) => page::read(path)?,
            None => self.measure()?,
        };
        page::write(&results, &self.out)?;
        println!("{}", findings::verdict(&results));
        for (number, what) in findings::headlines(&results) {
            println!("{number}: {what}");
        }
        println!("{}", self.out.join("report.html").display());
        Ok(())
    }

    fn measure(&self) -> Result<Results, String> {
        benches::warm::memory();
        let (single, jobs) = (curves::Plan::new(self.quick), apps::Plan::new(self.quick, Vec::new()));
        let checks = checksum::Plan {
            rounds: if self.quick { 5 } else { 51 },
            corruptions: if self.quick { 5_000 } else { 200_000 },
            seed: 1,
        };
        let steps = 1 + single.steps() + jobs.launches() + checks.rounds + Contents::ALL.len() * Damage::ALL.len();
        let bar = bar(steps);
        let (mut measured, mut runs) = (Measured::default(), Runs::new());
        // In turns: what the machine does beside changes from minute to minute, and jobs are compared with single accesses.
        for round in 0..jobs.rounds().max(single.launches) {
            if round < single.launches {
                measured.measure(single, round, |what| step(&bar, what.to_string()))?;
            }
            apps::measure::measure(&jobs, round, &mut runs, |case| step(&bar, format!("jobs: {case}")))?;
        }
        let checked = self.checks(checks, &bar);
        step(&bar, "a process dies".into());
        let deaths = deaths()?;
        bar.finish_and_clear();

        let curve_how = |note: &str| How::this(WAITING, single.launches, note);
        let curve = |curve, note: &str| Part::<Series> { how: curve_how(note), rows: measured.series(curve) };
        let bars = |curve, note: &str| Part::<Bar> { how: curve_how(note), rows: measured.bars(curve) };
        let base = of_apps::how(&jobs);
        let of_jobs = Part { how: base.clone(), rows: apps::measure::jobs(&jobs, &runs) };
        let ladder = bars(Curve::Ladder, "3 nodes, AES-256-GCM; calls, and where two processes do the same: means");
        let predictions = model::predictions(&ladder.rows, &of_jobs.rows);
        let variations = How {
            repetitions: jobs.cases.iter().map(|(_, launches)| *launches).min().unwrap_or(0),
            note: "one factor at a time around 2 nodes without loss; sequential consistency, AES-256-GCM; or more runs"
                .into(),
            ..base.clone()
        };
        Ok(Results {
            command: format!("dsm-bench all{} --out {}", if self.quick { " --quick" } else { "" }, self.out.display()),
            ladder,
            variations: Part { how: variations, rows: apps::measure::variations(&jobs, &runs) },
            jobs: of_jobs,
            crossing: curve(Curve::Crossing, "2 nodes, pages visited in no order"),
            writes: curve(Curve::Writes, "2 nodes on one page"),
            sharing: curve(Curve::Sharing, "10 us of work between stores; less than 10 ns cannot be told from none"),
            goodput: curve(Curve::Stream, "RPC in plain datagrams of 1,472 bytes through a relay that loses by chance"),
            datagrams: bars(Curve::Datagrams, "2 nodes, both ways, acknowledgements included"),
            checks: checked,
            deaths: Part {
                how: How::this(WAITING, 1, "3 nodes with a key; 2 workers with a name, plain; SIGKILL"),
                rows: deaths,
            },
            model: Part {
                how: How {
                    note: "costs from the ladder, work from plain processes that run at once, nothing fitted".into(),
                    ..base
                },
                rows: predictions,
            },
        })
    }

    fn checks(&self, plan: checksum::Plan, bar: &ProgressBar) -> Part<Check> {
        let figures = checksum::speed::measure(plan, || step(bar, "checksums".into()));
        let detection = checksum::detection::measure(plan, |_, _| step(bar, "damaged datagrams".into()));
        let how = How::this("none", plan.rounds, "datagrams of 1,472 bytes, copied and sealed; seed 1");
        Part { how, rows: checksum::report::checks(&figures, &detection) }
    }
}

/// The same job over shared memory and over RPC, and the same death.
fn deaths() -> Result<Vec<Death>, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program's own file: {error}"))?;
    let process = |role: &str| Process { program: program.clone(), words: vec!["mortal".into(), role.into()] };
    let death = |over, Ending { done, primes, pause, said }: Ending| Death {
        over,
        done,
        of: SHARES,
        answered: primes == Some(PRIMES),
        pause: pause.as_secs_f64(),
        said,
    };
    let shared = over_dsm::run(&process("node")).map_err(|error| error.to_string())?;
    let called = over_rpc::run(&process("worker")).map_err(|error| error.to_string())?;
    Ok(vec![death(Over::Dsm, shared), death(Over::Rpc, called)])
}

/// A process of the job of which one dies.
#[derive(clap::Subcommand)]
pub(crate) enum Mortal {
    /// Over shared memory.
    Node,
    /// Over RPC.
    Worker {
        /// The name server.
        binder: SocketAddr,
        /// Whether it is the one.
        #[arg(long)]
        mortal: bool,
    },
}

impl Mortal {
    pub(crate) fn play(self) -> Result<(), String> {
        match self {
            Mortal::Node => over_dsm::node().map_err(|error| error.to_string()),
            Mortal::Worker { binder, mortal } => over_rpc::work(binder, mortal).map_err(|error| error.to_string()),
        }
    }
}
