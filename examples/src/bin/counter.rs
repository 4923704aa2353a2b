//! All nodes add to one word: under a lock, with an atomic operation, and with neither, which loses additions.
//!
//! Run it alone with `cargo run --release -p examples --bin counter` (one node alone loses nothing), or as three
//! processes with `dsm-node run -n 3 -- target/release/counter --increments 2000`.

use std::process::ExitCode;

use clap::Parser;
use dsm_core::{Dsm, Error};
use examples::counter::{self, Tally, Way};

/// Add to one shared word in three ways, one of them wrong
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Additions by each node in each way
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    increments: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    count(arguments.increments).unwrap_or_else(|error| {
        eprintln!("counter: {error}");
        ExitCode::FAILURE
    })
}

fn count(increments: u64) -> Result<ExitCode, Error> {
    let dsm = Dsm::join()?;
    let tallies = counter::run(&dsm, increments)?;
    if dsm.rank() == 0 {
        print(&dsm, &tallies);
    }
    dsm.finalize()?;
    let wrong = tallies.iter().any(|tally| tally.way != Way::Unprotected && tally.found != tally.expected);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(dsm: &Dsm, tallies: &[Tally]) {
    println!("{:<12} {:>10} {:>10} {:>8} {:>10} {:>10}", "way", "expected", "found", "lost", "ms", "messages");
    for tally in tallies {
        let (way, milliseconds) = (tally.way.name(), tally.elapsed.as_secs_f64() * 1e3);
        let (expected, found, lost, messages) = (tally.expected, tally.found, tally.lost(), tally.messages);
        println!("{way:<12} {expected:>10} {found:>10} {lost:>8} {milliseconds:>10.2} {messages:>10}");
    }
    match dsm.size() {
        1 => println!("One node alone loses nothing; start it with `dsm-node run -n 3 --` to see additions get lost."),
        _ => println!(
            "Unprotected, two nodes may load the same value and both store its successor: one addition is lost."
        ),
    }
}
