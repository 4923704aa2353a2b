//! `dsm-node`: shows what distributed shared memory is, starts the nodes of a job, examines whether this
//! machine can run one, keeps names of services, and calls them.

#![forbid(unsafe_code)]

mod demo;
mod doctor;
mod jobs;
mod litmus;
mod naming;
mod progress;
mod random;
mod run;
mod signals;
mod sim;
mod soak;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Distributed shared memory: several processes, one memory.
#[derive(Parser)]
#[command(name = "dsm-node", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Demo(demo::Demo),
    Doctor(doctor::Doctor),
    Litmus(litmus::Litmus),
    Soak(soak::Soak),
    Sim(sim::Sim),
    Key(naming::NewKey),
    Names(naming::Names),
    Services(naming::Services),
    Call(naming::Call),
    #[command(hide = true)]
    DemoNode(demo::Node),
    #[command(hide = true)]
    LitmusNode(litmus::Node),
    #[command(hide = true)]
    SoakNode(soak::Node),
}

fn main() -> ExitCode {
    let status = match Cli::parse().command {
        Command::Run(run) => run.execute(),
        Command::Demo(demo) => demo.execute(),
        Command::Doctor(doctor) => doctor.execute(),
        Command::Litmus(litmus) => litmus.execute(),
        Command::Soak(soak) => soak.execute(),
        Command::Sim(sim) => sim.execute(),
        Command::Key(key) => key.execute(),
        Command::Names(names) => names.execute(),
        Command::Services(services) => services.execute(),
        Command::Call(call) => call.execute(),
        Command::DemoNode(node) => node.execute(),
        Command::LitmusNode(node) => node.execute(),
        Command::SoakNode(node) => node.execute(),
    };
    // Statuses are 0 to 255; anything else could only be read as a failure.
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}

/// Prints one of this program's own errors.
fn complain(error: impl std::fmt::Display) {
    use std::io::Write;
    // With the standard error gone there is nobody left to tell; the exit status still does.
    let _ = writeln!(std::io::stderr(), "dsm-node: {error}");
}
