//! `dsm-node doctor`: prints what this machine offers and how to mend what it lacks.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::Args;
use dsm_core::doctor::{self, Finding, Options, State};

use crate::units;

/// The status when a job cannot run here.
const CANNOT_RUN: i32 = 1;

/// Examine whether this machine can run jobs, and say how to mend what it lacks
///
/// The exit status is 0 when jobs can run here, well or badly, and 1 when they cannot.
#[derive(Args)]
pub struct Doctor {
    /// Address space of the shared memory that a job would ask for
    #[arg(long, value_name = "SIZE", default_value = "64GiB", value_parser = units::size)]
    region: u64,
}

impl Doctor {
    /// Prints the findings and returns the status to exit with.
    pub fn execute(self) -> i32 {
        let findings = doctor::examine(&Options { region_bytes: self.region, ..Options::default() });
        let can_run = doctor::can_run(&findings);
        // When nobody reads, the status is still the answer.
        let _ = io::stdout().write_all(report(&findings, can_run).as_bytes());
        if can_run { 0 } else { CANNOT_RUN }
    }
}

/// One line for each finding, its remedy below it, and the conclusion.
fn report(findings: &[Finding], can_run: bool) -> String {
    let mut text = String::new();
    for Finding { topic, state, what, remedy } in findings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{state:<9} {topic:<14} {what}");
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "{:24} -> {remedy}", "");
        }
    }
    let degraded = findings.iter().any(|finding| finding.state == State::Degraded);
    text.push_str(match (can_run, degraded) {
        (true, false) => "\nJobs run well here. Try: dsm-node run -n 2 -- PROGRAM\n",
        (true, true) => "\nJobs run here; what is degraded costs speed or comfort.\n",
        (false, _) => "\nJobs cannot run here until what is missing is mended.\n",
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_stands_below_its_finding() {
        let finding = |state, remedy: Option<&str>| Finding {
            topic: "cores",
            state,
            what: "one".to_string(),
            remedy: remedy.map(str::to_string),
        };
        let text = report(&[finding(State::Fine, None), finding(State::Missing, Some("buy one"))], false);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines[..3], ["fine      cores          one", "missing   cores          one", "-> buy one"]);
        assert!(text.ends_with("is mended.\n"));
    }
}
