//! `dsm-node demo`: three real processes, what each access costs, a real job over shared memory and over RPC.

mod node;
mod text;

use std::io::{self, Write};

use clap::Args;
use dsm_core::doctor::{self, Options};
use dsm_core::launch::{JobKey, JobSpec};
use examples::ladder::{Cost, NODES, Rung};
use examples::tsp::instances::Published;
use examples::tsp::{Report, over_rpc};
use rpc::Key;

use crate::complain;
use crate::jobs::{self, Interrupted, Jobs};
use crate::progress::Progress;
pub use node::Node;

/// The status when something in the demo went wrong.
const FAILURE: i32 = 1;

/// Show what it is: three processes that share one memory, what that costs, and a job done both ways
///
/// Takes less than half a minute and leaves nothing behind.
#[derive(Args)]
pub struct Demo {
    /// How many accesses of each kind the ladder of costs measures
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    samples: u32,
}

impl Demo {
    /// Runs the demo and returns the status to exit with.
    pub fn execute(self) -> i32 {
        match self.show() {
            Ok(()) => 0,
            Err(Stop::Interrupted(status)) => status,
            Err(Stop::Failed(why)) => {
                complain(why);
                FAILURE
            }
            // Nobody reads any more.
            Err(Stop::Output) => 141,
        }
    }

    fn show(&self) -> Result<(), Stop> {
        let jobs = Jobs::new()?;
        say(&text::environment())?;
        let findings = doctor::examine(&Options::default());
        if !doctor::can_run(&findings) {
            return Err(Stop::Failed(
                "jobs cannot run on this machine; `dsm-node doctor` says what is missing".to_string(),
            ));
        }
        let ladder = self.ladder(&jobs)?;
        say(&text::ladder(&ladder))?;
        let mut pairs = Vec::new();
        for published in Published::ALL {
            let pair = Pair { published, dsm: tsp_over_dsm(&jobs, published)?, rpc: tsp_over_rpc(&jobs, published)? };
            pairs.push(pair);
        }
        say(&text::pairs(&pairs)?)?;
        say(&text::lesson(&ladder, &pairs))
    }

    fn ladder(&self, jobs: &Jobs) -> Result<Vec<Cost>, Stop> {
        let progress = Progress::steps("climbing the ladder of costs", Rung::ALL.len() as u64);
        let job = JobSpec { pin: true, ..job(&["ladder", &self.samples.to_string()])? };
        let mut costs = Vec::new();
        jobs.run(job, |line| {
            let cost: Cost = line.parse()?;
            progress.step(cost.rung.words());
            costs.push(cost);
            Ok(())
        })?;
        Ok(costs)
    }
}

/// One instance, solved both ways.
struct Pair {
    published: Published,
    dsm: Report,
    rpc: Report,
}

/// Why the demo did not come to its end.
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

/// A job whose nodes play this part.
fn job(part: &[&str]) -> Result<JobSpec, Stop> {
    let args: Vec<String> = ["demo-node"].iter().chain(part).map(ToString::to_string).collect();
    Ok(jobs::own(NODES, &args)?)
}

fn say(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_| Stop::Output)
}

fn tsp_over_dsm(jobs: &Jobs, published: Published) -> Result<Report, Stop> {
    let _progress = Progress::spinner(format!("{} over shared memory", published.name));
    let mut report = None;
    jobs.run(job(&["tsp", published.name])?, |line| {
        report = Some(node::report_from_line(line)?);
        Ok(())
    })?;
    report.ok_or_else(|| Stop::Failed(format!("{} over shared memory gave no answer", published.name)))
}

fn tsp_over_rpc(jobs: &Jobs, published: Published) -> Result<Report, Stop> {
    let _progress = Progress::spinner(format!("{} over RPC", published.name));
    let failed = |error: over_rpc::TspError| Stop::Failed(error.to_string());
    let key = Key::random().map_err(|error| Stop::Failed(error.to_string()))?;
    let server = node::serve(published, key.clone()).map_err(failed)?;
    let spec = JobSpec { key: JobKey::Given(key), ..job(&["work", &server.local_addr().to_string()])? };
    jobs.run(spec, |_| Ok(()))?;
    // The workers leave when all is done.
    let report = server.wait(std::time::Duration::ZERO);
    server.dismiss(std::time::Duration::ZERO);
    report.ok_or_else(|| Stop::Failed(format!("{} over RPC: the workers left before the end", published.name)))
}
