//! Threads of the program that wait for the engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;

use protocol::locks::Waiter;

/// One answer to one thread.
#[derive(Debug)]
pub(crate) struct Signal {
    thread: Thread,
    value: AtomicU64,
    done: AtomicBool,
}

impl Signal {
    /// For the calling thread, which then waits until [`Signal::poll`] gives the value.
    pub(crate) fn new() -> Arc<Signal> {
        Arc::new(Signal { thread: std::thread::current(), value: AtomicU64::new(0), done: AtomicBool::new(false) })
    }

    /// The value, where it is there.
    pub(crate) fn poll(&self) -> Option<u64> {
        self.done.load(Ordering::Acquire).then(|| self.value.load(Ordering::Relaxed))
    }

    /// Gives the value and wakes the thread.
    pub(crate) fn complete(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed);
        self.done.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Who waits, by the number under which the machines know them.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    last: u64,
    table: BTreeMap<Waiter, Arc<Signal>>,
}

impl Waiters {
    /// Registers a thread and gives it a number that was never used before.
    pub(crate) fn add(&mut self, signal: Arc<Signal>) -> Waiter {
        self.last += 1;
        let waiter = Waiter(self.last);
        self.table.insert(waiter, signal);
        waiter
    }

    /// Completes the thread of that number, once. A number that is not registered is a duplicate, and ignored.
    pub(crate) fn complete(&mut self, waiter: Waiter, value: u64) {
        if let Some(signal) = self.table.remove(&waiter) {
            signal.complete(value);
        }
    }
}
