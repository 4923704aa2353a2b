//! Small jobs over shared memory and over RPC, side by side: `dsm-node run -n 3 -- target/release/pair table`.

use std::process::ExitCode;

use clap::Parser;
use dsm_core::Dsm;
use examples::figures::Totals;
use examples::pairs::{self, Form, Pair, PairError};

/// Do one job in all its forms: over shared memory and over RPC, naive and good
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Which job; all of them when none is given
    #[arg(value_parser = pair)]
    job: Option<Pair>,
    /// Only the form of this name: dsm-naive, dsm, rpc-naive or rpc
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(["dsm-naive", "dsm", "rpc-naive", "rpc"]))]
    form: Option<String>,
    /// How large the job is; what this counts depends on the job
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    size: Option<u64>,
    /// So small that it takes a moment
    #[arg(long, conflicts_with = "size")]
    quick: bool,
}

fn pair(name: &str) -> Result<Pair, String> {
    let names = pairs::ALL.map(|pair| pair.name).join(", ");
    pairs::ALL.into_iter().find(|pair| pair.name == name).ok_or_else(|| format!("the jobs are: {names}"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run(&arguments).unwrap_or_else(|error| {
        eprintln!("pair: {error}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, PairError> {
    let dsm = Dsm::join()?;
    let mut right = true;
    for pair in pairs::ALL.iter().filter(|pair| arguments.job.is_none_or(|job| job.name == pair.name)) {
        let size = arguments.size.unwrap_or(if arguments.quick { pair.quick_size } else { pair.size });
        if dsm.rank() == 0 {
            println!("{}: {}; {size} {}", pair.name, pair.shows, pair.unit);
            println!("{:<10} {:>12} {:>10} {:>12} {:>6}", "form", "ms", "messages", "bytes", "lines");
            let plain = pair.plain(dsm.size(), size).elapsed.as_secs_f64() * 1e3;
            println!(
                "{:<10} {plain:>12.2} {:>10} {:>12} {:>6}  all the work in one process, nothing remote",
                "plain", "", "", ""
            );
        }
        for form in pair.forms.iter().filter(|form| arguments.form.as_ref().is_none_or(|name| name == form.name)) {
            right &= run_form(&dsm, pair, form, size)?;
        }
    }
    dsm.finalize()?;
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the answer is right.
fn run_form(dsm: &Dsm, pair: &Pair, form: &Form, size: u64) -> Result<bool, PairError> {
    let outcome = form.run(dsm, size)?;
    let expected = pair.answer(dsm.size(), size);
    let right = outcome.answer == expected;
    if dsm.rank() == 0 {
        let milliseconds = outcome.elapsed.as_secs_f64() * 1e3;
        let Totals { messages, bytes, .. } = outcome.total();
        let lines = pair.lines(form);
        println!("{:<10} {milliseconds:>12.2} {messages:>10} {bytes:>12} {lines:>6}  {}", form.name, form.what);
        if !right {
            println!("{:<10} WRONG: the answer is {}, and should be {expected}", form.name, outcome.answer);
        }
    }
    Ok(right)
}
