//! Locks across nodes.

use protocol::LockId;

use super::Dsm;
use crate::engine::Awaited;
use crate::error::Error;

/// A held lock; dropping it releases the lock.
#[must_use = "the lock is released when the guard is dropped"]
pub struct LockGuard<'d> {
    dsm: &'d Dsm,
    id: u64,
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        // We hold it: acquiring made the guard, and nothing else releases.
        let _ = self.dsm.release_lock(self.id);
    }
}

impl Dsm {
    /// Waits for lock `id` and takes it. Any number is a lock; at most one thread of the whole job holds it. What the last holder
    /// stored is seen by the next.
    ///
    /// The threads of one node may use [`LOCKS_MAX`](protocol::locks::LOCKS_MAX) different locks in the course of a job; when
    /// they want more, the process ends with an error that says so.
    pub fn lock(&self, id: u64) -> LockGuard<'_> {
        self.acquire_lock(id);
        LockGuard { dsm: self, id }
    }

    /// Takes lock `id` without a guard.
    pub(super) fn acquire_lock(&self, id: u64) {
        self.shared.perform(
            Awaited::Answer,
            |stats| &mut stats.lock_wait,
            |engine, signal| engine.acquire(LockId(id), signal.clone()).map(|()| true),
        );
    }

    /// Releases lock `id`, which a thread of this node holds.
    pub(super) fn release_lock(&self, id: u64) -> Result<(), Error> {
        if self.shared.enter(|engine| engine.release(LockId(id))) { Ok(()) } else { Err(Error::NotHeld(id)) }
    }
}
