//! What goes between the runner and its nodes, past the shared memory: work, start signals, results.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::test::Value;

/// The place of a word in the array that all nodes share.
pub type Word = u64;

/// One step of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    /// Let time pass: so many thousandths of twice the round trip.
    Wait(u16),
    /// Load, for the sake of having a copy.
    Look(Word),
    /// Load, and tell.
    Load(Word),
    /// Store.
    Store(Word, Value),
}

/// What one node does in a batch of iterations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Words to store 0 to; then all nodes meet.
    pub own: Vec<Word>,
    /// Words to load; then all nodes meet.
    pub share: Vec<Word>,
    /// The iterations, each begun together with the other nodes that take part; empty for a node that takes none. Then all
    /// nodes meet.
    pub runs: Vec<Vec<Move>>,
    /// Words whose final value to tell.
    pub finals: Vec<Word>,
}

/// What a node tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// It is there, and has measured a round trip of so many nanoseconds.
    Ready(u64),
    /// Its last script is done.
    Done {
        /// What the loads of each iteration saw.
        loads: Vec<Vec<Value>>,
        /// The final values that it was to tell.
        finals: Vec<Value>,
    },
}

/// What the nodes ask of the runner.
#[rpc::service]
pub trait Desk {
    /// Hands in a report, waits for those of the other nodes, and gives the next script; none: leave.
    fn next(&self, node: u32, report: Report) -> Result<Option<Script>, String>;
    /// Waits for all other nodes.
    fn meet(&self) -> Result<(), String>;
    /// Waits for all other nodes that take part in the iterations.
    fn start(&self) -> Result<(), String>;
}

/// Turns reports into the next scripts.
pub trait Referee: Send + 'static {
    /// One report from each node; gives a script for each node, or none where this job is over.
    fn judge(&mut self, reports: Vec<Report>) -> Option<Vec<Script>>;
}

/// The runner's side of [`Desk`]: every call waits until all are there.
pub struct Hall<R> {
    nodes: usize,
    state: Mutex<State<R>>,
    /// Somebody may go on.
    changed: Condvar,
    /// It was closed; apart from the other, so that the watcher is not woken all the time.
    closed: Condvar,
}

struct State<R> {
    referee: R,
    reports: Vec<Option<Report>>,
    scripts: Vec<Option<Script>>,
    /// How many nodes take part in the iterations of the current scripts.
    runners: usize,
    next: Gathering,
    meet: Gathering,
    start: Gathering,
    closed: bool,
}

/// A barrier: how many are here, and how often it has opened.
#[derive(Clone, Copy, Default)]
struct Gathering {
    here: usize,
    opened: u64,
}

impl<R: Referee> Hall<R> {
    /// For a job of so many nodes.
    pub fn new(nodes: usize, referee: R) -> Hall<R> {
        let state = State {
            referee,
            reports: vec![None; nodes],
            scripts: vec![None; nodes],
            runners: 0,
            next: Gathering::default(),
            meet: Gathering::default(),
            start: Gathering::default(),
            closed: false,
        };
        Hall { nodes, state: Mutex::new(state), changed: Condvar::new(), closed: Condvar::new() }
    }

    /// Lets nobody wait any more.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
        self.closed.notify_all();
    }

    /// Waits until it is closed, or until nothing has happened for as long as `patience`. Says whether it was the latter.
    pub fn watch(&self, patience: Duration) -> bool {
        let mut state = self.state();
        while !state.closed {
            let before = state.happened();
            let waited = self.closed.wait_timeout_while(state, patience, |state| !state.closed);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !state.closed && state.happened() == before {
                return true;
            }
        }
        false
    }

    fn state(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `all` are at the gathering; the last to come does `work`.
    fn gather<'h>(
        &'h self,
        mut state: MutexGuard<'h, State<R>>,
        which: fn(&mut State<R>) -> &mut Gathering,
        all: usize,
        work: impl FnOnce(&mut State<R>),
    ) -> Result<MutexGuard<'h, State<R>>, String> {
        let opened = which(&mut state).opened;
        which(&mut state).here += 1;
        if which(&mut state).here >= all {
            work(&mut state);
            *which(&mut state) = Gathering { here: 0, opened: opened + 1 };
            self.changed.notify_all();
        }
        let wait = |state: &mut State<R>| !state.closed && which(state).opened == opened;
        let state = self.changed.wait_while(state, wait).unwrap_or_else(PoisonError::into_inner);
        if state.closed { Err("the run was ended".to_string()) } else { Ok(state) }
    }
}

impl<R: Referee> State<R> {
    /// A number that grows when anything happens.
    fn happened(&self) -> u64 {
        self.next.opened + self.meet.opened + self.start.opened
    }

    fn turn(&mut self) {
        let reports = self.reports.iter_mut().filter_map(Option::take).collect();
        let scripts = self.referee.judge(reports);
        let scripts = scripts.map_or(vec![None; self.scripts.len()], |scripts| scripts.into_iter().map(Some).collect());
        self.runners = scripts.iter().flatten().filter(|script| !script.runs.is_empty()).count();
        self.scripts = scripts;
    }
}

impl<R: Referee> Desk for Hall<R> {
    fn next(&self, node: u32, report: Report) -> Result<Option<Script>, String> {
        let node = node as usize;
        let mut state = self.state();
        match state.reports.get_mut(node) {
            Some(slot @ None) => *slot = Some(report),
            Some(_) => return Err(format!("node {node} reported twice")),
            None => return Err(format!("there is no node {node}")),
        }
        let mut state = self.gather(state, |state| &mut state.next, self.nodes, State::turn)?;
        Ok(state.scripts.get_mut(node).and_then(Option::take))
    }

    fn meet(&self) -> Result<(), String> {
        self.gather(self.state(), |state| &mut state.meet, self.nodes, |_| {}).map(drop)
    }

    fn start(&self) -> Result<(), String> {
        let state = self.state();
        let runners = state.runners;
        self.gather(state, |state| &mut state.start, runners, |_| {}).map(drop)
    }
}
