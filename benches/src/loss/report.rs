//! The table, the ratios with their bars, and the JSON file.

use std::fmt;

use serde::Serialize;
use yardstick::plan::names;

use super::lines::{LOSSES, label};
use crate::figure::Figure;
use crate::report::Machine;
use crate::rpc::bars::{Limit, Ratio, Ratios};
use crate::rpc::report::{write_figures, write_ratios};

/// Under which circumstances.
#[derive(Clone, Debug, Serialize)]
pub struct Config {
    #[serde(flatten)]
    machine: Machine,
    launches: usize,
    seed: u64,
    line: &'static str,
}

impl Config {
    /// On this machine. `line` says what packets were carried by.
    pub fn new(launches: usize, seed: u64, line: &'static str) -> Config {
        Config { machine: Machine::this(), launches, seed, line }
    }
}

/// All figures, and what they are held to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    config: Config,
    figures: Vec<Figure>,
    ratios: Vec<Ratio>,
}

/// The one of ours that goes over the line.
pub const OURS: &str = "rpc_plain_sleeping_async";

impl Report {
    /// Of these figures.
    pub fn new(config: Config, figures: Vec<Figure>) -> Report {
        let ratios = ratios(&figures);
        Report { config, figures, ratios }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        use std::fmt::Write as _;
        let Config { machine, launches, seed, line } = &self.config;
        writeln!(text, "{machine}; line: {line}; medians over {launches} rounds; seed {seed}\n")?;
        write_figures(text, self.figures.iter())?;
        text.push('\n');
        write_ratios(text, &self.ratios)
    }

    /// For programs: one object a figure, one a ratio.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

fn ratios(figures: &[Figure]) -> Vec<Ratio> {
    use Limit::{About, AtLeast, AtMost};
    let mut ratios = Ratios::new(figures);
    let goodput = |stack: &str, loss| names::goodput(stack, &label(loss));
    for (loss, share) in LOSSES.into_iter().zip([None, Some(0.85), Some(0.8), Some(0.6)]) {
        let Some(share) = share else { continue };
        let passes = 1.0 - f64::from(loss) / 100.0;
        ratios.median(&goodput(OURS, loss), &goodput(OURS, 0), Some(AtLeast(share * passes)));
    }
    for (loss, tcp, quinn) in [(0, None, None), (1, None, None), (5, Some(1.5), Some(3.0)), (20, None, None)] {
        ratios.median(&goodput(OURS, loss), &goodput("tcp_cubic", loss), tcp.map(AtLeast));
        ratios.median(&goodput(OURS, loss), &goodput("tcp_bbr", loss), None);
        ratios.median(&goodput(OURS, loss), &goodput("quinn", loss), quinn.map(AtLeast));
    }
    ratios.figure("increments_doubled", AtMost(0.0));
    ratios.figure("increments_with_a_result_that_did_not_run", AtMost(0.0));
    ratios.figure("increments_doubled_without_suppression", AtLeast(1.0));
    ratios.figure("corrupted_taken_crc32", AtMost(0.0));
    ratios.figure("corrupted_taken_aead", AtMost(0.0));
    ratios.figure("long_call_control_packets", AtMost(60.0));
    ratios.figure("long_call_executions", About(1.0));
    ratios.figure("killed_server_known_after", AtMost(5.0));
    ratios.median("overload_goodput", "overload_peak", Some(AtLeast(0.85)));
    ratios.figure("overload_begun_too_late", AtMost(0.0));
    ratios.done()
}
