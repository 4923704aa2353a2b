//! The table, the ratios with their bars, and the JSON file.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::figure::Figure;
use crate::report::Machine;

use super::Plan;
use super::bars::{self, Ratio};
use super::launch::Measured;

/// Medians over launches, and their ratios.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    config: Config,
    figures: Vec<Row>,
    ratios: Vec<Ratio>,
}

/// A figure and how it was measured.
#[derive(Clone, Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    figure: Figure,
    stack: String,
    waiting: &'static str,
}

/// Under which circumstances.
#[derive(Clone, Debug, Serialize)]
struct Config {
    #[serde(flatten)]
    machine: Machine,
    launches: usize,
    samples: usize,
    pinned: bool,
}

impl Report {
    /// From all launches of all figures.
    pub fn new(plan: &Plan, measured: &Measured) -> Report {
        let row = |(stack, launches): &(_, Vec<Figure>)| {
            let figure = Figure::median(launches)?;
            let stack: &super::stack::Stack = stack;
            Some(Row { figure, stack: stack.to_string(), waiting: stack.waiting() })
        };
        let figures: Vec<Row> = measured.values().filter_map(row).collect();
        let medians: Vec<Figure> = figures.iter().map(|row| row.figure.clone()).collect();
        let Plan { launches, ref calls, pin } = *plan;
        let config = Config { machine: Machine::this(), launches, samples: calls.samples, pinned: pin };
        Report { config, figures, ratios: bars::calls(&medians) }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let Config { machine, launches, samples, pinned } = &self.config;
        let bound = if *pinned { "each side bound to its half of them" } else { "processes not bound" };
        writeln!(text, "{machine}, {bound}; medians over {launches} interleaved launches of {samples} samples\n")?;
        write_figures(text, self.figures.iter().map(|row| &row.figure))?;
        text.push('\n');
        write_ratios(text, &self.ratios)
    }

    /// For programs: one object a figure, one a ratio.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// One line each.
pub fn write_figures<'f>(text: &mut String, figures: impl Iterator<Item = &'f Figure>) -> fmt::Result {
    writeln!(text, "{:<46} {:>9} {:>10} {:>10} {:>10} {:>10}", "figure", "", "p10", "p50", "p90", "p99")?;
    for Figure { name, unit, p10, p50, p90, p99, .. } in figures {
        writeln!(text, "{name:<46} {unit:>9} {p10:>10.2} {p50:>10.2} {p90:>10.2} {p99:>10.2}")?;
    }
    Ok(())
}

/// One line each, with the bar and whether it is met.
pub fn write_ratios(text: &mut String, ratios: &[Ratio]) -> fmt::Result {
    for Ratio { name, ratio, bar, holds, .. } in ratios {
        let bar = bar.map_or(String::new(), |bar| bar.to_string());
        let verdict = match holds {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        writeln!(text, "{:<82}", format!("{name:<82} {ratio:>7.2}  {bar:<14} {verdict}").trim_end())?;
    }
    Ok(())
}
