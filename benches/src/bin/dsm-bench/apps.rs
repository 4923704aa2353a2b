//! `dsm-bench apps`.

use std::path::PathBuf;

use benches::apps::measure::{self, Runs};
use benches::apps::{self, Plan, model, table};
use benches::curves::Curve;
use benches::curves::measure::Measured;
use benches::page::results::{How, Part};
use clap::Args;
use clap::builder::PossibleValuesParser;
use examples::pairs;

use super::{bar, conclude, step};

/// Whole jobs over shared memory and over RPC, each in its naive and its good form
///
/// Each job is measured on 1 to 4 nodes, with 0, 1 and 5 datagrams in a hundred lost, and in three sizes: one factor at a time is varied
/// around a base case of two nodes without loss. Every answer is checked. Beside the times stand a plain process that does all the work
/// alone, what each form sent and waited for, its lines of code, and what a model expects that knows only the costs of single accesses.
///
/// Nodes are not bound to processors; datagrams are encrypted, as they are in any job.
#[derive(Args)]
pub(crate) struct Apps {
    /// Small jobs and few launches: less than a minute
    #[arg(long)]
    quick: bool,

    /// These jobs alone, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = PossibleValuesParser::new(pairs::ALL.map(|pair| pair.name)))]
    jobs: Vec<String>,

    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Apps {
    pub(crate) fn run(&self) -> Result<(), String> {
        benches::warm::memory();
        let plan = Plan::new(self.quick, self.jobs.clone());
        let bar = bar(plan.rounds() + plan.launches());
        let (mut accesses, mut runs) = (Measured::default(), Runs::new());
        for round in 0..plan.rounds() {
            step(&bar, "single accesses".into());
            accesses.measure_ladder(self.quick, round)?;
            measure::measure(&plan, round, &mut runs, |case| step(&bar, format!("jobs: {case}")))?;
        }
        bar.finish_and_clear();
        let ladder = accesses.bars(Curve::Ladder);
        let jobs = Part { how: how(&plan), rows: measure::jobs(&plan, &runs) };
        let variations = measure::variations(&plan, &runs);
        let predictions = model::predictions(&ladder, &jobs.rows);
        conclude(&table::table(&jobs, &variations, &predictions), self.json.as_deref(), || {
            serde_json::to_string_pretty(&(&jobs, &variations, &predictions)).unwrap_or_default()
        })
    }
}

/// How the jobs at the base case are measured.
pub(crate) fn how(plan: &Plan) -> How {
    let launches = plan.cases.iter().find(|(case, _)| *case == apps::Case::BASE).map_or(0, |(_, launches)| *launches);
    How::this("polling 100 us, then sleeping", launches, "2 nodes, sequential consistency, AES-256-GCM")
}
