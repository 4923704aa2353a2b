//! Who has joined the job, and who has left it properly.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::rendezvous::{Roster, RosterEntry};

/// The state behind the rendezvous service; shared by its threads and the supervisor.
pub(super) struct Registry {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    joined: Vec<Option<RosterEntry>>,
    finalized: Vec<bool>,
    /// Who failed first before all had joined, and how: then nobody joins any more, even when the last one comes, because
    /// others were refused already.
    failed_to_join: Option<String>,
    /// The same for leaving.
    failed_to_finalize: Option<String>,
}

impl Registry {
    pub(super) fn new(nodes: usize) -> Registry {
        let state = State {
            joined: vec![None; nodes],
            finalized: vec![false; nodes],
            failed_to_join: None,
            failed_to_finalize: None,
        };
        Registry { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Enters node `rank` and waits until all have joined, or cannot any more.
    pub(super) fn join(&self, rank: u32, addr: SocketAddr, pid: u32) -> Result<Roster, String> {
        let mut state = self.lock();
        state.enter(rank, RosterEntry { addr, pid })?;
        self.changed.notify_all();
        let roster = |state: &State| state.joined.iter().cloned().collect::<Option<Vec<_>>>();
        self.wait(state, roster, |state| &state.failed_to_join, "joined").map(|nodes| Roster { nodes })
    }

    /// Notes that node `rank` has finalized and waits until all have, or cannot any more.
    pub(super) fn finalized(&self, rank: u32) -> Result<(), String> {
        let mut state = self.lock();
        state.leave(rank)?;
        self.changed.notify_all();
        self.wait(state, |state| state.have_finalized().then_some(()), |state| &state.failed_to_finalize, "finalized")
    }

    /// Sleeps until `done` gives a result or somebody has `failed`. Every node gets the same of the two, however late it asks.
    fn wait<R>(
        &self,
        mut state: MutexGuard<'_, State>,
        done: impl Fn(&State) -> Option<R>,
        failed: impl Fn(&State) -> &Option<String>,
        what: &str,
    ) -> Result<R, String> {
        loop {
            if let Some(why) = failed(&state) {
                return Err(format!("{why}, before all nodes had {what}"));
            }
            if let Some(result) = done(&state) {
                return Ok(result);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Somebody is gone. The first reason is the one that counts, and what was complete before stays so.
    pub(super) fn fail(&self, why: String) {
        let mut state = self.lock();
        if !state.have_finalized() {
            state.failed_to_finalize.get_or_insert_with(|| why.clone());
        }
        if !state.have_joined() {
            state.failed_to_join.get_or_insert(why);
        }
        self.changed.notify_all();
    }

    pub(super) fn has_joined(&self, rank: usize) -> bool {
        self.lock().joined.get(rank).is_some_and(Option::is_some)
    }

    pub(super) fn has_finalized(&self, rank: usize) -> bool {
        self.lock().finalized.get(rank).is_some_and(|finalized| *finalized)
    }

    /// No update leaves the state half done, so a poisoned lock still holds a sound one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn have_joined(&self) -> bool {
        self.joined.iter().all(Option::is_some)
    }

    fn have_finalized(&self) -> bool {
        self.finalized.iter().all(|done| *done)
    }

    fn enter(&mut self, rank: u32, entry: RosterEntry) -> Result<(), String> {
        let size = self.joined.len();
        if entry.addr.port() == 0 || entry.addr.ip().is_unspecified() {
            return Err(format!("node {rank} gave {} as its address, where nobody can reach it", entry.addr));
        }
        if let Some(other) = self.joined.iter().flatten().find(|other| other.addr == entry.addr) {
            return Err(format!("node {rank} gave {}, which is the address of process {}", entry.addr, other.pid));
        }
        match self.joined.get_mut(rank as usize) {
            None => Err(format!("there is no node {rank} in a job of {size}")),
            Some(Some(other)) => Err(format!(
                "node {rank} has joined already as process {}: one node may join once, and be one process",
                other.pid
            )),
            Some(vacant) => {
                *vacant = Some(entry);
                Ok(())
            }
        }
    }

    fn leave(&mut self, rank: u32) -> Result<(), String> {
        let joined = self.joined.get(rank as usize).is_some_and(Option::is_some);
        match self.finalized.get_mut(rank as usize).filter(|_| joined) {
            None => Err(format!("node {rank} has not joined, so it cannot finalize")),
            Some(true) => Err(format!("node {rank} has finalized already")),
            Some(done) => {
                *done = true;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn every_join_is_answered_with_the_whole_roster_once_all_have_joined() {
        let registry = Registry::new(3);
        let rosters: Vec<_> = thread::scope(|scope| {
            let joins: Vec<_> = (0..3u32)
                .map(|rank| {
                    let registry = &registry;
                    scope.spawn(move || registry.join(rank, addr(4000 + rank as u16), 100 + rank))
                })
                .collect();
            joins.into_iter().map(|join| join.join().unwrap().unwrap()).collect()
        });
        for roster in rosters {
            let nodes: Vec<_> = roster.nodes.iter().map(|node| (node.addr.port(), node.pid)).collect();
            assert_eq!(nodes, [(4000, 100), (4001, 101), (4002, 102)]);
        }
    }

    #[test]
    fn a_join_that_comes_too_late_is_told_who_failed() {
        let registry = Registry::new(2);
        registry.fail("node 1 is dead".to_string());
        assert_eq!(registry.join(0, addr(4000), 100).unwrap_err(), "node 1 is dead, before all nodes had joined");
    }

    #[test]
    fn a_waiting_join_is_told_who_failed() {
        let registry = Registry::new(2);
        let answer = thread::scope(|scope| {
            let join = scope.spawn(|| registry.join(0, addr(4000), 100));
            while !registry.has_joined(0) {
                thread::yield_now();
            }
            registry.fail("node 1 is dead".to_string());
            registry.fail("node 0 is dead".to_string());
            join.join().unwrap()
        });
        assert_eq!(answer.unwrap_err(), "node 1 is dead, before all nodes had joined");
    }

    #[test]
    fn the_last_to_join_is_refused_too_when_others_were() {
        let registry = Registry::new(2);
        thread::scope(|scope| {
            let early = scope.spawn(|| registry.join(0, addr(4000), 100));
            while !registry.has_joined(0) {
                thread::yield_now();
            }
            registry.fail("node 0 is dead".to_string());
            assert!(early.join().unwrap().is_err());
        });
        assert_eq!(registry.join(1, addr(4001), 101).unwrap_err(), "node 0 is dead, before all nodes had joined");
    }

    #[test]
    fn strangers_and_doubles_are_refused_and_change_nothing() {
        let registry = Registry::new(1);
        assert!(registry.join(1, addr(4000), 1).unwrap_err().contains("no node 1"));
        assert!(registry.join(u32::MAX, addr(4000), 1).is_err());
        assert!(registry.join(0, addr(0), 1).unwrap_err().contains("nobody can reach"));
        assert!(registry.join(0, SocketAddr::from(([0, 0, 0, 0], 4000)), 1).is_err());
        assert!(!registry.has_joined(0));
        assert!(registry.join(0, addr(4000), 1).is_ok());
        assert!(registry.join(0, addr(4001), 2).unwrap_err().contains("joined already as process 1"));
    }

    #[test]
    fn nobody_leaves_before_all_have_finalized() {
        let registry = Registry::new(2);
        thread::scope(|scope| {
            let join = |rank: u32| registry.join(rank, addr(4000 + rank as u16), rank);
            let other = scope.spawn(move || join(1));
            join(0).unwrap();
            other.join().unwrap().unwrap();
            let leaving = scope.spawn(|| registry.finalized(0));
            while !registry.has_finalized(0) {
                thread::yield_now();
            }
            assert!(!leaving.is_finished() && !registry.has_finalized(1));
            assert_eq!(registry.finalized(1), Ok(()));
            assert_eq!(leaving.join().unwrap(), Ok(()));
        });
        assert!(registry.finalized(1).unwrap_err().contains("finalized already"));
    }

    #[test]
    fn who_waits_to_leave_is_told_who_failed() {
        let registry = Registry::new(2);
        thread::scope(|scope| {
            let other = scope.spawn(|| registry.join(1, addr(4001), 1));
            registry.join(0, addr(4000), 0).unwrap();
            other.join().unwrap().unwrap();
        });
        registry.fail("node 1 is dead".to_string());
        assert_eq!(registry.finalized(0).unwrap_err(), "node 1 is dead, before all nodes had finalized");
    }

    #[test]
    fn who_never_joined_cannot_finalize() {
        let registry = Registry::new(2);
        assert!(registry.finalized(1).unwrap_err().contains("has not joined"));
        assert!(registry.finalized(7).is_err());
        assert!(!registry.has_finalized(1) && !registry.has_finalized(7));
    }
}
