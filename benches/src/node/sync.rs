//! What locks, barriers and atomic operations cost.

use std::time::{Duration, Instant};

use dsm_core::Placement;
use nix::time::{ClockId, clock_gettime};

use super::{Bench, consume, microseconds, say};

impl Bench<'_> {
    pub(super) fn pair_sync(&self) {
        self.barrier("barrier_2");
        self.locks();
        self.handoff();
        self.fetch_add();
    }

    pub(super) fn barrier(&self, name: &str) {
        self.dsm.barrier();
        let took = self.repeat(|_| self.dsm.barrier());
        if self.is_first() {
            say(name, took);
        }
    }

    /// A token that is here, and tokens that are at node 1: the home of lock n is node n mod nodes, where its token begins.
    fn locks(&self) {
        if self.is_first() {
            let nodes = self.dsm.size() as u64;
            say("lock_local", self.repeat(|_| drop(self.dsm.lock(0))));
            say("lock_remote", self.repeat(|index| self.dsm.acquire(index * nodes + 1)));
        }
        self.dsm.barrier();
    }

    /// From the moment at which node 0 lets go of a lock that node 1 waits for, to that at which node 1 has it: both look at the
    /// machine's one clock.
    fn handoff(&self) {
        const LOCK: u64 = u64::MAX;
        let Ok(moments) = self.dsm.alloc::<f64>(self.order.len(), Placement::Node(1)) else { return };
        let mut released = Vec::with_capacity(self.order.len());
        for round in 0..self.order.len() {
            if self.is_first() {
                self.dsm.acquire(LOCK);
            }
            self.dsm.barrier();
            if self.is_first() {
                wait_until_asked();
                released.push(machine_clock());
                // It is held: acquired above.
                let _ = self.dsm.release(LOCK);
            } else {
                let held = self.dsm.lock(LOCK);
                moments.set(round, machine_clock());
                drop(held);
            }
            self.dsm.barrier();
        }
        if self.is_first() {
            say("lock_handoff", released.iter().enumerate().map(|(round, at)| moments.get(round) - at).collect());
        }
        self.dsm.barrier();
    }

    fn fetch_add(&self) {
        let Ok(word) = self.dsm.alloc::<u64>(1, Placement::Node(1)) else { return };
        if self.is_first() {
            say("fetch_add", self.repeat(|_| consume(word.fetch_add(0, 1))));
        }
        self.dsm.barrier();
    }

    fn repeat(&self, work: impl Fn(u64)) -> Vec<f64> {
        (0..self.order.len() as u64).map(|index| microseconds(|| work(index))).collect()
    }
}

/// Long enough for the other node's request to be here. It is no matter if it is not: then the sample is that of a remote lock.
fn wait_until_asked() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(300) {
        std::thread::yield_now();
    }
}

/// Microseconds on a clock that all processes of the machine share.
fn machine_clock() -> f64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(f64::NAN, |now| now.tv_sec() as f64 * 1e6 + now.tv_nsec() as f64 / 1e3)
}
