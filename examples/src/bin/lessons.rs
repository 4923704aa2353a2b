//! Shows what each part of RPC over UDP is for, by switching it off.
//!
//! `cargo run --release -p examples --bin lessons -- all` gives every lesson; `lessons duplicates` one of them, with
//! `--trace FILE` to see every datagram, and `--counters` to see what both ends counted without the part.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use examples::lessons::{ALL, Lesson, LessonError, Run};
use rpc::trace::{Trace, TraceError};
use thiserror::Error;

/// Switch one part of RPC over UDP off, and see what it was for
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Which part
    #[arg(value_parser = PossibleValuesParser::new(ALL.iter().map(|lesson| lesson.name).chain(["all"])))]
    lesson: String,
    /// Write every datagram to this file as a packet ladder, and to FILE.pcapng for Wireshark
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print what both ends counted without the part
    #[arg(long)]
    counters: bool,
}

#[derive(Debug, Error)]
enum Failure {
    #[error("{0}: {1}")]
    Lesson(&'static str, LessonError),
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error("cannot write to the standard output: {0}")]
    Output(#[from] io::Error),
}

fn main() -> ExitCode {
    match teach(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lessons: {error}");
            ExitCode::FAILURE
        }
    }
}

fn teach(arguments: &Arguments) -> Result<(), Failure> {
    let trace = arguments.trace.as_deref().map(Trace::create).transpose()?;
    let chosen = ALL.iter().filter(|lesson| arguments.lesson == "all" || arguments.lesson == lesson.name);
    for lesson in chosen {
        give(lesson, trace.as_ref(), arguments.counters)?;
    }
    if let Some(failure) = trace.and_then(|trace| trace.failure()) {
        eprintln!("lessons: the trace has ended early: {failure}");
    }
    Ok(())
}

fn give(lesson: &Lesson, trace: Option<&Trace>, counters: bool) -> Result<(), Failure> {
    let mut out = io::stdout();
    writeln!(out, "{}: {}", lesson.name, lesson.switch)?;
    let comparison = lesson.run(trace).map_err(|error| Failure::Lesson(lesson.name, error))?;
    writeln!(out, "{}\n", lesson.tell(&comparison))?;
    if counters {
        let Run { client, server, .. } = &comparison.without;
        writeln!(out, "client\n{client}\nserver\n{server}")?;
    }
    Ok(())
}
