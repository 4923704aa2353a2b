//! `dsm-node sim` from outside.

use std::process::{Command, Output};

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dsm-node")).arg("sim").args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn many_seeds_end_with_their_distributions() {
    let output = sim(&["--seeds", "4", "--from", "10", "--nodes", "3"]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for expected in ["4 runs, 4 of them count", "retransmissions", "simulated time, ms", "0 failed"] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}

#[test]
fn a_seed_is_replayed_message_by_message_and_always_the_same() {
    let [first, second] = [(); 2].map(|()| text(&sim(&["--seed", "42", "--nodes", "2", "--trace"])));
    assert_eq!(first, second);
    for expected in ["node 0 tells node 1: ", "node 1 hears from node 0: ", " is lost", "verdict: Ok"] {
        assert!(first.contains(expected), "{expected} is not in the trace");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for wrong in [&["--nodes", "1"][..], &["--nodes", "65"], &["--trace"], &["--seed", "1", "--seeds", "2"]] {
        assert_eq!(sim(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
