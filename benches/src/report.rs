//! The table, the ratios, and the JSON file.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::figure::{Figure, Unit};
use crate::launch::{Measured, Plan};
use crate::node::Part;

/// Pairs of figures whose ratio says something.
const RATIOS: [(&str, &str); 19] = [
    ("remote_read_fault", "floor_fault_polling"),
    ("remote_read_fault_sleeping", "floor_fault_sleeping"),
    ("forwarded_read_fault", "floor_fault_polling"),
    ("remote_write_fault", "floor_fault_polling"),
    ("write_upgrade_readers_1", "remote_read_fault"),
    ("write_upgrade_readers_1", "floor_fault_polling"),
    ("write_upgrade_readers_3", "floor_fault_polling"),
    ("first_touch", "floor_fault_polling"),
    ("remote_read_fault_alone", "floor_fault_polling"),
    ("page_ping_pong", "remote_read_fault"),
    ("page_ping_pong", "remote_read_fault_alone"),
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
    #[serde(flatten)]
    machine: Machine,
    launches: usize,
    samples: usize,
    nodes: usize,
    waiting: &'static str,
    prefetch: bool,
    pinned: bool,
    integrity: &'static str,
}

/// Where.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) cores: usize,
}

impl Machine {
    /// The one that this runs on.
    pub(crate) fn this() -> Machine {
        let kernel = nix::sys::utsname::uname().map_or_else(
            |_| "unknown kernel".to_string(),
            |name| format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy()),
        );
        let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let named = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let processor = named.map_or("unknown processor", |(_, name)| name.trim()).to_string();
        Machine { processor, kernel, cores: std::thread::available_parallelism().map_or(1, usize::from) }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} cores, {}", self.kernel, self.cores, self.processor)
    }
}

/// One median over another.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ratio {
    name: String,
    ratio: f64,
    of: String,
    to: String,
}

impl Ratio {
    /// Of one figure to another; none if either was not measured.
    pub(crate) fn between(figures: &[Figure], of: &str, to: &str) -> Option<Ratio> {
        let median = |name: &str| figures.iter().find(|figure| figure.name == name).map(|figure| figure.p50);
        let ratio = median(of)? / median(to)?;
        Some(Ratio { name: format!("{of}_to_{to}"), ratio, of: of.to_string(), to: to.to_string() })
    }
}

impl Report {
    /// From all launches of all figures.
    pub fn new(plan: Plan, measured: &BTreeMap<String, Measured>) -> Report {
        let medians: Vec<Figure> =
            measured.values().filter_map(|Measured { launches, .. }| Figure::median(launches)).collect();
        let ratios = RATIOS.iter().filter_map(|(of, to)| Ratio::between(&medians, of, to)).collect();
        let config = |figure: &Figure| Some(Config::new(plan, measured.get(&figure.name)?.part));
        let rows = medians.into_iter().filter_map(|figure| Some(Row { config: config(&figure)?, figure }));
        Report { figures: rows.collect(), ratios }
    }

    /// For people.
    pub fn table(&self) -> String {
        let Some(Row { config: Config { machine, launches, samples, .. }, .. }) = self.figures.first() else {
            return String::new();
        };
        let floor = self.figures.iter().find(|row| row.figure.name == "floor_fault_polling").map(|row| row.figure.p50);
        let mut text = format!(
            "{machine}, nodes pinned, polling 100 us unless named otherwise; medians over {launches} interleaved launches of \
             {samples} samples\n\n{:<30} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
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
        Config {
            machine: Machine::this(),
            launches: plan.launches,
            samples: plan.samples,
            nodes: part.nodes(),
            waiting: part.waiting(),
            prefetch: part.prefetches(),
            pinned: true,
            integrity: if plan.encrypted { "aes256-gcm" } else { "crc32" },
        }
    }
}
