//! `dsm-bench`: measures what every remote access costs.

#![forbid(unsafe_code)]

mod all;
mod apps;
mod loss;
mod rpc;
mod stubs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use benches::checksum::{self, contents::Contents, damage::Damage};
use benches::launch::{Plan, measure};
use benches::node::{self, Part};
use benches::report::Report;
use benches::rpc::side::Role;
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
    Checksum(Checksum),
    Rpc(rpc::Rpc),
    Loss(loss::Loss),
    Stubs(stubs::Stubs),
    Apps(apps::Apps),
    All(all::All),
    /// One of two processes that are measured.
    #[command(hide = true)]
    Side {
        #[command(subcommand)]
        role: Role,
    },
    /// A node that does whole jobs.
    #[command(hide = true)]
    App {
        /// As JSON.
        orders: String,
    },
    /// A process of a job of which one dies.
    #[command(hide = true)]
    Mortal {
        #[command(subcommand)]
        role: all::Mortal,
    },
    /// A node that measures single accesses.
    #[command(hide = true)]
    Curve {
        /// As JSON.
        orders: String,
    },
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

    /// Give the nodes a key, as jobs have it otherwise; without, datagrams are guarded by a CRC-32, as the floor's are by nothing
    #[arg(long)]
    encrypted: bool,

    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Checksums: bytes a second, and what they do not notice of millions of damaged datagrams
#[derive(Args)]
struct Checksum {
    /// Rounds in which all checks take turns
    #[arg(long, value_name = "N", default_value_t = 101, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rounds: u16,

    /// Datagrams to damage, for each kind of damage and of contents
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    corruptions: u64,

    /// Decides contents and damage: the same seed gives the same counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Fault(fault) => fault.run(),
        Command::Checksum(checksum) => checksum.run(),
        Command::Rpc(rpc) => rpc.run(),
        Command::Loss(loss) => loss.run(),
        Command::Stubs(stubs) => stubs.run(),
        Command::Side { role } => role.play(),
        Command::Apps(apps) => apps.run(),
        Command::All(all) => all.run(),
        Command::App { orders } => ordered::<benches::apps::node::Orders>(&orders).and_then(|orders| orders.play()),
        Command::Curve { orders } => ordered::<benches::curves::node::Orders>(&orders).and_then(|orders| orders.play()),
        Command::Mortal { role } => role.play(),
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

/// What a node was told to do.
fn ordered<T: serde::de::DeserializeOwned>(orders: &str) -> Result<T, String> {
    serde_json::from_str(orders).map_err(|error| format!("the orders cannot be read: {error}"))
}

/// A bar of so many steps.
fn bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// The next step of a bar.
fn step(bar: &ProgressBar, what: String) {
    bar.set_message(what);
    bar.inc(1);
}

/// Prints the table, and writes the file if one was asked for.
fn conclude(table: &str, json: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), String> {
    print!("{table}");
    let Some(path) = json else { return Ok(()) };
    std::fs::write(path, text()).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

impl Fault {
    fn run(&self) -> Result<(), String> {
        benches::warm::memory();
        let plan = Plan { launches: self.launches.into(), samples: self.samples as usize, encrypted: self.encrypted };
        let bar = bar(plan.launches * Part::ALL.len());
        let launches = measure(plan, |part| {
            bar.set_message(format!("{part:?}"));
            bar.inc(1);
        })?;
        bar.finish_and_clear();
        let report = Report::new(plan, &launches);
        conclude(&report.table(), self.json.as_deref(), || report.json())
    }
}

impl Checksum {
    fn run(&self) -> Result<(), String> {
        let plan = checksum::Plan { rounds: self.rounds.into(), corruptions: self.corruptions, seed: self.seed };
        let bar = bar(plan.rounds + Contents::ALL.len() * Damage::ALL.len());
        let figures = checksum::speed::measure(plan, || {
            bar.set_message("bytes a second");
            bar.inc(1);
        });
        let detection = checksum::detection::measure(plan, |contents, damage| {
            bar.set_message(format!("{}, {}", contents.name(), damage.name()));
            bar.inc(1);
        });
        bar.finish_and_clear();
        let report = checksum::report::Report::new(plan, figures, detection);
        conclude(&report.table(), self.json.as_deref(), || report.json())
    }
}
