//! The table, the ratios, and the JSON file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::figure::{Figure, Unit};
use crate::launch::Plan;

/// Pairs of figures whose ratio says something.
const RATIOS: [(&str, &str); 12] = [
    ("remote_read_fault", "floor_fault_polling"),
    ("remote_read_fault_sleeping", "floor_fault_sleeping"),
    ("forwarded_read_fault", "floor_fault_polling"),
    ("remote_write_fault", "floor_fault_polling"),
    ("write_upgrade_readers_1", "remote_read_fault"),
    ("write_upgrade_readers_1", "floor_fault_polling"),
    ("page_ping_pong", "remote_read_fault"),
    ("barrier_2", "udp_round_trip_polling"),
    ("lock_remote", "udp_round_trip_polling"),
    ("fetch_add", "udp_round_trip_polling"),
    ("sequential_read", "floor_sequential_read"),
    ("random_read_threads_8", "floor_fault_polling"),
];

/// Medians over launches, and their ratios.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    config: Config,
    figures: Vec<Figure>,
    ratios: Vec<Ratio>,
}

/// Under which circumstances.
#[derive(Clone, Debug, Serialize)]
struct Config {
    launches: usize,
    samples: usize,
    kernel: String,
    cores: usize,
    waiting: &'static str,
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
    pub fn new(plan: Plan, launches: &BTreeMap<String, Vec<Figure>>) -> Report {
        let figures: Vec<Figure> = launches.values().filter_map(|launches| Figure::median(launches)).collect();
        let median = |name: &str| figures.iter().find(|figure| figure.name == name).map(|figure| figure.p50);
        let ratios = RATIOS.iter().filter_map(|&(of, to)| {
            Some(Ratio { name: format!("{of}_to_{to}"), ratio: median(of)? / median(to)?, of, to })
        });
        Report { config: Config::new(plan), ratios: ratios.collect(), figures }
    }

    /// For people.
    pub fn table(&self) -> String {
        let floor = self.figures.iter().find(|figure| figure.name == "floor_fault_polling").map(|figure| figure.p50);
        let Config { launches, samples, kernel, cores, waiting, .. } = &self.config;
        let mut text = format!(
            "{kernel}, {cores} cores, {waiting}; medians over {launches} interleaved launches of {samples} samples\n\n{:<28} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "figure", "", "p10", "p50", "p90", "p99", "/ floor"
        );
        for Figure { name, unit, p10, p50, p90, p99, .. } in &self.figures {
            let to_floor = floor
                .filter(|_| *unit == Unit::Microseconds)
                .map_or(String::new(), |floor| format!("{:.2}", p50 / floor));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<28} {unit:>5} {p10:>9.2} {p50:>9.2} {p90:>9.2} {p99:>9.2} {to_floor:>9}");
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
    fn new(plan: Plan) -> Config {
        let kernel = nix::sys::utsname::uname().map_or_else(
            |_| "unknown kernel".to_string(),
            |name| format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy()),
        );
        Config {
            launches: plan.launches,
            samples: plan.samples,
            kernel,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            waiting: "polling 100 us, pinned, two nodes unless named otherwise",
            integrity: "crc32",
        }
    }
}
