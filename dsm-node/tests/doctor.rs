//! `dsm-node doctor`: what it finds, here and under limits that keep a job from running.

use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dsm-node");

/// `dsm-node ARGS` with a limit set by the shell.
fn limited(limit: &str, args: &str) -> Output {
    Command::new("sh").arg("-c").arg(format!("{limit}; exec {PROGRAM} {args}")).output().unwrap()
}

#[test]
fn a_machine_that_runs_the_other_tests_is_found_fit() {
    let output = limited(":", "doctor");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for topic in ["kernel", "userfaultfd", "receive buffer", "send buffer", "memory", "region"] {
        assert!(text.contains(topic), "no {topic} in\n{text}");
    }
    assert!(!text.lines().any(|line| line.starts_with("missing")), "{text}");
}

#[test]
fn what_keeps_a_job_from_running_is_named_with_its_remedy_and_by_the_status() {
    for (limit, remedy) in [("ulimit -v 8000000", "ulimit -v unlimited"), ("ulimit -f 1000", "ulimit -f unlimited")] {
        let output = limited(limit, "doctor");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{limit}:\n{text}");
        assert!(text.contains("missing") && text.contains(remedy), "{limit}:\n{text}");
        assert!(text.contains("Jobs cannot run here"), "{limit}:\n{text}");
    }
}

#[test]
fn a_smaller_region_runs_where_a_large_one_does_not_fit() {
    let output = limited("ulimit -v 8000000", "doctor --region 1GiB");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}
