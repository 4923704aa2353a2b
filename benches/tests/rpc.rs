//! `dsm-bench rpc` on real processes, without the peers.

use std::process::Command;

use benches::rpc::stack::Stack;
use serde_json::Value;
use yardstick::plan::names;

/// The figures that every stack of this program has.
fn expected(stack: Stack) -> Vec<String> {
    let name = stack.to_string();
    let mut figures = vec![names::null_call(&name), names::processor(&name), names::result(&name)];
    if matches!(stack, Stack::Udp { .. }) {
        figures.extend([names::bulk(&name), names::datagrams(&name)]);
    } else {
        figures.extend([1, 8, 64, 1_000].map(|outstanding| names::rate(&name, outstanding)));
        figures.push(names::processor_busy(&name));
    }
    if matches!(stack, Stack::Ours(ours) if !ours.futures) {
        figures.push(names::datagrams(&name));
    }
    figures
}

#[test]
fn a_quick_round_without_peers_gives_every_figure() {
    let file = std::env::temp_dir().join(format!("dsm-bench-rpc-{}.json", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsm-bench"));
    let output = command.args(["rpc", "--quick", "--no-peers", "--json"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let _ = std::fs::remove_file(&file);

    assert!(json["config"]["kernel"].is_string());
    let figures = json["figures"].as_array().unwrap();
    for name in Stack::ALL.into_iter().filter(|stack| !stack.is_peer()).flat_map(expected) {
        let figure = figures.iter().find(|figure| figure["name"] == name.as_str());
        let figure = figure.unwrap_or_else(|| panic!("{name} is missing"));
        for percentile in ["p10", "p50", "p90", "p99"] {
            assert!(figure[percentile].as_f64().is_some_and(f64::is_finite), "{figure}");
        }
    }
    let ratios = json["ratios"].as_array().unwrap();
    let ratio = |name: &str| ratios.iter().find(|ratio| ratio["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let held = ratio("null_call_rpc_plain_sleeping_to_null_call_udp_sleeping");
    assert!(held["bar"]["at_most"].is_number() && held["holds"].is_boolean(), "{held}");
    // On a busy machine there are acknowledgements that did not want to wait, too.
    let datagrams = ratio(&names::datagrams("rpc_plain_sleeping"));
    assert!(datagrams["ratio"].as_f64().is_some_and(|ratio| ratio >= 2.0), "{datagrams}");
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("at most 1.2"), "{table}");
}

#[test]
fn an_unknown_stack_is_refused_with_those_that_there_are() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsm-bench"));
    let output = command.args(["rpc", "--stacks", "pigeon"]).output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("pigeon") && words.contains("udp_sleeping") && words.contains("quinn"), "{words}");
}
