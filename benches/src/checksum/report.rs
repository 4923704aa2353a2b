//! The tables, and the JSON file.

use std::fmt::Write as _;

use rpc::wire::Integrity;
use serde::Serialize;

use super::Plan;
use super::contents::Contents;
use super::damage::Damage;
use super::detection::{COVERED_BYTES, Detection};
use super::speed::{SIZES, Work};
use crate::figure::Figure;
use crate::page::results::{Check, Missed};
use crate::report::{Machine, Ratio};

/// Speeds, their ratios, and what went unnoticed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    config: Config,
    figures: Vec<Figure>,
    ratios: Vec<Ratio>,
    detection: Vec<Detection>,
}

/// Under which circumstances.
#[derive(Clone, Debug, Serialize)]
struct Config {
    rounds: usize,
    corruptions: u64,
    covered_bytes: usize,
    seed: u64,
    #[serde(flatten)]
    machine: Machine,
}

impl Report {
    /// From everything that was measured.
    pub fn new(plan: Plan, figures: Vec<Figure>, detection: Vec<Detection>) -> Report {
        let Plan { rounds, corruptions, seed } = plan;
        let config = Config { rounds, corruptions, covered_bytes: COVERED_BYTES, seed, machine: Machine::this() };
        let pairs = SIZES.into_iter().flat_map(|size| Integrity::ALL.map(|integrity| (integrity, size)));
        let ratios = pairs.filter(|(integrity, _)| *integrity != Integrity::None).filter_map(|(integrity, size)| {
            Ratio::between(&figures, &Work::Seal.figure(integrity, size), &Work::Seal.figure(Integrity::None, size))
        });
        Report { config, ratios: ratios.collect(), figures, detection }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_speeds(&mut text);
        let _ = self.write_detection(&mut text);
        text
    }

    fn write_speeds(&self, text: &mut String) -> std::fmt::Result {
        let Config { rounds, machine, .. } = &self.config;
        writeln!(text, "{machine}; MB/s, medians of {rounds} interleaved rounds\n")?;
        writeln!(text, "{:<34} {:>10} {:>10} {:>10}", "", "64 B", "1,472 B", "64 KiB")?;
        for work in Work::ALL {
            for integrity in Integrity::ALL {
                let figure = |size| self.figures.iter().find(|figure| figure.name == work.figure(integrity, size));
                let [Some(small), Some(frame), Some(large)] = SIZES.map(figure) else { continue };
                let what = match work {
                    Work::Seal if integrity == Integrity::None => "copy into a datagram, no check",
                    Work::Seal => "copy and seal",
                    Work::Open => "check",
                };
                let name = if what.starts_with("copy into") { "" } else { integrity.name() };
                let what = format!("{what} {name}");
                writeln!(text, "{what:<34} {:>10.0} {:>10.0} {:>10.0}", small.p50, frame.p50, large.p50)?;
            }
        }
        Ok(())
    }

    fn write_detection(&self, text: &mut String) -> std::fmt::Result {
        let Config { corruptions, covered_bytes, seed, .. } = &self.config;
        writeln!(
            text,
            "\nunnoticed of {corruptions} damaged datagrams each ({covered_bytes} bytes and a trailer; seed {seed})\n"
        )?;
        write!(text, "{:<9} {:<24}", "contents", "damage")?;
        Integrity::ALL.into_iter().try_for_each(|integrity| write!(text, " {integrity:>10}"))?;
        text.push('\n');
        for contents in Contents::ALL {
            for damage in Damage::ALL {
                write!(text, "{:<9} {:<24}", contents.name(), damage.name())?;
                for of in self.detection.iter().filter(|it| it.contents == contents && it.damage == damage) {
                    write!(text, " {:>10}", of.undetected)?;
                }
                text.push('\n');
            }
        }
        Ok(())
    }

    /// For programs: one object a figure, a ratio, and a count.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// For the page: what each check costs for a datagram that fills an Ethernet frame, and what it missed.
pub fn checks(figures: &[Figure], detection: &[Detection]) -> Vec<Check> {
    let check = |integrity: Integrity| {
        let figure = figures.iter().find(|figure| figure.name == Work::Seal.figure(integrity, FRAME))?;
        let missed = Damage::ALL.map(|damage| {
            let of = detection.iter().filter(|it| it.integrity == integrity && it.damage == damage);
            let (damaged, unnoticed) = of.fold((0, 0), |sum, it| (sum.0 + it.corruptions, sum.1 + it.undetected));
            Missed { damage: damage.name().into(), damaged, unnoticed }
        });
        Some(Check { name: integrity.name().into(), cost: FRAME as f64 / figure.p50 / 1e6, missed: missed.into() })
    };
    Integrity::ALL.into_iter().filter_map(check).collect()
}

/// Bytes of an Ethernet frame's datagram.
const FRAME: usize = 1_472;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{detection, speed};

    #[test]
    fn the_report_has_every_figure_and_every_count() {
        let plan = Plan { rounds: 1, corruptions: 10, seed: 3 };
        let report = Report::new(plan, speed::measure(plan, || {}), detection::measure(plan, |_, _| {}));
        let table = report.table();
        assert_eq!(table.lines().filter(|line| line.starts_with("copy") || line.starts_with("check")).count(), 7);
        for damage in Damage::ALL {
            assert_eq!(table.lines().filter(|line| line.contains(damage.name())).count(), Contents::ALL.len());
        }
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["config"]["seed"], 3);
        assert!(json["config"]["kernel"].is_string());
        assert_eq!(json["ratios"].as_array().map(Vec::len), Some(9));
        let first = &json["detection"][0];
        assert_eq!((&first["contents"], &first["damage"]), (&"random".into(), &"single_bit".into()));
        assert_eq!((&first["integrity"], &first["undetected"]), (&"none".into(), &10.into()));
    }
}
