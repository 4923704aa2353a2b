//! Every rule that can be broken is one that the models miss: each bug is caught in a state space that is clean without it.

use std::fmt::Debug;
use std::hash::Hash;

use protocol::planted::Bug;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::{barrier, locks, pages};

/// An invariant that does not hold somewhere.
fn violation<M: Model + Send + Sync + 'static>(model: M) -> Option<&'static str>
where
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let invariants = model.properties();
    let is_invariant = |name: &&'static str| {
        invariants.iter().any(|property| property.name == *name && property.expectation == Expectation::Always)
    };
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries().into_keys().find(is_invariant);
    println!("{} states: {}", checker.unique_state_count(), found.unwrap_or("nothing found"));
    found
}

fn two_nodes(bug: Option<Bug>) -> pages::Cluster {
    pages::Cluster { bug, ..pages::Cluster::new(2, &[0], 2) }
}

fn three_nodes(bug: Option<Bug>) -> pages::Cluster {
    pages::Cluster { bug, ..pages::Cluster::new(3, &[0], 2) }
}

fn in_turn(bug: Option<Bug>) -> pages::Cluster {
    pages::Cluster { bug, in_turn: true, ..pages::Cluster::new(2, &[0], 2) }
}

/// Needs two copies that are invalidated at once, besides the writer's.
const OF_THREE_NODES: [Bug; 1] = [Bug::DuplicateAcknowledgementCounts];

/// Need a page that migrates.
const OF_PAGES_IN_TURN: [Bug; 3] = [Bug::MigratedCopyKept, Bug::MigrationNotRecorded, Bug::ExclusiveOnceShared];

#[test]
fn a_broken_rule_of_the_pages_is_seen_with_two_nodes() {
    assert_eq!(violation(two_nodes(None)), None);
    let of_pages = |bug: &&Bug| !bug.name().starts_with("Lock") && !bug.name().starts_with("Barrier");
    let is_other = |bug: &&Bug| OF_THREE_NODES.contains(bug) || OF_PAGES_IN_TURN.contains(bug);
    for &bug in Bug::ALL.iter().filter(of_pages).filter(|bug| !is_other(bug)) {
        print!("{}: ", bug.name());
        assert!(violation(two_nodes(Some(bug))).is_some(), "{bug:?} is not noticed");
    }
}

/// The same state space without the bug is explored by the test that is named for it.
#[test]
fn an_acknowledgement_that_counts_twice_is_seen_with_three_nodes() {
    for bug in OF_THREE_NODES {
        print!("{}: ", bug.name());
        assert!(violation(three_nodes(Some(bug))).is_some(), "{bug:?} is not noticed");
    }
}

#[test]
fn a_broken_rule_of_migration_is_seen_with_a_page_that_nodes_write_in_turn() {
    assert_eq!(violation(in_turn(None)), None);
    for bug in OF_PAGES_IN_TURN {
        print!("{}: ", bug.name());
        assert!(violation(in_turn(Some(bug))).is_some(), "{bug:?} is not noticed");
    }
}

#[test]
fn a_broken_rule_of_the_locks_is_seen() {
    let model = |bug| locks::Cluster { bug, ..locks::Cluster::new(3, 2) };
    assert_eq!(violation(model(None)), None);
    for &bug in Bug::ALL.iter().filter(|bug| bug.name().starts_with("Lock")) {
        print!("{}: ", bug.name());
        assert!(violation(model(Some(bug))).is_some(), "{bug:?} is not noticed");
    }
}

#[test]
fn a_broken_rule_of_the_barrier_is_seen() {
    let model = |bug| barrier::Cluster { bug, ..barrier::Cluster::new(3, 2) };
    assert_eq!(violation(model(None)), None);
    for &bug in Bug::ALL.iter().filter(|bug| bug.name().starts_with("Barrier")) {
        print!("{}: ", bug.name());
        assert!(violation(model(Some(bug))).is_some(), "{bug:?} is not noticed");
    }
}
