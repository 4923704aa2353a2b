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
    /// Why nobody can join any more.
    failed: Option<String>,
}

impl Registry {
    pub(super) fn new(nodes: usize) -> Registry {
        let state = State { joined: vec![None; nodes], finalized: vec![false; nodes], failed: None };
        Registry { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Enters node `rank` and waits until all have joined, or cannot any more.
    pub(super) fn join(&self, rank: u32, addr: SocketAddr, pid: u32) -> Result<Roster, String> {
        let mut state = self.lock();
        state.enter(rank, RosterEntry { addr, pid })?;
        self.changed.notify_all();
        loop {
            // A full roster comes first: who failed after that is for the nodes themselves to find out.
            if let Some(nodes) = state.joined.iter().cloned().collect::<Option<Vec<_>>>() {
                return Ok(Roster { nodes });
            }
            if let Some(why) = &state.failed {
                return Err(why.clone());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Node `rank` left the job properly. A rank that is not in the job changes nothing.
    pub(super) fn finalized(&self, rank: u32) {
        if let Some(finalized) = self.lock().finalized.get_mut(rank as usize) {
            *finalized = true;
        }
    }

    /// Not all can join any more; the first reason is the one that counts.
    pub(super) fn fail(&self, why: String) {
        self.lock().failed.get_or_insert(why);
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
    fn enter(&mut self, rank: u32, entry: RosterEntry) -> Result<(), String> {
        let size = self.joined.len();
        if let Some(why) = &self.failed {
            return Err(why.clone());
        }
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
        assert_eq!(answer.unwrap_err(), "node 1 is dead");
        assert_eq!(registry.join(1, addr(4001), 101).unwrap_err(), "node 1 is dead");
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
    fn finalizing_is_remembered_by_rank() {
        let registry = Registry::new(2);
        registry.finalized(1);
        registry.finalized(7);
        assert!(!registry.has_finalized(0));
        assert!(registry.has_finalized(1));
        assert!(!registry.has_finalized(7));
    }
}
