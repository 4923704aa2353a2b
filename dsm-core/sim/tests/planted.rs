//! Which broken rules the simulator notices, with the bounds of every other run.
//!
//! What it does not notice, and why, is in `docs/planted-bugs.md`, and here in `is_visible`.

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

    fn all() -> Vec<Bug> {
        let transport = Transport::ALL.iter().copied().map(Bug::Transport);
        Protocol::ALL.iter().copied().map(Bug::Protocol).chain(transport).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Bug::Protocol(bug) => bug.name(),
            Bug::Transport(bug) => bug.name(),
        }
    }

    /// Whether the simulator can see it.
    fn is_visible(self) -> bool {
        match self {
            // A thread that wanted to write wakes with the readers, and faults once more.
            Bug::Protocol(bug) => bug != Protocol::WriteWantedForgotten,
            Bug::Transport(bug) => match bug {
                Transport::DuplicateDelivered
                | Transport::AcknowledgedTooFar
                | Transport::ReassembledAsArrived
                | Transport::LostForgotten
                | Transport::DamageAccepted
                | Transport::SilenceTolerated => true,
                // Memory never runs short, and all senders are honest.
                Transport::RefusedAcknowledged
                | Transport::FragmentBoundsUnchecked
                | Transport::ReassemblyUnbounded => false,
                // Pings give losses away, later.
                Transport::TimerIgnored => false,
                // There is no key.
                Transport::ReplayAccepted => false,
                // A dead node's successor opens sessions and has nothing to say.
                Transport::StaleSessionAccepted | Transport::StaleEpochAccepted | Transport::StaleResetObeyed => false,
            },
        }
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
    let bugs = Mutex::new(Bug::all().into_iter().filter(|bug| bug.is_visible()).collect::<Vec<_>>());
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

#[test]
fn the_table_has_a_row_for_each_bug_and_says_truly_whether_the_simulator_notices() {
    const TABLE: &str = include_str!("../../../docs/planted-bugs.md");
    for bug in Bug::all() {
        let name = format!("| `{}` |", bug.name());
        let rows: Vec<&str> = TABLE.lines().filter(|line| line.starts_with(&name)).collect();
        let [row] = rows[..] else { panic!("{} rows for {bug:?}", rows.len()) };
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, _, rule, model, simulator, _, _] = columns[..] else { panic!("{row}") };
        assert!(!rule.is_empty() && !model.is_empty(), "{row}");
        assert_eq!(simulator.starts_with("no:"), !bug.is_visible(), "{row}");
    }
    let rows = TABLE.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, Bug::all().len());
}
