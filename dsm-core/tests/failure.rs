//! Nodes die, stop and misbehave: the others end, and say why.

mod common;

use common::{Ended, Transcript, run, run_with, spec};
use dsm_core::EXIT_PEER_LOST;
use dsm_core::launch::NodeEnd;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The process of node `rank`, once every node is ready.
fn ready(output: &Transcript, nodes: usize, rank: usize) -> Pid {
    let label = format!("[{rank}] ready pid=");
    output.wait_for(|text| {
        let ready = text.lines().filter(|line| line.contains("] ready pid=")).count();
        let pid = text.lines().find_map(|line| line.strip_prefix(&label)?.parse().ok());
        pid.filter(|_| ready == nodes).map(Pid::from_raw)
    })
}

/// Runs a job of three nodes that wait in some way, and sends `signal` to node 1 when all do.
fn strike(how: &str, signal: Signal) -> (Ended, Pid) {
    let mut struck = None;
    let ended = run_with(spec(3, &format!("wait {how}")), |output| {
        let pid = ready(&output, 3, 1);
        kill(pid, signal).unwrap();
        struck = Some(pid);
    });
    (ended, struck.unwrap())
}

/// The nodes that were not struck ended by themselves with the status for this, and named node 1 and its process.
fn expect_survivors_to_name(ended: &Ended, struck: Pid, how: &str) {
    for rank in [0, 2] {
        let node = &ended.outcome.nodes[rank];
        assert_eq!(node.end, NodeEnd::Exited(EXIT_PEER_LOST), "{how}: node {rank}\n{}", ended.stderr);
        assert!(!node.by_launcher, "{how}: node {rank} had to be ended\n{}", ended.stderr);
        let words = format!("[{rank}] dsm: node {rank}: lost node 1 (pid {struck}");
        assert!(ended.stderr.contains(&words), "{how}: no {words:?} in\n{}", ended.stderr);
    }
    assert_ne!(ended.outcome.status(), 0);
}

#[test]
fn a_killed_node_is_named_by_all_others_whatever_they_wait_for() {
    for how in ["fault", "lock", "barrier", "compute", "finalize"] {
        let (ended, struck) = strike(how, Signal::SIGKILL);
        assert_eq!(ended.outcome.nodes[1].end, NodeEnd::Signaled(Signal::SIGKILL as i32));
        expect_survivors_to_name(&ended, struck, how);
    }
}

#[test]
fn a_stopped_node_is_dead_to_the_others_and_nothing_of_it_remains() {
    let (ended, struck) = strike("fault", Signal::SIGSTOP);
    expect_survivors_to_name(&ended, struck, "stopped");
    assert_eq!(kill(struck, None), Err(nix::errno::Errno::ESRCH));
}

#[test]
fn nodes_in_different_collective_calls_are_told() {
    let ended = run(spec(2, "mismatch"));
    assert_ne!(ended.outcome.status(), 0);
    assert!(ended.stderr.contains("same collective calls"), "{}", ended.stderr);
}

#[test]
fn a_node_that_leaves_without_finalizing_fails_the_job() {
    let ended = run(spec(3, "deserter"));
    assert_ne!(ended.outcome.status(), 0);
    assert!(ended.stderr.contains("without finalize"), "{}", ended.stderr);
    for rank in [1, 2] {
        assert!(ended.stderr.contains(&format!("[{rank}] dsm: node {rank}: lost node 0")), "{}", ended.stderr);
    }
}
