//! Which broken rules the simulator notices, with the bounds of every run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use protocol::planted::Bug;
use rpc::planted::Bug as TransportBug;
use sim::{Machines, Options, run};

#[derive(Clone, Copy, Debug)]
enum Planted {
    Protocol(Bug),
    Transport(TransportBug),
}

impl Planted {
    fn plant(self, machines: &mut Machines) {
        match self {
            Planted::Protocol(bug) => {
                machines.pages.plant(bug);
                machines.locks.plant(bug);
                machines.barrier.plant(bug);
            }
            Planted::Transport(bug) => machines.transport.plant(bug),
        }
    }
}

fn caught(bug: Planted, seeds: u64) -> Option<(u64, String)> {
    let prepare = |machines: &mut Machines| bug.plant(machines);
    let options = Options { prepare: &prepare, ..Options::default() };
    (0..seeds).find_map(|seed| match catch_unwind(AssertUnwindSafe(|| run(seed, &options))) {
        Ok(report) => report.verdict.err().map(|failure| (seed, failure.to_string())),
        Err(_) => Some((seed, "panic".to_string())),
    })
}

#[test]
fn survey() {
    let bugs = Bug::ALL.iter().copied().map(Planted::Protocol);
    let bugs: Vec<Planted> = bugs.chain(TransportBug::ALL.iter().copied().map(Planted::Transport)).collect();
    let seeds = std::env::var("SURVEY").map_or(30, |n| n.parse().unwrap());
    let queue = Mutex::new(bugs);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| loop {
                let Some(bug) = queue.lock().unwrap().pop() else { return };
                println!("{bug:?}: {:?}", caught(bug, seeds).map(|(s, w)| (s, w.chars().take(160).collect::<String>())));
            });
        }
    });
}
