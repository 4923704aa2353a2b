//! Which broken rules the simulator notices, with the bounds of every other run.
//!
//! What it does not notice, and why, is in `docs/planted-bugs.md`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use protocol::planted::Bug as Protocol;
use rpc::planted::Bug as Transport;
use sim::{Machines, Options, run};

/// Seeds that are tried for each bug; most are caught by the first.
const SEEDS: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Protocol(Protocol),
    Transport(Transport),
}

impl Bug {
    fn plant(self, machines: &mut Machines) {
        match self {
            Bug::Protocol(bug) => {
                machines.pages.plant(bug);
                machines.locks.plant(bug);
                machines.barrier.plant(bug);
            }
            Bug::Transport(bug) => machines.transport.plant(bug),
        }
    }

    /// Every bug that the simulator can see.
    fn visible() -> Vec<Bug> {
        // A thread that wanted to write wakes with the readers, and faults once more.
        let protocol = Protocol::ALL.iter().filter(|bug| **bug != Protocol::WriteWantedForgotten);
        let transport = [
            Transport::DuplicateDelivered,
            Transport::AcknowledgedTooFar,
            Transport::ReassembledAsArrived,
            Transport::LostForgotten,
            Transport::DamageAccepted,
            Transport::SilenceTolerated,
        ];
        protocol.copied().map(Bug::Protocol).chain(transport.map(Bug::Transport)).collect()
    }
}

/// The first seed that shows the bug, and how.
fn caught(bug: Bug) -> Option<(u64, String)> {
    let prepare = |machines: &mut Machines| bug.plant(machines);
    let options = Options { prepare: &prepare, ..Options::default() };
    (0..SEEDS).find_map(|seed| match catch_unwind(AssertUnwindSafe(|| run(seed, &options))) {
        Ok(report) => report.verdict.err().map(|failure| (seed, failure.to_string())),
        Err(_) => Some((seed, "a panic".to_string())),
    })
}

#[test]
fn each_broken_rule_is_noticed_and_the_same_seed_passes_without_the_bug() {
    let bugs = Mutex::new(Bug::visible());
    let next = || bugs.lock().ok()?.pop();
    let check = || {
        while let Some(bug) = next() {
            let (seed, how) = caught(bug).unwrap_or_else(|| panic!("{bug:?} is not noticed"));
            println!("{bug:?}, seed {seed}: {}", how.chars().take(150).collect::<String>());
            assert_eq!(run(seed, &Options::default()).verdict, Ok(()), "seed {seed} without {bug:?}");
        }
    };
    thread::scope(|scope| {
        scope.spawn(check);
        check();
    });
}
