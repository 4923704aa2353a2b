//! Waking a thread that sleeps on descriptors.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use super::error::StartError;

/// A descriptor that one thread sleeps on and any other can ring.
pub(super) fn new_bell() -> Result<EventFd, StartError> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    EventFd::from_flags(flags).map_err(|errno| StartError::Descriptor(errno.into()))
}

/// A bell that rings already (the counter is full) needs no more ringing.
pub(super) fn ring(bell: &EventFd) {
    let _ = bell.write(1);
}

/// Sleeps until one of these, of which the first is a bell, has something, or the time is over. False: nothing has.
pub(super) fn sleep(watched: &[BorrowedFd<'_>], time: Option<Duration>) -> Result<bool, Errno> {
    let mut ready: [_; 2] =
        std::array::from_fn(|place| PollFd::new(watched.get(place).copied().unwrap_or(watched[0]), PollFlags::POLLIN));
    let ready = &mut ready[..watched.len().min(2)];
    match ppoll(ready, time.map(TimeSpec::from_duration), None) {
        Ok(0) => return Ok(false),
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(true),
        Err(errno) => return Err(errno),
    }
    if ready[0].any().unwrap_or(false) {
        // Nothing to read means that somebody else's ring was read with ours.
        let mut counter = [0; 8];
        let _ = nix::unistd::read(watched[0], &mut counter);
    }
    Ok(true)
}
