//! Lamport's bakery: mutual exclusion of any number of contenders by loads and stores of shared memory, counted.
//!
//! Run it with `dsm-node run -n 2 -- target/release/bakery --rounds 1000`.

use std::process::ExitCode;

use clap::Parser;
use examples::mutual_exclusion::{self, Bakery, Contest};

/// Keep any number of contenders out of each other's way with Lamport's bakery
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    contest: Contest,
}

fn main() -> ExitCode {
    let contest = Arguments::parse().contest;
    mutual_exclusion::main("bakery", |dsm| mutual_exclusion::run::<Bakery<'_>>(dsm, &contest))
}
