//! What each part of RPC over UDP is for: it is switched off, and the same calls are made with and without it.
//!
//! Every [`Lesson`] runs a client and a server of a small service over the loopback interface, with faults that a seed decides,
//! first with one part switched off and then as usual, and tells in a few sentences what came of it. The switches
//! are public settings of the `rpc` crate; `docs/lessons.md` has the table.

mod curriculum;
mod stage;

use std::time::{Duration, Instant};

use rpc::trace::Trace;
use rpc::{CallError, ClientCounters, ServerCounters, StartError};
use thiserror::Error;

pub use curriculum::ALL;
pub use stage::{Blackboard, BlackboardAsyncClient, BlackboardClient, BlackboardServer, Setup, Stage};

/// One part that is switched off.
#[derive(Clone, Copy, Debug)]
pub struct Lesson {
    /// Its name on command lines.
    pub name: &'static str,
    /// What is switched off, and by which setting.
    pub switch: &'static str,
    /// The network and the ends, as usual.
    setup: fn() -> Setup,
    off: fn(&mut Setup),
    /// The calls.
    act: fn(&Stage) -> Result<Tally, LessonError>,
    tell: fn(&Comparison) -> String,
}

impl Lesson {
    /// The lesson of this name.
    pub fn named(name: &str) -> Option<&'static Lesson> {
        ALL.iter().find(|lesson| lesson.name == name)
    }

    /// Makes the calls without the part, and with it.
    ///
    /// # Errors
    /// No socket, or no thread; or there was no session to be had.
    pub fn run(&self, trace: Option<&Trace>) -> Result<Comparison, LessonError> {
        let mut setup = (self.setup)();
        setup.trace(trace);
        let usual = setup.clone();
        (self.off)(&mut setup);
        Ok(Comparison { without: self.make(setup)?, with: self.make(usual)? })
    }

    fn make(&self, setup: Setup) -> Result<Run, LessonError> {
        let stage = Stage::open(setup)?;
        stage.meet()?;
        let (before, executed, start) = (stage.totals(), stage.executions(), Instant::now());
        let tally = (self.act)(&stage)?;
        let took = start.elapsed();
        let executions = stage.executions() - executed;
        let seen = stage.totals().since(&before);
        let (client, server) = stage.counters();
        Ok(Run { tally, executions, took, seen, client, server })
    }

    /// What the runs show, in a few sentences.
    pub fn tell(&self, comparison: &Comparison) -> String {
        (self.tell)(comparison)
    }
}

/// The same calls twice.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The part was switched off.
    pub without: Run,
    /// As usual.
    pub with: Run,
}

/// Some calls, and what they cost.
#[derive(Clone, Debug)]
pub struct Run {
    /// What the caller saw.
    pub tally: Tally,
    /// How often the server's method ran.
    pub executions: u64,
    /// How long the calls took together.
    pub took: Duration,
    /// What both endpoints saw meanwhile.
    pub seen: Totals,
    /// The client's counters, from its start.
    pub client: ClientCounters,
    /// The server's.
    pub server: ServerCounters,
}

/// What a caller saw.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Calls made.
    pub calls: u64,
    /// Of these, the ones that had an answer.
    pub answered: u64,
    /// Of these, the ones that were answered with something else than they should have been, or that the server understood as something
    /// else.
    pub wrong: u64,
    /// Why the last one that had no answer had none.
    pub error: Option<CallError>,
}

impl Tally {
    /// Notes a call: whether its answer was right, or why there was none.
    fn note(&mut self, outcome: Result<bool, CallError>) {
        self.calls += 1;
        match outcome {
            Ok(right) => {
                self.answered += 1;
                self.wrong += u64::from(!right);
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Calls without an answer.
    pub fn failed(&self) -> u64 {
        self.calls - self.answered
    }
}

/// Counts of both endpoints together.
#[derive(Clone, Copy, Default, Debug)]
pub struct Totals {
    /// Datagrams that were sent.
    pub datagrams: u64,
    /// Fragments that were sent again.
    pub retransmissions: u64,
    /// Fragments that had come before, and were dropped.
    pub duplicates: u64,
    /// Datagrams whose checksum did not match, and that were dropped.
    pub damaged: u64,
    /// Datagrams that found the receive buffer full, as far as the kernel has told.
    pub overflows: u64,
}

impl Totals {
    fn since(&self, before: &Totals) -> Totals {
        Totals {
            datagrams: self.datagrams - before.datagrams,
            retransmissions: self.retransmissions - before.retransmissions,
            duplicates: self.duplicates - before.duplicates,
            damaged: self.damaged - before.damaged,
            overflows: self.overflows - before.overflows,
        }
    }
}

/// Why a lesson could not be given.
#[derive(Debug, Error)]
pub enum LessonError {
    /// No socket, or no thread.
    #[error("cannot start: {0}")]
    Start(#[from] StartError),
    /// The client and the server did not find together.
    #[error("the client and the server did not meet on the loopback interface: {0}")]
    NotMet(CallError),
}
