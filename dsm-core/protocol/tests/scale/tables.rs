//! The tables of `docs/scale.md`, as Markdown.

use std::fmt::Write;

use protocol::sequential::Kept;

use crate::cluster::{Clock, Cluster, Cost};
use crate::operations::ALL;

/// Numbers of nodes: the columns.
pub const NODES: [usize; 6] = [2, 4, 8, 16, 32, 64];

/// Pages that are touched for the table of memory.
const PAGES: u64 = 1 << 10;

/// Every table with its title.
pub fn all() -> [(&'static str, String); 3] {
    [
        ("What costs the same among however many nodes", of_constant_costs()),
        ("What costs more among more nodes", of_growing_costs()),
        ("Bytes that the machines keep for each page that is touched", of_memory()),
    ]
}

/// What is told of an operation: its name, its clock, and the figure.
type Figure = (&'static str, Clock, fn(Cost) -> u64);

const FIGURES: [Figure; 5] = [
    ("messages", Clock::TRIPS, |cost| cost.messages),
    ("of these by the node that sends most", Clock::TRIPS, |cost| cost.busiest),
    ("one-way trips in a row", Clock::TRIPS, |cost| cost.time),
    ("messages sent or taken in a row", Clock::STEPS, |cost| cost.time),
    ("time", Clock::NEAR, |cost| cost.time),
];

fn of_constant_costs() -> String {
    let mut table = String::from("| operation |");
    FIGURES.iter().for_each(|(name, ..)| write!(table, " {name} |").unwrap());
    table += "\n| --- |";
    FIGURES.iter().for_each(|_| table += " ---: |");
    for operation in ALL.iter().filter(|operation| !operation.grows) {
        write!(table, "\n| {} |", operation.name).unwrap();
        for (_, clock, figure) in FIGURES {
            let cost = operation.cost(operation.nodes_min, clock).map(figure).unwrap_or_default();
            write!(table, " {cost} |").unwrap();
        }
    }
    table + "\n"
}

fn of_growing_costs() -> String {
    let mut table = String::from("| nodes |");
    NODES.iter().for_each(|nodes| write!(table, " {nodes} |").unwrap());
    table += "\n| --- |";
    NODES.iter().for_each(|_| table += " ---: |");
    for operation in ALL.iter().filter(|operation| operation.grows) {
        for (name, clock, figure) in FIGURES {
            write!(table, "\n| {}: {name} |", operation.name).unwrap();
            for nodes in NODES {
                let cost = operation.cost(nodes, clock).map(figure);
                write!(table, " {} |", cost.map_or("-".to_string(), |cost| cost.to_string())).unwrap();
            }
        }
    }
    table + "\n"
}

/// How the pages lie that are touched.
const LAYOUTS: [(&str, u64); 3] =
    [("dense: every page", 1), ("sparse: one of 32", 32), ("alone: one of 4,096, or fewer", 4_096)];

fn of_memory() -> String {
    let mut table =
        String::from("| pages touched | at a reader | at the home | at the home when all of 64 nodes have asked |\n");
    table += "| --- | ---: | ---: | ---: |";
    for (name, distance) in LAYOUTS {
        let [reader, home, asked] = memory(distance).map(|bytes| bytes / PAGES);
        write!(table, "\n| {name} | {reader} | {home} | {asked} |").unwrap();
    }
    table + "\n"
}

/// Bytes at a reader, at the home, and at the home when every node has asked for every page.
fn memory(distance: u64) -> [u64; 3] {
    let (few, all) = (Cluster::with_readers(2, PAGES, distance), Cluster::with_readers(64, PAGES, distance));
    [few.kept(1), few.kept(0), all.kept(0)].map(Kept::bytes)
}
