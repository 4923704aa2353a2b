//! Heat on a plate: rows in blocks, one block a node, a barrier after each iteration.
//!
//! Run it alone with `cargo run --release -p examples --bin jacobi`, or as three processes with
//! `dsm-node run -n 3 -- target/release/jacobi --size 512 --iterations 200`. The last line is a checksum over every
//! bit of the plate: it must not depend on the number of nodes.

use std::process::ExitCode;

use clap::Parser;
use dsm_core::{Dsm, Error};
use examples::jacobi::over_dsm;
use examples::jacobi::plate::{SIZE_MAX, SIZE_MIN};

/// Let the heat of one edge spread over a plate
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Points on each side of the plate
    #[arg(long, default_value_t = 128)]
    #[arg(value_parser = clap::value_parser!(u32).range(SIZE_MIN as i64..=SIZE_MAX as i64))]
    size: u32,
    /// How often each point becomes the mean of its neighbours
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    iterations: u32,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jacobi: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let dsm = Dsm::join()?;
    if let Some(report) = over_dsm::run(&dsm, arguments.size as usize, arguments.iterations as usize)? {
        print!("{}", report.plate.picture(20));
        println!("nodes     {}", dsm.size());
        println!("time      {:.3} s", report.elapsed.as_secs_f64());
        println!("network   {} messages, {} bytes", report.messages, report.bytes);
        println!("checksum {:016x}", report.plate.checksum());
    }
    dsm.finalize()
}
