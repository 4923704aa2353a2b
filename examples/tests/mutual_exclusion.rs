//! Mutual exclusion by loads and stores, between processes and between threads, on good links and bad.

mod common;

use common::{bad_link, last_line, run};
use rpc::impair::Impairments;

const PROGRAMS: [(&str, &str); 3] = [
    ("dekker", env!("CARGO_BIN_EXE_dekker")),
    ("peterson", env!("CARGO_BIN_EXE_peterson")),
    ("bakery", env!("CARGO_BIN_EXE_bakery")),
];

/// Runs each program and expects every entry to be counted. It fails by itself where two were inside at once.
fn expect_exclusion(nodes: usize, args: &str, entries: impl Fn(&str) -> u64, impairments: Impairments) {
    for (name, program) in PROGRAMS {
        let output = run(nodes, program, &args.split_whitespace().collect::<Vec<_>>(), impairments);
        let entries = entries(name);
        let expected = format!("{name}: counted {entries} of {entries}, intrusions 0");
        assert_eq!(last_line(&output), expected, "{nodes} nodes, {args}:\n{output}");
    }
}

#[test]
fn two_processes_are_never_inside_at_once() {
    expect_exclusion(2, "--rounds 200", |_| 400, Impairments::default());
    expect_exclusion(2, "--rounds 200 --one-page", |_| 400, Impairments::default());
}

#[test]
fn two_threads_of_one_process_are_never_inside_at_once() {
    expect_exclusion(1, "--rounds 5000 --threads 2", |_| 10_000, Impairments::default());
}

#[test]
fn the_bakery_serves_threads_of_several_processes_and_the_others_two_contenders() {
    let entries = |name: &str| if name == "bakery" { 600 } else { 200 };
    expect_exclusion(3, "--rounds 100 --threads 2", entries, Impairments::default());
}

#[test]
fn nobody_comes_in_because_of_a_link_that_loses_doubles_reorders_and_spoils() {
    expect_exclusion(2, "--rounds 20", |_| 40, bad_link(7));
}
