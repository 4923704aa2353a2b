//! `dsm-bench stubs`.

use std::path::PathBuf;

use benches::stubs;
use clap::Args;

use super::{bar, conclude};

/// Stubs, beside marshalling written by hand for the same bytes
#[derive(Args)]
pub struct Stubs {
    /// Rounds in which both take turns with all messages
    #[arg(long, value_name = "N", default_value_t = 2_001, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    rounds: u16,

    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Stubs {
    pub fn run(&self) -> Result<(), String> {
        let bar = bar(self.rounds.into());
        let report = stubs::measure(self.rounds.into(), || bar.inc(1))?;
        bar.finish_and_clear();
        conclude(&report.table(), self.json.as_deref(), || report.json())
    }
}
