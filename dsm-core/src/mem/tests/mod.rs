//! Tests on a real userfaultfd, in one process: threads play the program, the test serves their faults.

mod frames;
mod limits;
mod table;
mod traps;

use super::*;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::Page;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Scope, scope};

/// A base that no other test uses, with room for 4 GiB.
fn next_base() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    BASE_DEFAULT + NEXT.fetch_add(1, Ordering::Relaxed) * (4 << 30)
}

/// A region of so many pages; `None`, said on stderr, where the machine grants no userfaultfd.
pub(crate) fn region(pages: u64) -> Option<Region> {
    match Region::new(pages * PAGE_BYTES as u64, next_base()) {
        Err(RegionError::Open(error)) => {
            eprintln!("skipped: {error}");
            None
        }
        made => Some(made.unwrap()),
    }
}

/// Lets every thread that sleeps in a fault go on when an assertion fails, so that the failure is seen.
struct ReleaseSleepers<'r>(&'r Region);

impl Drop for ReleaseSleepers<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let all = PageRange::new(Page(0), self.0.pages());
            let _ = self.0.make_present(all);
            let _ = self.0.map(all, Access::Write);
            let _ = self.0.wake(all);
        }
    }
}

/// Runs a scene: the program's threads are spawned in the scope, the closure serves their faults.
fn scene<'env, R>(region: &'env Region, play: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R) -> R {
    scope(|scope| {
        let _release = ReleaseSleepers(region);
        play(scope)
    })
}

/// Waits until faults can be read; false after half a minute.
fn wait_for_faults(region: &Region) -> bool {
    let mut fds = [PollFd::new(region.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(30_000u16)).unwrap() > 0
}

fn next_fault(region: &Region) -> Fault {
    let mut faults = Vec::new();
    while faults.is_empty() {
        assert!(wait_for_faults(region), "no fault came");
        FaultReader::new(1).read(region, &mut faults).unwrap();
    }
    faults[0]
}

fn no_fault_waits(region: &Region) -> bool {
    FaultReader::new(1).read(region, &mut Vec::new()).unwrap() == 0
}

fn page_of_byte(byte: u8) -> Vec<u8> {
    vec![byte; PAGE_BYTES]
}
