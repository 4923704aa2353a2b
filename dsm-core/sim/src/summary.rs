//! Many runs at a glance.

use std::fmt;

use crate::report::Report;

/// The distributions of many runs.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    runs: u64,
    counting: u64,
    deaths: [u64; 4],
    measures: Vec<Measure>,
}

/// One number of each run.
#[derive(Clone, Debug)]
struct Measure {
    name: &'static str,
    values: Vec<u64>,
}

impl Summary {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.counting += u64::from(report.counts());
        if let Some(manner) = report.death {
            self.deaths[manner as usize] += 1;
        }
        self.put("nodes", report.scenario.nodes as u64);
        self.put("loads and stores", report.operations);
        self.put("messages", report.messages);
        self.put("datagrams", report.datagrams);
        self.put("retransmissions", report.retransmissions);
        for (kind, count) in report.faults.of_the_network() {
            self.put(kind, count);
        }
        self.put("pauses of nodes", report.faults.pauses);
        self.put("simulated time, ms", report.simulated.as_millis() as u64);
        if let Some(time) = report.finished_after {
            self.put("healed to finished, ms", time.as_millis() as u64);
        }
        if let Some(time) = report.noticed_after {
            self.put("death to noticed, ms", time.as_millis() as u64);
        }
    }

    /// How many runs there were.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// How many of them count.
    pub fn counting(&self) -> u64 {
        self.counting
    }

    fn put(&mut self, name: &'static str, value: u64) {
        match self.measures.iter_mut().find(|measure| measure.name == name) {
            Some(measure) => measure.values.push(value),
            None => self.measures.push(Measure { name, values: vec![value] }),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [silent, refusing, replaced, stopped] = self.deaths;
        let dead: u64 = self.deaths.iter().sum();
        writeln!(f, "{} runs, {} of them count", self.runs, self.counting)?;
        writeln!(
            f,
            "{dead} with a death: {silent} silent, {refusing} refusing, {replaced} replaced, {stopped} stopped for too long"
        )?;
        writeln!(
            f,
            "{:24}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "of each run", "least", "median", "9 of 10", "most", "runs with"
        )?;
        for Measure { name, values } in &self.measures {
            let mut values = values.clone();
            values.sort_unstable();
            let at = |part: usize| values.get((values.len() - 1) * part / 10).copied().unwrap_or(0);
            let with = values.iter().filter(|value| **value > 0).count();
            writeln!(f, "{name:24}{:>10}{:>10}{:>10}{:>10}{with:>10}", at(0), at(5), at(9), at(10))?;
        }
        Ok(())
    }
}
