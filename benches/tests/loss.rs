//! `dsm-bench loss` on real processes, without the peers.

use std::process::Command;

use benches::loss::lines::{LOSSES, label};
use benches::loss::report::OURS;
use serde_json::Value;
use yardstick::plan::names;

#[test]
fn a_quick_round_without_peers_gives_every_figure_and_nothing_runs_twice() {
    let file = std::env::temp_dir().join(format!("dsm-bench-loss-{}.json", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsm-bench"));
    let output = command.args(["loss", "--quick", "--no-peers", "--json"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let _ = std::fs::remove_file(&file);

    let figures = json["figures"].as_array().unwrap();
    let value = |name: &str| {
        let figure = figures.iter().find(|figure| figure["name"] == name);
        figure.and_then(|figure| figure["p50"].as_f64()).unwrap_or_else(|| panic!("{name} is missing"))
    };
    for loss in LOSSES {
        assert!(value(&names::goodput(OURS, &label(loss))) > 0.0);
    }
    assert_eq!(value("increments_doubled"), 0.0);
    assert_eq!(value("increments_with_a_result_that_did_not_run"), 0.0);
    assert!(value("increments_doubled_without_suppression") > 0.0, "without suppression, copies run");
    assert_eq!((value("corrupted_taken_crc32"), value("corrupted_taken_aead")), (0.0, 0.0));
    assert!(value("corrupted_taken_none") > 0.0, "without a check, damage is taken");
    assert_eq!(value("long_call_executions"), 1.0);
    for name in ["long_call_control_packets", "killed_server_known_after", "overload_peak", "overload_goodput"] {
        assert!(value(name).is_finite());
    }
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("overload_goodput_to_overload_peak") && table.contains("at least 0.85"), "{table}");
}
