//! One mutex, one driver, one thread that sleeps on the socket: what clients and servers have in common.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle, Thread};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use crate::driver::{Driver, DriverError, Inbox, Incoming};
use crate::time::Time;

use super::error::StartError;

/// What an endpoint is for: its state, and what it does with what comes. Runs under the endpoint's mutex.
pub(crate) trait Role: Send + 'static {
    /// Something came. What is sent here is flushed after the batch.
    fn incoming(&mut self, driver: &mut Driver, incoming: Incoming<'_>);
    /// Does what is due, after each batch.
    fn due(&mut self, driver: &Driver);
    /// When `due` wants to be called next; [`Time::MAX`]: not for its own sake.
    fn next_due(&self) -> Time;
    /// Whether the endpoint's thread should end.
    fn finished(&self) -> bool;
    /// Ends the sessions; the endpoint is closing in good order.
    fn close(&mut self, driver: &mut Driver);
    /// The endpoint's thread has ended, with this failure if any: nothing will come any more.
    fn ended(&mut self, failure: Option<String>);
    /// Whom to wake once the mutex is free again: moved from the role's list to the end of this one.
    fn take_wakes(&mut self, wakes: &mut Vec<Wake>);
}

/// Somebody to wake; never under the mutex, because waking a task may run the task.
#[derive(Debug)]
pub(crate) enum Wake {
    Thread(Thread),
    Task(Waker),
    One(Arc<Condvar>),
    All(Arc<Condvar>),
}

impl Wake {
    pub(crate) fn wake(self) {
        match self {
            Wake::Thread(thread) => thread.unpark(),
            Wake::Task(waker) => waker.wake(),
            Wake::One(signal) => signal.notify_one(),
            Wake::All(signal) => signal.notify_all(),
        }
    }
}

/// What the mutex guards.
pub(crate) struct Core<R> {
    pub(crate) driver: Driver,
    pub(crate) role: R,
    /// Until when the endpoint's thread sleeps if nothing comes; [`Time::ZERO`] while it is awake (or woken), for then it
    /// looks at the timers itself before it sleeps again.
    asleep_until: Time,
}

impl<R: Role> Core<R> {
    fn next_due(&self) -> Time {
        self.role.next_due().min(self.driver.next_timeout().unwrap_or(Time::MAX))
    }
}

/// A driver with a role, shared by the endpoint's thread and everybody who sends.
pub(crate) struct Endpoint<R> {
    core: Mutex<Core<R>>,
    bell: EventFd,
}

impl<R: Role> Endpoint<R> {
    /// Starts the endpoint's thread, which ends when the role is finished.
    pub(crate) fn start(driver: Driver, role: R, name: &str) -> Result<(Arc<Self>, JoinHandle<()>), StartError> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = EventFd::from_flags(flags).map_err(|errno| StartError::Descriptor(errno.into()))?;
        let socket = driver.as_fd().try_clone_to_owned().map_err(StartError::Descriptor)?;
        let core = Core { driver, role, asleep_until: Time::ZERO };
        let endpoint = Arc::new(Endpoint { core: Mutex::new(core), bell });
        let run = Arc::clone(&endpoint);
        let thread =
            thread::Builder::new().name(name.to_owned()).spawn(move || run.run(&socket)).map_err(StartError::Thread)?;
        Ok((endpoint, thread))
    }

    /// A panic inside the mutex ends the endpoint's thread or its worker, whose own guard tells the others; the state is
    /// still good enough for that.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core<R>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Call before releasing the mutex after anything was sent or a deadline was set: if the endpoint's thread would sleep too
    /// long, wakes it.
    pub(crate) fn rearm(&self, core: &mut Core<R>) {
        if core.next_due() < core.asleep_until {
            core.asleep_until = Time::ZERO;
            self.ring();
        }
    }

    /// Wakes the endpoint's thread. A bell that rings already (the counter is full) needs no more ringing.
    pub(crate) fn ring(&self) {
        let _ = self.bell.write(1);
    }

    fn run(&self, socket: &OwnedFd) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.turns(socket)));
        let failure = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("its thread panicked".to_owned()),
        };
        let mut wakes = Vec::new();
        let mut core = self.lock();
        let Core { driver, role, .. } = &mut *core;
        if failure.is_none() {
            role.close(driver);
            driver.flush();
        }
        role.ended(failure);
        role.take_wakes(&mut wakes);
        drop(core);
        wakes.into_iter().for_each(Wake::wake);
    }

    fn turns(&self, socket: &OwnedFd) -> Result<(), DriverError> {
        let mut inbox = Inbox::new();
        let mut wakes = Vec::new();
        loop {
            let mut core = self.lock();
            core.asleep_until = Time::ZERO;
            let Core { driver, role, .. } = &mut *core;
            driver.receive(&mut inbox)?;
            for incoming in inbox.drain() {
                role.incoming(driver, incoming);
            }
            role.due(driver);
            driver.flush();
            role.take_wakes(&mut wakes);
            if role.finished() {
                drop(core);
                wakes.drain(..).for_each(Wake::wake);
                return Ok(());
            }
            let until = core.next_due();
            let now = core.driver.now();
            core.asleep_until = until;
            drop(core);
            wakes.drain(..).for_each(Wake::wake);
            if until > now {
                self.sleep(socket, now, until)?;
            }
        }
    }

    /// Until something can be read, somebody rings, or it is time.
    fn sleep(&self, socket: &OwnedFd, now: Time, until: Time) -> Result<(), DriverError> {
        let timeout = (until < Time::MAX).then(|| TimeSpec::from_duration(until - now));
        let mut ready =
            [PollFd::new(socket.as_fd(), PollFlags::POLLIN), PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut ready, timeout, None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(()),
            Err(errno) => return Err(DriverError::Receive(io::Error::from(errno))),
        }
        if ready[1].any().unwrap_or(false) {
            // Nothing to read means that somebody else's ring was read with ours.
            let _ = self.bell.read();
        }
        Ok(())
    }
}
