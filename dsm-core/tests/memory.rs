//! Several real processes, real userfaultfd, real UDP: memory that is shared and right.

mod common;

use std::time::Duration;

use common::{run, spec};
use dsm_core::mem::{BASE_DEFAULT, Region, RegionError};
use rpc::impair::Impairments;

#[test]
fn every_word_only_ever_moves_forward_with_many_threads_on_shared_pages() {
    for nodes in [1, 2, 4] {
        run(spec(nodes, "shared 3 300 2")).expect_success("shared");
    }
}

#[test]
fn memory_stays_right_over_a_bad_network() {
    for seed in 1..=3 {
        let mut job = spec(3, "shared 2 60 2");
        job.impairments =
            Impairments { loss: 0.2, duplicate: 0.05, reorder: 0.1, corrupt: 0.01, seed, ..Impairments::default() };
        run(job).expect_success(&format!("seed {seed}"));
    }
}

#[test]
fn memory_stays_right_over_a_slow_network() {
    let mut job = spec(2, "shared 2 40 1");
    job.impairments = Impairments { delay: Duration::from_millis(2), seed: 5, ..Impairments::default() };
    run(job).expect_success("delay");
}

#[test]
fn increments_under_a_lock_are_never_lost() {
    run(spec(3, "locked 100 3")).expect_success("locked");
}

#[test]
fn atomic_operations_are_performed_once_each() {
    run(spec(3, "atomic 100 2")).expect_success("atomic");
    let mut job = spec(3, "atomic 30 2");
    job.impairments = Impairments { loss: 0.2, duplicate: 0.2, seed: 3, ..Impairments::default() };
    run(job).expect_success("atomic over a bad network");
}

#[test]
fn plain_loads_and_stores_carry_a_value_round_the_nodes() {
    run(spec(3, "relay 60")).expect_success("relay");
}

#[test]
fn many_threads_may_fault_on_one_page_at_once() {
    run(spec(2, "same-page 12 8")).expect_success("same-page");
}

#[test]
fn every_placement_keeps_what_was_stored() {
    run(spec(3, "placements")).expect_success("placements");
    run(spec(1, "placements")).expect_success("placements alone");
}

#[test]
fn a_job_with_a_tebibyte_of_addresses_uses_memory_for_the_pages_that_it_touches() {
    const TEBIBYTE: u64 = 1 << 40;
    if let Err(error @ (RegionError::Open(_) | RegionError::NoRoom { .. } | RegionError::FileLimit { .. })) =
        Region::new(TEBIBYTE, BASE_DEFAULT)
    {
        eprintln!("skipped: {error}");
        return;
    }
    let mut job = spec(2, "far-apart 512");
    job.region_bytes = TEBIBYTE;
    println!("{}", run(job).expect_success("far-apart").stdout);
}

#[test]
fn collective_calls_follow_each_other_in_step() {
    run(spec(5, "collectives")).expect_success("collectives");
}

#[test]
fn eight_nodes_run_on_however_few_cores_there_are() {
    run(spec(8, "shared 2 40 1")).expect_success("eight nodes");
}

#[test]
fn what_does_not_fit_is_refused_and_the_job_goes_on() {
    let ended = run(spec(2, "too-big")).expect_success("too-big");
    assert!(ended.stdout.contains("do not fit into the shared region"), "{}", ended.stdout);
    assert!(ended.stdout.contains("--region"), "{}", ended.stdout);
}

#[test]
fn addresses_that_the_program_has_taken_are_named() {
    let ended = run(spec(2, "taken"));
    assert_eq!(ended.outcome.status(), 1);
    assert!(ended.stderr.contains("are taken in this process"), "{}", ended.stderr);
}

#[test]
fn addresses_and_locks_that_are_not_ours_are_refused() {
    run(spec(2, "wild")).expect_success("wild");
}

#[test]
fn a_process_joins_once() {
    let ended = run(spec(1, "twice")).expect_success("twice");
    assert!(ended.stdout.contains("joins once"), "{}", ended.stdout);
}

#[test]
fn a_second_thread_at_the_barrier_is_refused() {
    run(spec(2, "crowd")).expect_success("crowd");
}
