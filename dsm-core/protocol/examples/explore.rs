//! Explores the page protocol further than the tests do:
//!
//! ```text
//! cargo run --release -p protocol --example explore -- NODES HOMES REQUESTS MINUTES [hints] [turns]
//! ```
//!
//! `HOMES` names the home of each page, as in `0,1` for two pages with two homes; `REQUESTS` is how many faults each node's
//! program causes; with `hints`, some of these may be hints of what to fetch ahead; with `turns`, nodes have read and written the
//! pages in turn before. Ends with status 1 where an invariant does not hold, and prints how.

#[path = "../tests/model/drain.rs"]
mod drain;
#[path = "../tests/model/events.rs"]
mod events;
#[path = "../tests/model/invariants.rs"]
mod invariants;
#[path = "../tests/model/pages.rs"]
mod pages;

use std::process::ExitCode;
use std::time::Duration;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

const USAGE: &str = "usage: explore NODES HOMES REQUESTS MINUTES [hints] [turns], for example: explore 3 0 3 60";

/// The model and how long to explore it.
fn arguments() -> Option<(pages::Cluster, Duration)> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [nodes, homes, requests, minutes, rest @ ..] = arguments.as_slice() else { return None };
    let (hints, turns) = ("hints".to_string(), "turns".to_string());
    let nodes = nodes.parse().ok().filter(|nodes| (1..=protocol::NODES_MAX).contains(nodes))?;
    let homes: Vec<usize> = homes.split(',').map(|home| home.parse().ok()).collect::<Option<_>>()?;
    let minutes: u64 = minutes.parse().ok()?;
    let is_fine = homes.iter().all(|&home| home < nodes) && rest.iter().all(|word| [&hints, &turns].contains(&word));
    let (hints, in_turn) = (rest.contains(&hints), rest.contains(&turns));
    let model = pages::Cluster { hints, in_turn, ..pages::Cluster::new(nodes, &homes, requests.parse().ok()?) };
    is_fine.then_some((model, Duration::from_secs(60 * minutes)))
}

fn main() -> ExitCode {
    let Some((model, time)) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let builder = model.checker().threads(threads).timeout(time).finish_when(HasDiscoveries::AnyFailures);
    let checker = builder.spawn_bfs().join();
    println!(
        "{} states, {} unique, depth {}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    let mut is_good = true;
    for (name, path) in checker.discoveries() {
        let property = checker.model().properties().into_iter().find(|property| property.name == name);
        if property.is_some_and(|property| property.expectation == Expectation::Always) {
            println!("does not hold: {name}");
            path.into_actions().iter().for_each(|action| println!("  {action:?}"));
            is_good = false;
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
