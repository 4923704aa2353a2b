//! The protocols, explored completely: every order of what the programs do, of expiring holds and of messages, each message
//! delivered any number of times.
//!
//! What a program does to pages is to fault, to store, and to give hints of what it will read. It may also give none, so a model with
//! hints has every state of the one without.
//!
//! Nodes that are not the home are alike, and so are homes: a model with the home at node 0 stands for the one with the
//! home anywhere. With three nodes and one page this is tried, too: wherever the home is, there are as many states.

mod barrier;
mod drain;
mod events;
mod invariants;
mod locks;
mod pages;
mod planted;

use std::fmt::Debug;
use std::hash::Hash;
use std::io::{self, Write};

use stateright::{Checker, Model};

fn with_hints(nodes: usize, homes: &[usize], requests: u8) -> pages::Cluster {
    pages::Cluster { hints: true, ..pages::Cluster::new(nodes, homes, requests) }
}

/// With pages that migrate; the last node has them.
fn in_turn(nodes: usize, homes: &[usize], requests: u8) -> pages::Cluster {
    pages::Cluster { in_turn: true, ..pages::Cluster::new(nodes, homes, requests) }
}

fn explore<M: Model + Send + Sync + 'static>(name: &str, model: M)
where
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = model.checker().threads(2).spawn_bfs().join();
    let (total, unique) = (checker.state_count(), checker.unique_state_count());
    // Past the test harness, which keeps what a test that passes prints: how much was explored is what it is worth.
    let _ = writeln!(io::stderr(), "{name}: {total} states, {unique} unique, depth {}", checker.max_depth());
    checker.assert_properties();
}

#[test]
fn two_nodes_share_a_page() {
    explore("pages: 2 nodes, 1 page, 2 requests or hints each", with_hints(2, &[0], 2));
    explore("pages: 2 nodes, 1 page, 3 requests or hints each", with_hints(2, &[0], 3));
}

#[test]
fn two_nodes_share_two_pages() {
    explore("pages: 2 nodes, 2 pages of one home, 2 requests or hints each", with_hints(2, &[0, 0], 2));
    explore("pages: 2 nodes, 2 pages of two homes, 2 requests or hints each", with_hints(2, &[0, 1], 2));
}

#[test]
fn three_nodes_share_a_page() {
    explore("pages: 3 nodes, 1 page, 2 requests or hints each", with_hints(3, &[0], 2));
}

#[test]
fn three_nodes_share_a_page_wherever_its_home_is() {
    for home in 1..3 {
        explore(
            &format!("pages: 3 nodes, 1 page at home at node {home}, 2 requests each"),
            pages::Cluster::new(3, &[home], 2),
        );
    }
}

#[test]
fn nodes_write_a_page_in_turn() {
    for home in 0..2 {
        let name = format!("pages: 2 nodes, 1 page in turn at home at node {home}, 3 requests or hints each");
        explore(&name, pages::Cluster { hints: true, ..in_turn(2, &[home], 3) });
    }
}

#[test]
fn three_nodes_write_a_page_in_turn() {
    explore("pages: 3 nodes, 1 page in turn, 2 requests each", in_turn(3, &[0], 2));
}

#[test]
fn three_nodes_share_a_lock() {
    explore("locks: 3 nodes, 2 threads each", locks::Cluster::new(3, 2));
}

#[test]
fn nodes_meet_at_a_barrier() {
    for nodes in 2..=4 {
        explore(&format!("barrier: {nodes} nodes, 2 generations"), barrier::Cluster::new(nodes, 2));
    }
}
