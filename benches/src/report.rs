//! The table, the ratios, and the JSON file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::figure::{Figure, Unit};
use crate::launch::{Measured, Plan};
use crate::node::Part;

/// Pairs of figures whose ratio says something.
const RATIOS: [(&str, &str); 17] = [
    ("remote_read_fault", "floor_fault_polling"),
    ("remote_read_fault_sleeping", "floor_fault_sleeping"),
    ("forwarded_read_fault", "floor_fault_polling"),
    ("remote_write_fault", "floor_fault_polling"),
    ("write_upgrade_readers_1", "remote_read_fault"),
    ("write_upgrade_readers_1", "floor_fault_polling"),
    ("write_upgrade_readers_3", "floor_fault_polling"),
    ("first_touch", "floor_fault_polling"),
    ("page_ping_pong", "remote_read_fault"),
    ("barrier_2", "udp_round_trip_polling"),
    ("lock_remote", "udp_round_trip_polling"),
    ("fetch_add", "udp_round_trip_polling"),
    ("lock_handoff", "udp_round_trip_polling"),
    ("sequential_read", "floor_sequential_read"),
    ("sequential_read", "floor_sequential_read_batched"),
    ("random_read", "floor_fault_polling"),
    ("random_read_threads_8", "floor_fault_polling"),
];

/// Medians over launches, and their ratios.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    figures: Vec<Row>,
    ratios: Vec<Ratio>,
}

/// A figure and how it was measured.
#[derive(Clone, Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    figure: Figure,
    config: Config,
}

/// Under which circumstances.
#[derive(Clone, Debug, Serialize)]
struct Config {
    kernel: String,
    cores: usize,
    launches: usize,
    samples: usize,
    nodes: usize,
    waiting: &'static str,
    prefetch: bool,
    pinned: bool,
    integrity: &'static str,
}

/// One median over another.
#[derive(Clone, Debug, Serialize)]
struct Ratio {
    name: String,
    ratio: f64,
    of: &'static str,
    to: &'static str,
}

impl Report {
    /// From all launches of all figures.
    pub fn new(plan: Plan, measured: &BTreeMap<String, Measured>) -> Report {
        let rows = measured.values().filter_map(|Measured { part, launches }| {
            Some(Row { figure: Figure::median(launches)?, config: Config::new(plan, *part) })
        });
        let figures: Vec<Row> = rows.collect();
        let median = |name: &str| figures.iter().find(|row| row.figure.name == name).map(|row| row.figure.p50);
        let ratios = RATIOS.iter().filter_map(|&(of, to)| {
            Some(Ratio { name: format!("{of}_to_{to}"), ratio: median(of)? / median(to)?, of, to })
        });
        Report { ratios: ratios.collect(), figures }
    }

    /// For people.
    pub fn table(&self) -> String {
        let Some(Row { config: Config { kernel, cores, launches, samples, .. }, .. }) = self.figures.first() else {
            return String::new();
        };
        let floor = self.figures.iter().find(|row| row.figure.name == "floor_fault_polling").map(|row| row.figure.p50);
        let mut text = format!(
            "{kernel}, {cores} cores, nodes pinned, polling 100 us unless named otherwise; medians over {launches} interleaved \
             launches of {samples} samples\n\n{:<30} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "figure", "", "p10", "p50", "p90", "p99", "/ floor"
        );
        for Row { figure: Figure { name, unit, p10, p50, p90, p99, .. }, .. } in &self.figures {
            let to_floor = floor
                .filter(|_| *unit == Unit::Microseconds)
                .map_or(String::new(), |floor| format!("{:.2}", p50 / floor));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<30} {unit:>5} {p10:>9.2} {p50:>9.2} {p90:>9.2} {p99:>9.2} {to_floor:>9}");
        }
        text.push('\n');
        for Ratio { name, ratio, .. } in &self.ratios {
            let _ = writeln!(text, "{name:<60} {ratio:>7.2}");
        }
        text
    }

    /// For programs: one object a figure, one a ratio.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl Config {
    fn new(plan: Plan, part: Part) -> Config {
        let kernel = nix::sys::utsname::uname().map_or_else(
            |_| "unknown kernel".to_string(),
            |name| format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy()),
        );
        Config {
            kernel,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            launches: plan.launches,
            samples: plan.samples,
            nodes: part.nodes(),
            waiting: part.waiting(),
            prefetch: part.prefetches(),
            pinned: true,
            integrity: "crc32",
        }
    }
}
