//! Prints the tables of `docs/scale.md`: what every operation costs among 2 to 64 nodes, counted on the machines.
//!
//! ```text
//! cargo run --release -p protocol --example scale
//! ```

#[path = "../tests/scale/cluster.rs"]
mod cluster;
#[path = "../tests/scale/operations.rs"]
mod operations;
#[path = "../tests/scale/tables.rs"]
mod tables;

fn main() {
    for (title, table) in tables::all() {
        println!("## {title}\n\n{table}");
    }
}
