//! The launcher's rendezvous, met by real processes: this test program launches itself, and the test `node` is what they run.

mod turn;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dsm_core::EXIT_PEER_LOST;
use dsm_core::job::Job;
use dsm_core::launch::rendezvous::RendezvousClient;
use dsm_core::launch::{self, Cause, JobSpec, LaunchError, NodeEnd, Outcome, Sinks};
use nix::sys::signal::{Signal, raise};
use rpc::{Client, ClientConfig};
use turn::one_at_a_time;

/// What the variable `PART` asks a node to do.
const PART: &str = "TEST_PART";

/// Does nothing unless a launcher started this process: then it is a node.
#[test]
fn node() {
    let Some(job) = Job::from_env().unwrap() else { return };
    let config = ClientConfig { timeout: Duration::from_secs(60), ..ClientConfig::new(job.security().unwrap()) };
    let launcher = RendezvousClient::new(Client::connect(job.launcher.unwrap(), config).unwrap());
    let rank = job.rank as u32;
    let addr = SocketAddr::from(([127, 0, 0, 1], 4000 + job.rank as u16));
    match (std::env::var(PART).unwrap().as_str(), rank) {
        ("dies before joining", 1) => std::process::exit(9),
        ("leaves before joining", 1) => std::process::exit(0),
        ("stops before joining", 1) => raise(Signal::SIGSTOP).unwrap(),
        ("takes another's rank", 1) => {
            let refusal = launcher.join(7, addr, 1).unwrap_err();
            println!("refused: {refusal}");
            std::process::exit(4);
        }
        _ => {}
    }
    let roster = match launcher.join(rank, addr, std::process::id()) {
        Ok(roster) => roster,
        Err(why) => {
            println!("not joined: {why}");
            std::process::exit(EXIT_PEER_LOST);
        }
    };
    let ports: Vec<u16> = roster.nodes.iter().map(|node| node.addr.port()).collect();
    println!("roster: {ports:?}");
    assert_eq!(roster.nodes[job.rank].pid, std::process::id());
    match (std::env::var(PART).unwrap().as_str(), rank) {
        ("deserts", 1) => std::process::exit(0),
        ("stops before leaving", 1) => raise(Signal::SIGSTOP).unwrap(),
        _ => {}
    }
    if let Err(why) = launcher.finalized(rank) {
        println!("not left: {why}");
        std::process::exit(EXIT_PEER_LOST);
    }
}

/// A sink that can be read afterwards.
#[derive(Clone, Default)]
struct Caught(Arc<Mutex<Vec<u8>>>);

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Launches `nodes` copies of the test above that play `part`; returns how it ended and the lines of both sinks.
fn launch(nodes: usize, part: &str) -> (Outcome, String) {
    let _turn = one_at_a_time();
    let caught = Caught::default();
    let mut spec = JobSpec::new(nodes, std::env::current_exe().unwrap());
    spec.args = ["node", "--exact", "--nocapture"].map(Into::into).to_vec();
    spec.env = vec![(PART.into(), part.into())];
    let sinks = Sinks { stdout: Box::new(caught.clone()), stderr: Box::new(caught.clone()) };
    let outcome = launch::run(spec, sinks).unwrap();
    let text = String::from_utf8_lossy(&caught.0.lock().unwrap()).into_owned();
    (outcome, text)
}

#[test]
fn every_node_gets_the_roster_and_all_leave_together() {
    let (outcome, text) = launch(3, "plain");
    assert_eq!((outcome.status(), &outcome.cause), (0, &Cause::Nodes), "{text}");
    for rank in 0..3 {
        assert!(text.contains(&format!("[{rank}] roster: [4000, 4001, 4002]")), "{text}");
    }
}

#[test]
fn the_nodes_that_wait_are_told_which_node_died_before_it_joined() {
    let (outcome, text) = launch(3, "dies before joining");
    assert_eq!(outcome.nodes[1].end, NodeEnd::Exited(9));
    for rank in [0, 2] {
        let told = format!("[{rank}] not joined: node 1 (pid {}) exited with status 9", outcome.nodes[1].pid);
        assert!(text.contains(&told), "{text}");
        assert_eq!(outcome.nodes[rank].end, NodeEnd::Exited(EXIT_PEER_LOST));
    }
    assert_eq!(outcome.status(), EXIT_PEER_LOST);
    assert!(outcome.nodes.iter().all(|node| !node.by_launcher), "{outcome:?}");
}

#[test]
fn the_nodes_that_wait_are_told_which_node_was_stopped() {
    for (part, waiting) in [("stops before joining", "not joined"), ("stops before leaving", "not left")] {
        let (outcome, text) = launch(3, part);
        for rank in [0, 2] {
            let told = format!("[{rank}] {waiting}: node 1 (pid {}) has been stopped for 3.5s", outcome.nodes[1].pid);
            assert!(text.contains(&told), "{text}");
            assert_eq!(outcome.nodes[rank].end, NodeEnd::Exited(EXIT_PEER_LOST));
            assert!(!outcome.nodes[rank].by_launcher);
        }
        assert_eq!(outcome.nodes[1].end, NodeEnd::Signaled(Signal::SIGKILL as i32));
        assert_eq!(outcome.status(), EXIT_PEER_LOST);
    }
}

#[test]
fn a_node_that_ends_well_without_joining_is_not_waited_for() {
    let (outcome, text) = launch(2, "leaves before joining");
    assert!(text.contains("[0] not joined: node 1"), "{text}");
    assert_eq!(outcome.status(), EXIT_PEER_LOST);
}

#[test]
fn a_rank_that_is_not_in_the_job_is_refused() {
    let (outcome, text) = launch(2, "takes another's rank");
    assert!(text.contains("[1] refused: there is no node 7 in a job of 2"), "{text}");
    assert_eq!(outcome.nodes[1].end, NodeEnd::Exited(4));
}

#[test]
fn a_node_that_exits_without_finalizing_has_deserted_whatever_its_status() {
    let (outcome, text) = launch(2, "deserts");
    assert_eq!(outcome.nodes[1].end, NodeEnd::Deserted);
    assert!(text.contains("dsm-node: node 1 (pid") && text.contains("never finalized"), "{text}");
    assert!(text.contains("[0] not left: node 1"), "{text}");
    assert_eq!(outcome.status(), EXIT_PEER_LOST);
}

#[test]
fn the_launcher_takes_no_address_that_a_node_is_to_have() {
    let _turn = one_at_a_time();
    // Below those that the kernel gives to whoever asks for any.
    let addr = SocketAddr::from(([127, 0, 0, 1], 10_000 + (std::process::id() % 20_000) as u16));
    let mut spec = JobSpec::new(1, "true");
    (spec.bind, spec.listen) = (addr, addr);
    let sinks = Sinks { stdout: Box::new(Caught::default()), stderr: Box::new(Caught::default()) };
    let refused = launch::run(spec, sinks);
    assert!(matches!(&refused, Err(LaunchError::Rendezvous { addr: taken, .. }) if *taken == addr), "{refused:?}");
}
