//! The two halves of a session, explored completely: every order of sending, of timers and of acknowledgements over a network
//! that loses, duplicates and reorders.

mod drain;
mod halves;
mod wild;

use std::fmt::Debug;
use std::hash::Hash;
use std::io::{self, Write};

use halves::Session;
use rpc::planted::Bug;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use wild::Wild;

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

/// One message in one fragment, two in two each.
const MESSAGES: [&str; 3] = ["a", "bcd", "efg"];

#[test]
fn messages_arrive_exactly_once() {
    explore("session: 3 messages of 5 fragments, 2 in each of 5 datagrams", Session::new(&MESSAGES, 2, 5));
}

#[test]
fn a_message_that_is_passed_by_three_datagrams_is_sent_again() {
    explore("session: 2 messages of 4 fragments, 1 in each of 5 datagrams", Session::new(&["abc", "def"], 1, 5));
}

#[test]
fn wild_fragments_do_no_harm() {
    explore("receiver: wild fragments", Wild { bug: None });
}

#[test]
fn a_broken_rule_of_the_halves_is_seen() {
    let session = |bug| Session { bug, ..Session::new(&MESSAGES, 2, 5) };
    assert_eq!(violation(session(None)), None);
    assert_eq!(violation(Wild { bug: None }), None);
    for &bug in Bug::ALL.iter().filter(|bug| bug.is_of_a_half()) {
        print!("{}: ", bug.name());
        let found = match bug {
            // An honest sender makes no fragment that this would matter for.
            Bug::FragmentBoundsUnchecked => violation(Wild { bug: Some(bug) }),
            _ => violation(session(Some(bug))),
        };
        assert!(found.is_some(), "{bug:?} is not noticed");
    }
}
