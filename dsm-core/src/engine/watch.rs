//! What the engine's thread sleeps on: faults, socket, a timer, a bell, and the launcher's lifeline.
//!
//! Looking costs one cheap system call whatever there is to see, so polling looks here, too, and then reads only what is
//! ready.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::Fatal;

/// What there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ready {
    /// The kernel has fault events.
    pub(super) faults: bool,
    /// Datagrams, or an error of the socket.
    pub(super) socket: bool,
    /// The timer rang.
    pub(super) timer: bool,
    /// Somebody rang the bell.
    pub(super) bell: bool,
}

impl Ready {
    /// Look everywhere.
    pub(super) const ALL: Ready = Ready { faults: true, socket: true, timer: true, bell: true };

    /// Look only for faults.
    pub(super) const FAULTS: Ready = Ready { faults: true, socket: false, timer: false, bell: false };

    /// Look only for datagrams.
    pub(super) const SOCKET: Ready = Ready { faults: false, socket: true, timer: false, bell: false };

    pub(super) fn any(self) -> bool {
        self != Ready::default()
    }
}

const FAULTS: u64 = 0;
const SOCKET: u64 = 1;
const TIMER: u64 = 2;
const BELL: u64 = 3;
const LIFELINE: u64 = 4;

/// The descriptors, in one set.
pub(super) struct Watch {
    set: Epoll,
    socket: OwnedFd,
    timer: TimerFd,
    bell: EventFd,
    /// Kept open for as long as it is watched.
    _lifeline: Option<File>,
}

impl Watch {
    /// Watches for faults, for datagrams, and for the hang-up of `lifeline`.
    pub(super) fn new(faults: impl AsFd, socket: impl AsFd, lifeline: Option<File>) -> Result<Watch, Errno> {
        let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let socket = nix::unistd::dup(socket.as_fd())?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        // Each ring of timer and bell is reported once, and they need not be read.
        let once = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        set.add(faults.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, FAULTS))?;
        set.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, SOCKET))?;
        set.add(&timer, EpollEvent::new(once, TIMER))?;
        set.add(&bell, EpollEvent::new(once, BELL))?;
        if let Some(file) = &lifeline {
            // A hang-up is always reported.
            set.add(file, EpollEvent::new(EpollFlags::empty(), LIFELINE))?;
        }
        Ok(Watch { set, socket, timer, bell, _lifeline: lifeline })
    }

    /// What is ready now.
    pub(super) fn look(&self) -> Result<Ready, Fatal> {
        self.wait(EpollTimeout::ZERO)
    }

    /// Sleeps until something is ready. After a signal, nothing may be.
    pub(super) fn sleep(&self) -> Result<Ready, Fatal> {
        self.wait(EpollTimeout::NONE)
    }

    fn wait(&self, timeout: EpollTimeout) -> Result<Ready, Fatal> {
        let mut events = [EpollEvent::empty(); 5];
        let count = match self.set.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(Fatal::Poll(errno)),
        };
        let mut ready = Ready::default();
        for event in events.iter().take(count) {
            match event.data() {
                FAULTS => ready.faults = true,
                SOCKET => ready.socket = true,
                TIMER => ready.timer = true,
                BELL => ready.bell = true,
                _ => return Err(Fatal::LauncherGone),
            }
        }
        Ok(ready)
    }

    /// Whether datagrams wake the sleeper: not while a thread of the program looks for them itself.
    pub(super) fn listen(&self, listens: bool) -> Result<(), Fatal> {
        // Errors of the socket are reported in any case; without the edge they would be over and over.
        let flags = if listens { EpollFlags::EPOLLIN } else { EpollFlags::EPOLLET };
        Ok(self.set.modify(&self.socket, &mut EpollEvent::new(flags, SOCKET))?)
    }

    /// Sets the timer, which rings once.
    pub(super) fn ring_after(&self, time: Duration) -> Result<(), Fatal> {
        // Zero would stop the timer.
        let time = TimeSpec::from_duration(time.max(Duration::from_nanos(1)));
        Ok(self.timer.set(Expiration::OneShot(time), TimerSetTimeFlags::empty())?)
    }

    /// Wakes the sleeper.
    pub(super) fn ring(&self) {
        // Full means that it has been rung.
        let _ = self.bell.write(1);
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn watch(socket: &UdpSocket) -> Watch {
        // Nothing is ever written to this one: no faults.
        let faults = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
        Watch::new(&faults, socket, None).unwrap()
    }

    #[test]
    fn datagrams_wake_the_sleeper_only_while_it_listens() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let watch = watch(&socket);
        assert!(!watch.look().unwrap().any());
        watch.listen(false).unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert!(!watch.look().unwrap().socket);
        // What came meanwhile is not forgotten.
        watch.listen(true).unwrap();
        assert!(watch.sleep().unwrap().socket);
    }

    #[test]
    fn bell_and_timer_are_heard_once_for_each_ring() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let watch = watch(&socket);
        for _ in 0..3 {
            watch.ring();
            assert_eq!(watch.sleep().unwrap(), Ready { bell: true, ..Ready::default() });
            watch.ring_after(Duration::ZERO).unwrap();
            assert_eq!(watch.sleep().unwrap(), Ready { timer: true, ..Ready::default() });
            assert!(!watch.look().unwrap().any());
        }
    }
}
