//! The travelling salesman over shared memory: queue and best bound are shared words, under locks.
//!
//! Run it alone with `cargo run --release -p examples --bin tsp`, or as three processes with
//! `dsm-node run -n 3 -- target/release/tsp --instance bays29`. It ends with an error when the tour that it found is
//! not as long as the published optimum.

use std::process::ExitCode;

use clap::Parser;
use dsm_core::Dsm;
use examples::tsp::{Choice, over_dsm};

/// Find the shortest tour, with the work queue and the best bound in shared memory
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    choice: Choice,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tsp: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let chosen = arguments.choice.load()?;
    let dsm = Dsm::join().map_err(|error| error.to_string())?;
    let report = over_dsm::run(&dsm, &chosen.problem, chosen.depth).map_err(|error| error.to_string())?;
    // Leave first: a wrong answer is this program's failure, not the job's.
    dsm.finalize().map_err(|error| error.to_string())?;
    let Some(report) = report else { return Ok(()) };
    println!("{}\n{report}\n{}", chosen.headline(), chosen.verdict(&report)?);
    Ok(())
}
