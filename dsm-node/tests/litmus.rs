//! `dsm-node litmus` on real processes.

mod guarded;
#[path = "../../dsm-core/tests/turn/mod.rs"]
mod turn;

use std::path::PathBuf;
use std::process::Output;

use turn::one_at_a_time;

fn litmus(args: &[&str]) -> Output {
    let _turn = one_at_a_time();
    guarded::dsm_node(&[&["litmus"], args].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of its own in the build directory.
fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn every_test_of_the_product_holds_in_every_placement() {
    let json = scratch("litmus.json");
    // The most placements of a test are 120.
    let output = litmus(&["--iterations", "120", "--seed", "1", "--json", json.to_str().unwrap()]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&report["seed"], &report["runs"], &report["violations"]), (&1.into(), &(19 * 120).into(), &0.into()));
    let tests = report["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 19);
    for test in tests {
        let runs: u64 = test["states"].as_array().unwrap().iter().map(|state| state["runs"].as_u64().unwrap()).sum();
        assert_eq!(runs, 120, "{test}");
        assert!(out.contains(test["name"].as_str().unwrap()), "{out}");
    }
}

#[test]
fn a_state_that_the_file_does_not_allow_is_told_with_its_seed_and_placement() {
    // The oracle is the file's list: with its right state left out, every run is a violation.
    let file = scratch("wrong.json");
    let wrong = r#"[{"name": "Wrong", "threads": [[{"store": "x", "value": 1}], [{"load": "x", "into": "a"}]],
        "forbidden": "x==0", "allowed": [{"a": 5, "x": 1}], "reachable_under_tso": false}]"#;
    std::fs::write(&file, wrong).unwrap();
    let output = litmus(&[file.to_str().unwrap(), "--iterations", "12", "--seed", "5"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}\n{}", text(&output.stderr));
    for words in ["VIOLATION of Wrong in 12 of 12 runs, seed 5", "home 0, owned by a writer", "x=1 (not allowed)"] {
        assert!(out.contains(words), "no {words:?} in\n{out}");
    }
    assert!(out.contains("wrong.json --only Wrong --iterations 12 --seed 5"), "{out}");
}

#[test]
fn a_file_that_is_none_is_refused_before_anything_runs() {
    let (missing, broken) = (scratch("missing.json"), scratch("broken.json"));
    std::fs::write(&broken, "[{\"name\": 7}]").unwrap();
    for (args, words) in [
        (vec![missing.to_str().unwrap()], "cannot read"),
        (vec![broken.to_str().unwrap()], "not a list of litmus tests"),
        (vec!["--only", "Nonesuch"], "has no test \"Nonesuch\"; it has CoWW"),
        (vec!["--json", "/nonesuch/litmus.json"], "cannot write /nonesuch/litmus.json"),
    ] {
        let output = litmus(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(words), "{args:?}: {}", text(&output.stderr));
    }
}
