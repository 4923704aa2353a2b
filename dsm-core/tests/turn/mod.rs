//! Tests of several processes take turns.

use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{Flock, FlockArg};

/// Held while a test runs processes.
pub struct Turn {
    _file: Flock<File>,
    _thread: MutexGuard<'static, ()>,
}

/// Waits until no other test runs processes: neither one of this program nor, by a lock on a file in the build directory, one of
/// another. Jobs that share two cores with other jobs would measure their neighbours.
pub fn one_at_a_time() -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    let thread = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let file = File::create(concat!(env!("CARGO_TARGET_TMPDIR"), "/one-at-a-time.lock")).unwrap();
    let file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
    Turn { _file: file, _thread: thread }
}
