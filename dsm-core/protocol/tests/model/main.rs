//! The page protocol, explored completely: every order of faults, stores, expiring holds and messages, each message delivered any
//! number of times.

mod cluster;

use cluster::Cluster;
use protocol::NodeId;
use stateright::{Checker, Model};

fn explore(model: Cluster) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    println!(
        "{} states, {} unique, depth {}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
}

#[test]
fn two_nodes_one_page() {
    for home in 0..2 {
        explore(Cluster { nodes: 2, homes: vec![NodeId::new(home).unwrap()], requests: 2 });
    }
}

#[test]
fn three_nodes_one_page() {
    explore(Cluster { nodes: 3, homes: vec![NodeId::new(0).unwrap()], requests: 2 });
}
