//! Whom an outcome, a job or an answer wakes.

use std::sync::{Arc, Condvar};
use std::task::Waker;
use std::thread::Thread;

use nix::sys::eventfd::EventFd;

use super::bell::ring;

/// Somebody to wake; never under the mutex, because waking a task may run the task.
#[derive(Debug)]
pub(crate) enum Wake {
    Thread(Thread),
    Task(Waker),
    Bell(Arc<EventFd>),
    One(Arc<Condvar>),
    All(Arc<Condvar>),
}

impl Wake {
    pub(crate) fn wake(self) {
        match self {
            Wake::Thread(thread) => thread.unpark(),
            Wake::Task(waker) => waker.wake(),
            Wake::Bell(bell) => ring(&bell),
            Wake::One(signal) => signal.notify_one(),
            Wake::All(signal) => signal.notify_all(),
        }
    }
}
