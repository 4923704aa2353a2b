//! `dsm-bench`: measures what every remote access costs.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use benches::launch::{Plan, measure};
use benches::node::{self, Part};
use benches::report::Report;
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

/// Measure what every remote access costs
#[derive(Parser)]
#[command(name = "dsm-bench", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Fault(Fault),
    /// A process that is measured.
    #[command(hide = true)]
    Node {
        part: Part,
        samples: usize,
    },
}

/// Faults, locks, barriers and streams, beside a floor with nothing of ours in it
#[derive(Args)]
struct Fault {
    /// Launches of each kind of job, in turn; medians need nine
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1000))]
    launches: u16,

    /// Accesses of each kind in a launch
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    samples: u32,

    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Fault(fault) => fault.run(),
        Command::Node { part, samples } => node::play(part, samples),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("dsm-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

impl Fault {
    fn run(&self) -> Result<(), String> {
        let plan = Plan { launches: self.launches.into(), samples: self.samples as usize };
        let bar = ProgressBar::new((plan.launches * Part::ALL.len()) as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {eta} left") {
            bar.set_style(style);
        }
        let launches = measure(plan, |part| {
            bar.set_message(format!("{part:?}"));
            bar.inc(1);
        })?;
        bar.finish_and_clear();
        let report = Report::new(plan, &launches);
        print!("{}", report.table());
        let Some(path) = &self.json else { return Ok(()) };
        std::fs::write(path, report.json()).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}
