//! What the protocols cost as jobs and regions grow: counted on the machines, and held against `docs/scale.md`.

mod cluster;
mod operations;
mod tables;

use cluster::Clock;
use operations::{ALL, Operation};

fn operation(name: &str) -> &'static Operation {
    ALL.iter().find(|operation| operation.name == name).unwrap()
}

#[test]
fn the_page_about_scale_says_what_the_machines_do() {
    const PAGE: &str = include_str!("../../../../docs/scale.md");
    for (title, table) in tables::all() {
        assert!(PAGE.contains(&table), "{title}: docs/scale.md should say\n\n{table}");
    }
}

#[test]
fn only_invalidations_and_the_barrier_cost_more_among_more_nodes() {
    for operation in &ALL {
        let of_each = |nodes| Some((operation.cost(nodes, Clock::NEAR)?, operation.cost(nodes, Clock::TRIPS)?));
        let costs: Vec<_> = (operation.nodes_min..=64).filter_map(of_each).collect();
        let is_constant = costs.windows(2).all(|pair| pair[0] == pair[1]);
        assert_eq!(is_constant, !operation.grows, "{}: {costs:?}", operation.name);
    }
}

#[test]
fn a_barrier_costs_each_node_a_message_a_round_and_a_trip_a_round() {
    for nodes in 2..=64 {
        let cost = operation("barrier").cost(nodes, Clock::TRIPS).unwrap();
        let rounds = u64::from(nodes.next_power_of_two().trailing_zeros());
        assert_eq!((cost.messages, cost.busiest, cost.time), (nodes as u64 * rounds, rounds, rounds));
        // What a node sends and takes in a round does not grow either.
        let steps = operation("barrier").cost(nodes, Clock::STEPS).unwrap().time;
        assert!(steps <= 2 * rounds, "{nodes} nodes: {steps}");
    }
}

#[test]
fn an_invalidation_costs_two_messages_a_copy_and_three_trips_however_many_there_are() {
    for nodes in 3..=64 {
        let cost = operation("upgrade, all nodes have copies").cost(nodes, Clock::TRIPS).unwrap();
        // The home's own copy costs the word that it is gone; a request, a grant and a `Done` come to it.
        assert_eq!((cost.messages, cost.time), (2 * (nodes as u64 - 2) + 1 + 3, 3));
    }
}
