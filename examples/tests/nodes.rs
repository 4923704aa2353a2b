//! The programs over shared memory, as several real processes, on good links and on bad ones.

mod common;

use common::{bad_link, last_line, run};
use examples::jacobi::Plate;
use rpc::impair::Impairments;

const HELLO: &str = env!("CARGO_BIN_EXE_hello");
const COUNTER: &str = env!("CARGO_BIN_EXE_counter");
const JACOBI: &str = env!("CARGO_BIN_EXE_jacobi");
const TSP: &str = env!("CARGO_BIN_EXE_tsp");

#[test]
fn node_0_reads_what_every_node_wrote() {
    let output = run(4, HELLO, &[], Impairments::default());
    let expected: Vec<String> = (0..4).map(|node| format!("hello from node {node} of 4")).collect();
    assert_eq!(output.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_program_that_nobody_launched_is_a_job_of_one_node() {
    let alone = |program: &str, args: &[&str]| {
        let output = std::process::Command::new(program).args(args).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(alone(HELLO, &[]), "hello from node 0 of 1\n");
    assert!(last_line(&alone(TSP, &["--instance", "burma14"])).ends_with("as published"));
    let expected = format!("checksum {:016x}", Plate::solve(30, 20).checksum());
    assert_eq!(last_line(&alone(JACOBI, &["--size", "30", "--iterations", "20"])), expected);
}

#[test]
fn under_a_lock_and_with_fetch_add_no_addition_is_lost() {
    // The program itself fails when one is.
    let output = run(3, COUNTER, &["--increments", "200"], Impairments::default());
    for way in ["lock", "fetch_add"] {
        let line = output.lines().find(|line| line.split_whitespace().next() == Some(way)).unwrap_or_default();
        assert_eq!(line.split_whitespace().skip(1).take(3).collect::<Vec<_>>(), ["600", "600", "0"], "{output}");
    }
}

#[test]
fn the_plate_is_the_same_to_the_last_bit_on_however_many_nodes() {
    // More nodes than it has rows, too: some then have none.
    for (nodes, size, iterations) in [(1, 60, 40), (2, 60, 40), (3, 61, 40), (4, 100, 30), (8, 5, 20)] {
        let expected = format!("checksum {:016x}", Plate::solve(size, iterations).checksum());
        let args = ["--size", &size.to_string(), "--iterations", &iterations.to_string()];
        let output = run(nodes, JACOBI, &args, Impairments::default());
        assert_eq!(last_line(&output), expected, "{nodes} nodes:\n{output}");
    }
}

#[test]
fn the_plate_is_the_same_over_links_that_lose_double_reorder_and_spoil() {
    let expected = format!("checksum {:016x}", Plate::solve(60, 30).checksum());
    for (seed, nodes) in [(1, 2), (2, 3), (3, 4)] {
        let output = run(nodes, JACOBI, &["--size", "60", "--iterations", "30"], bad_link(seed));
        assert_eq!(last_line(&output), expected, "{nodes} nodes, seed {seed}:\n{output}");
    }
}

#[test]
fn every_instance_is_solved_to_its_published_optimum_by_several_nodes() {
    // The program itself fails when the length is another.
    for (nodes, instance) in [(1, "gr17"), (2, "burma14"), (3, "gr17"), (3, "bays29"), (4, "bays29")] {
        let output = run(nodes, TSP, &["--instance", instance], Impairments::default());
        assert!(last_line(&output).ends_with("as published"), "{output}");
        assert!(output.contains(&format!("by {nodes} workers")), "{output}");
    }
}

#[test]
fn the_optimum_is_the_same_over_links_that_lose_double_reorder_and_spoil() {
    for (seed, nodes) in [(4, 2), (5, 3), (6, 4)] {
        let output = run(nodes, TSP, &["--instance", "gr17"], bad_link(seed));
        assert!(last_line(&output).ends_with("as published"), "{nodes} nodes, seed {seed}:\n{output}");
    }
}
