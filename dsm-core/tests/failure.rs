//! Nodes die, stop and misbehave: the others end, and say why.

mod common;

use common::{Ended, Transcript, run, run_watching, run_with, spec};
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
fn a_stopped_node_that_wakes_when_the_others_have_gone_ends_by_itself() {
    for how in ["fault", "compute", "barrier"] {
        let ended = run_watching(spec(3, &format!("wait {how}")), |job| {
            let pid = ready(&job.stdout, 3, 1);
            kill(pid, Signal::SIGSTOP).unwrap();
            for rank in [0, 2] {
                job.stderr
                    .wait_for(|text| text.contains(&format!("[{rank}] dsm: node {rank}: lost node 1")).then_some(()));
            }
            kill(pid, Signal::SIGCONT).unwrap();
        });
        let woken = &ended.outcome.nodes[1];
        assert_eq!((woken.end, woken.by_launcher), (NodeEnd::Exited(EXIT_PEER_LOST), false), "{how}\n{}", ended.stderr);
        assert!(ended.stderr.contains("[1] dsm: node 1: "), "{how}\n{}", ended.stderr);
    }
}

#[test]
fn a_node_that_is_alone_may_be_stopped_for_as_long_as_one_likes() {
    run_with(spec(1, "nap"), |output| {
        let pid = ready(&output, 1, 0);
        kill(pid, Signal::SIGSTOP).unwrap();
        // Longer than any silence that nodes accept from each other.
        std::thread::sleep(std::time::Duration::from_secs(4));
        kill(pid, Signal::SIGCONT).unwrap();
    })
    .expect_success("nap");
}

#[test]
fn a_node_may_be_killed_at_any_moment() {
    let mut failed = 0;
    for moment in 0..24u64 {
        let victim = (moment % 3) as usize;
        let mut killed = None;
        // Some moments fall before the first line of the program, some while it joins, works and leaves, some after its end.
        let ended = run_watching(spec(3, "shared 2 12 2"), |job| {
            std::thread::sleep(std::time::Duration::from_millis(moment * 3 / 2));
            let _ = kill(job.pids[victim], Signal::SIGKILL);
            killed = Some(job.pids[victim]);
        });
        let words = format!("node {victim} (pid {}", killed.unwrap());
        let is_killed = ended.outcome.nodes[victim].end == NodeEnd::Signaled(Signal::SIGKILL as i32);
        failed += usize::from(is_killed);
        assert_eq!(ended.outcome.status() != 0, is_killed, "moment {moment}: {:?}\n{}", ended.outcome, ended.stderr);
        for node in ended.outcome.nodes.iter().filter(|node| node.rank != victim && node.end != NodeEnd::Exited(0)) {
            let told = ended
                .stderr
                .lines()
                .any(|line| line.starts_with(&format!("[{}] ", node.rank)) && line.contains(&words));
            assert!(told && !node.by_launcher, "moment {moment}: {node:?} did not name {words:?}\n{}", ended.stderr);
        }
        for wrong in ["went from", "are left", "panicked"] {
            assert!(!ended.stderr.contains(wrong), "moment {moment}\n{}", ended.stderr);
        }
    }
    assert!(failed > 0, "every job was over before a node could be killed");
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
