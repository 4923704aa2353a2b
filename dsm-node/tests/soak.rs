//! `dsm-node soak` on real processes.

mod guarded;
#[path = "../../dsm-core/tests/turn/mod.rs"]
mod turn;

use std::process::Output;

use turn::one_at_a_time;

fn soak(args: &[&str]) -> Output {
    let _turn = one_at_a_time();
    guarded::dsm_node(&[&["soak"], args].concat())
}

#[test]
fn a_random_job_over_a_bad_network_comes_out_as_it_must() {
    let output = soak(&["--jobs", "1", "--seed", "1", "--minutes", "0.02"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    assert!(out.contains("job 0, seed 1: ") && out.contains("loss"), "{out}");
    assert!(out.contains("1 jobs, nothing wrong"), "{out}");
}

#[test]
fn a_time_that_is_none_is_refused() {
    for minutes in ["0", "-1", "soon", "NaN", "1e9"] {
        assert_eq!(soak(&["--minutes", minutes]).status.code(), Some(2), "{minutes}");
    }
}
