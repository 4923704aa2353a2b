//! Waking a thread that sleeps on descriptors.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

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

/// How long a nap is.
///
/// To wake a thread on an idle processor takes tens of microseconds on a virtual machine, and a request to a server that sleeps
/// takes two wake-ups, one after the other. A timer that rings as soon as this thread sleeps has its processor wake while the server's
/// does. Measured with raw UDP on an Intel Xeon: 33 us there and back with a nap of 1 to 4 us, 44 with one of 8, 68 without; the
/// caller's processor was busy for 33 us of it, not 28. (Linux does so for disks: it sleeps for a part of the time that the answer takes, "hybrid
/// polling".)
const NAP: Duration = Duration::from_micros(2);

/// The timer of naps. A timeout of `ppoll` would be late by the thread's timer slack, 50 us.
#[derive(Debug)]
pub(super) struct Alarm(TimerFd);

impl Alarm {
    pub fn new() -> Result<Alarm, Errno> {
        TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK).map(Alarm)
    }

    /// [`sleep`], for no longer than a nap.
    pub fn nap(&self, [bell, other]: [BorrowedFd<'_>; 2]) -> Result<bool, Errno> {
        self.0.set(Expiration::OneShot(TimeSpec::from_duration(NAP)), TimerSetTimeFlags::empty())?;
        sleep(&[bell, other], Some(self.0.as_fd()), None)
    }
}

/// The most that can be watched, alarm and all.
const WATCHED_MAX: usize = 4;

/// Sleeps until one of the `watched`, of which the first is a bell, or the `alarm` has something, or the time is over. False: nothing
/// has, besides the alarm.
pub(super) fn sleep(
    watched: &[BorrowedFd<'_>],
    alarm: Option<BorrowedFd<'_>>,
    time: Option<Duration>,
) -> Result<bool, Errno> {
    let mut all = watched.iter().copied().chain(alarm);
    let count = all.clone().count().min(WATCHED_MAX);
    let mut ready: [_; WATCHED_MAX] =
        std::array::from_fn(|_| PollFd::new(all.next().unwrap_or(watched[0]), PollFlags::POLLIN));
    let ready = &mut ready[..count];
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
    Ok(ready.iter().take(watched.len()).any(|watched| watched.any().unwrap_or(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nap_ends_by_itself_and_says_whether_anything_came() {
        let (alarm, bell, other) = (Alarm::new().unwrap(), new_bell().unwrap(), new_bell().unwrap());
        let nap = || alarm.nap([bell.as_fd(), other.as_fd()]);
        for _ in 0..3 {
            assert_eq!(nap(), Ok(false));
            ring(&bell);
            // The bell is heard once, whether the alarm rings, too, or not.
            assert_eq!((nap(), nap()), (Ok(true), Ok(false)));
        }
        ring(&other);
        assert_eq!((nap(), nap()), (Ok(true), Ok(true)), "nobody has read it");
    }

    #[test]
    fn each_of_three_that_are_watched_ends_the_sleep() {
        let bells = [(); 3].map(|()| new_bell().unwrap());
        let watched = [0, 1, 2].map(|place: usize| bells[place].as_fd());
        let look = || sleep(&watched, None, Some(Duration::ZERO));
        assert_eq!(look(), Ok(false));
        for bell in &bells {
            ring(bell);
            assert_eq!(look(), Ok(true));
            let _ = bell.read();
        }
        assert_eq!(look(), Ok(false));
    }
}
