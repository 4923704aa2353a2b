//! Seeds that are run each time: a hundred of all kinds, and those that once showed something.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sim::{Options, Report, run, trace};

fn of(nodes: usize) -> Options<'static> {
    Options { nodes: Some(nodes), ..Options::default() }
}

fn check(report: &Report) {
    assert!(report.verdict.is_ok(), "seed {}: {}", report.seed, report.verdict.as_ref().unwrap_err());
    assert!(report.counts(), "seed {} does not count: {:?}", report.seed, report.faults);
}

#[test]
fn a_hundred_clusters_of_2_to_64_nodes_keep_all_rules_and_finish() {
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < 100) {
                    check(&run(seed, &Options::default()));
                }
            });
        }
    });
}

#[test]
fn the_largest_cluster_keeps_all_rules_and_finishes() {
    check(&run(7, &of(64)));
}

#[test]
fn a_seed_gives_the_same_run_each_time_and_traced_or_not() {
    for seed in [1, 2, 3] {
        let [first, second] = [(); 2].map(|()| run(seed, &of(4)));
        let mut lines = 0;
        let traced = trace(seed, &of(4), &mut |_| lines += 1);
        assert_eq!(first.trace_hash, second.trace_hash);
        assert_eq!(first.trace_hash, traced.trace_hash);
        assert_eq!((first.simulated, first.datagrams), (traced.simulated, traced.datagrams));
        assert!(lines > 1_000);
    }
    assert_ne!(run(1, &of(4)).trace_hash, run(2, &of(4)).trace_hash);
}

#[test]
fn a_node_that_speaks_to_one_that_just_died_names_the_death_and_not_the_failed_send() {
    // In each of them the word that a session has ended stands in the same batch behind a message whose answer goes there.
    for seed in [3230, 3494, 3743] {
        check(&run(seed, &Options::default()));
    }
}
