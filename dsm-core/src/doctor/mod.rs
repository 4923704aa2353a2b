//! Looks at this machine and says what keeps a job from running, what makes it slow, and what to do about it.
//!
//! [`examine`] tries what it can try (it makes a region, takes faults in it, sends datagrams to itself) and reads the rest
//! from the kernel. It prints nothing; each [`Finding`] carries its own words.

mod faults;
mod limits;
mod machine;
mod memory;
mod network;
mod text;

use crate::mem::BASE_DEFAULT;
use std::fmt;

/// What a job on this machine would ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of address space of the region.
    pub region_bytes: u64,
    /// Where the region begins.
    pub base: usize,
    /// Bytes of send and of receive buffer asked for each socket.
    pub socket_buffer_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { region_bytes: 64 << 30, base: BASE_DEFAULT, socket_buffer_bytes: 4 << 20 }
    }
}

/// How good one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// As it should be.
    Fine,
    /// Jobs run, but slower or with less than they could have.
    Degraded,
    /// Jobs cannot run.
    Missing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Fine => "fine",
            State::Degraded => "degraded",
            State::Missing => "missing",
        })
    }
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The thing, in one or two words.
    pub topic: &'static str,
    /// How good it is.
    pub state: State,
    /// What was seen, and what it means.
    pub what: String,
    /// What to do: a command where there is one. Absent when all is fine, or nothing can be done.
    pub remedy: Option<String>,
}

impl Finding {
    fn fine(topic: &'static str, what: impl Into<String>) -> Finding {
        Finding { topic, state: State::Fine, what: what.into(), remedy: None }
    }

    fn degraded(topic: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { topic, state: State::Degraded, what: what.into(), remedy: Some(remedy.into()) }
    }

    fn missing(topic: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { topic, state: State::Missing, what: what.into(), remedy: Some(remedy.into()) }
    }
}

/// Examines everything, in the order in which it matters. Takes well under a second unless something is broken, and a few
/// seconds then. Makes a region at [`Options::base`], so it is not for a process that has one.
pub fn examine(options: &Options) -> Vec<Finding> {
    let mut findings = vec![machine::kernel(), machine::processor(), machine::cores()];
    findings.push(faults::permission());
    findings.extend(limits::address_space(options.region_bytes));
    findings.extend(limits::file_size(options.region_bytes));
    findings.extend(faults::region(options));
    findings.extend(memory::all());
    findings.push(limits::descriptors());
    findings.push(limits::mappings());
    findings.push(network::loopback());
    findings.extend(network::buffers(options.socket_buffer_bytes));
    findings
}

/// Whether a job can run here: nothing that it needs is missing.
pub fn can_run(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.state != State::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_that_is_not_fine_says_what_to_do() {
        let findings =
            examine(&Options { region_bytes: 1 << 20, base: BASE_DEFAULT + (10 << 40), ..Options::default() });
        assert!(findings.len() >= 11);
        for finding in &findings {
            assert!(!finding.what.is_empty());
            assert_eq!(finding.remedy.is_none(), finding.state == State::Fine, "{finding:?}");
        }
    }

    #[test]
    fn a_job_runs_on_a_machine_that_is_merely_degraded() {
        let fine = Finding::fine("a", "b");
        let degraded = Finding::degraded("a", "b", "c");
        let missing = Finding::missing("a", "b", "c");
        assert!(can_run(&[fine.clone(), degraded.clone()]));
        assert!(!can_run(&[fine, missing, degraded]));
    }

    #[test]
    fn states_line_up_in_a_column() {
        assert_eq!(format!("{:9}|{:>9}", State::Fine, State::Degraded), "fine     | degraded");
    }
}
