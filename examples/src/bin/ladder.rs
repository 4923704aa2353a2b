//! What each kind of access costs. `dsm-node run -n 3 --pin -- target/release/ladder`; one line for each, in nanoseconds: name, count,
//! 10th, 50th and 90th percentile.

use std::process::ExitCode;

use clap::Parser;
use dsm_core::Dsm;
use examples::ladder;

/// Measure what each kind of access to shared memory costs
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many accesses of each kind
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    samples: u32,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ladder: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let dsm = Dsm::join().map_err(|error| error.to_string())?;
    ladder::climb(&dsm, arguments.samples as usize, |cost| println!("{cost}"))?;
    dsm.finalize().map_err(|error| error.to_string())
}
