//! Dekker's algorithm: mutual exclusion of two contenders by loads and stores of shared memory, counted.
//!
//! Run it with `dsm-node run -n 2 -- target/release/dekker --rounds 1000`.

use std::process::ExitCode;

use clap::Parser;
use examples::mutual_exclusion::{self, Contest, Dekker};

/// Keep two contenders out of each other's way with Dekker's algorithm
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    contest: Contest,
}

fn main() -> ExitCode {
    let contest = Arguments::parse().contest;
    mutual_exclusion::main("dekker", |dsm| mutual_exclusion::run::<Dekker<'_>>(dsm, &contest))
}
