//! From the first node's start to the last one's end.

use std::io::{self, PipeWriter};
use std::marker::PhantomData;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::GRACE;
use super::node::{Node, NodeEnd, signal_name};
use super::output::Output;
use super::rendezvous::Meeting;
use crate::engine::DEAD_AFTER;

/// How long a node that was asked to end (SIGTERM) has before it is killed.
const TERM_WAIT: Duration = Duration::from_secs(1);

/// How long nodes have after a signal that was passed on from outside.
const SIGNAL_WAIT: Duration = Duration::from_secs(2);

/// How long a node may be stopped. Those that share memory with it notice by themselves; who waits for it to join or to leave is told.
const STOPPED_MAX: Duration = DEAD_AFTER;

/// How long to wait until killed grandchildren are out of the process table. They die at once; whoever inherited them may
/// be slow to reap them.
const LINGER_WAIT: Duration = Duration::from_millis(200);

/// What the supervisor reacts to.
pub(super) enum Event {
    /// The node of this rank has ended and waits to be reaped.
    Exited(usize),
    /// The node of this rank was stopped.
    Stopped(usize),
    /// The node of this rank goes on.
    Continued(usize),
    /// Somebody outside wants the job to end, with this signal.
    Signal(i32),
    /// The nodes' output cannot be written any more.
    OutputFailed(io::Error),
    /// All output was carried.
    OutputDone,
}

/// Why a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Every node ended, in its own way or because another had failed.
    Nodes,
    /// A signal asked for it; see [`Control::signal`].
    Signal(i32),
    /// Whoever read the output went away.
    OutputClosed,
    /// The output could not be written, for this reason.
    OutputFailed(String),
}

/// One node's part of an [`Outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOutcome {
    /// The node's number.
    pub rank: usize,
    /// Its process.
    pub pid: u32,
    /// How it ended.
    pub end: NodeEnd,
    /// Whether the launcher ended it: then its end says nothing about the node.
    pub by_launcher: bool,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every node, by rank.
    pub nodes: Vec<NodeOutcome>,
    /// What ended the job.
    pub cause: Cause,
}

impl Outcome {
    /// The job's exit status: 128 + n if signal n ended it; 141, the status of a program that SIGPIPE killed, if its reader
    /// went away; 74 if its output could not be written; otherwise the worst of the nodes', not counting those that the launcher
    /// itself ended.
    pub fn status(&self) -> i32 {
        match self.cause {
            Cause::Signal(signal) => 128 + signal,
            Cause::OutputClosed => 128 + Signal::SIGPIPE as i32,
            Cause::OutputFailed(_) => 74,
            Cause::Nodes => self.nodes.iter().filter(|n| !n.by_launcher).map(|n| n.end.status()).max().unwrap_or(1),
        }
    }
}

/// Asks a running job to end, from any thread.
#[derive(Clone, Debug)]
pub struct Control {
    events: Sender<Event>,
}

impl Control {
    /// Passes `signal` on to every node and kills those that are left 2 s later. The second signal kills at once.
    pub fn signal(&self, signal: i32) {
        // It fails only when the job is over.
        let _ = self.events.send(Event::Signal(signal));
    }
}

/// How far the end of the job has come.
#[derive(Clone, Copy)]
enum Ending {
    /// It has not begun.
    No,
    /// A node has failed; the others may end by themselves until then.
    Grace(Instant),
    /// All were asked to end; who is left then is killed.
    Asked(Instant),
    /// All were killed.
    Killed,
}

impl Ending {
    /// When to go further.
    fn deadline(self) -> Option<Instant> {
        match self {
            Ending::Grace(until) | Ending::Asked(until) => Some(until),
            Ending::No | Ending::Killed => None,
        }
    }
}

/// A job that has been started. Dropping it kills the nodes.
///
/// It stays on the thread that started it, because the nodes end with that thread.
pub struct Running {
    nodes: Vec<Node>,
    by_launcher: Vec<bool>,
    /// For each node that is stopped: when it counts as failed.
    stopped: Vec<Option<Instant>>,
    output: Output,
    meeting: Meeting,
    /// Its closing is what tells orphaned nodes that the launcher is gone.
    _lifeline: PipeWriter,
    control: Control,
    events: Receiver<Event>,
    ending: Ending,
    cause: Cause,
    output_done: bool,
    _one_thread: PhantomData<*const ()>,
}

impl Running {
    pub(super) fn new(
        nodes: Vec<Node>,
        output: Output,
        meeting: Meeting,
        lifeline: PipeWriter,
        sender: Sender<Event>,
        events: Receiver<Event>,
    ) -> Running {
        Running {
            by_launcher: vec![false; nodes.len()],
            stopped: vec![None; nodes.len()],
            nodes,
            output,
            meeting,
            _lifeline: lifeline,
            control: Control { events: sender },
            events,
            ending: Ending::No,
            cause: Cause::Nodes,
            output_done: false,
            _one_thread: PhantomData,
        }
    }

    /// A handle with which other threads can end the job.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// The nodes' processes, by rank. A number is good until [`Running::wait`] returns.
    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(Node::pid).collect()
    }

    /// Waits until every node has ended, is reaped, and its output is written.
    pub fn wait(mut self) -> Outcome {
        while self.alive() > 0 {
            match self.next_event() {
                Some(event) => self.react(event),
                None => self.overdue(),
            }
        }
        self.linger();
        self.carry_output();
        self.outcome()
    }

    fn alive(&self) -> usize {
        self.nodes.iter().filter(|node| node.end().is_none()).count()
    }

    /// The next event; `None` when something is overdue first.
    fn next_event(&self) -> Option<Event> {
        match self.stopped.iter().copied().chain([self.ending.deadline()]).flatten().min() {
            Some(deadline) => self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
            // `self.control` holds a sender, so this never returns an error.
            None => self.events.recv().ok(),
        }
    }

    fn overdue(&mut self) {
        let now = Instant::now();
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        for (rank, node) in self.nodes.iter().enumerate() {
            if let Some(stopped) = self.stopped.get_mut(rank).filter(|stopped| is_over(**stopped)) {
                *stopped = None;
                let words = format!("node {rank} (pid {}) has been stopped for {STOPPED_MAX:?}", node.pid());
                self.meeting.registry().fail(words.clone());
                self.output.say(words);
            }
        }
        if is_over(self.ending.deadline()) {
            self.escalate();
        }
    }

    fn set_stopped(&mut self, rank: usize, until: Option<Instant>) {
        if let Some(stopped) = self.stopped.get_mut(rank) {
            *stopped = until;
        }
    }

    fn react(&mut self, event: Event) {
        match event {
            Event::Exited(rank) => self.exited(rank),
            Event::Stopped(rank) => self.set_stopped(rank, Some(Instant::now() + STOPPED_MAX)),
            Event::Continued(rank) => self.set_stopped(rank, None),
            Event::Signal(signal) => self.signalled(signal),
            Event::OutputFailed(error) => self.output_failed(error),
            Event::OutputDone => self.output_done = true,
        }
    }

    fn exited(&mut self, rank: usize) {
        self.set_stopped(rank, None);
        let Some(node) = self.nodes.get_mut(rank) else { return };
        let joined = self.meeting.registry().has_joined(rank);
        let deserted = joined && !self.meeting.registry().has_finalized(rank);
        let end = node.reap(|end| if deserted && end == NodeEnd::Exited(0) { NodeEnd::Deserted } else { end });
        let words = format!("node {rank} (pid {}) {end}", node.pid());
        self.meeting.registry().fail(words.clone());
        let ended_by_us = self.by_launcher.get(rank).copied().unwrap_or(false);
        if end == NodeEnd::Exited(0) || ended_by_us || self.cause != Cause::Nodes {
            return;
        }
        match (self.ending, self.alive()) {
            (Ending::No, 1..) => {
                self.output.say(format!("{words}; the others have {} s to end by themselves", GRACE.as_secs()));
                self.ending = Ending::Grace(Instant::now() + GRACE);
            }
            _ => self.output.say(words),
        }
    }

    fn signalled(&mut self, signal: i32) {
        if let Cause::Signal(_) = self.cause {
            return self.kill();
        }
        self.cause = Cause::Signal(signal);
        self.output.say(format!("{}: ending the job; a second one kills it at once", signal_name(signal)));
        self.ask(Signal::try_from(signal).unwrap_or(Signal::SIGTERM), SIGNAL_WAIT);
    }

    fn output_failed(&mut self, error: io::Error) {
        if self.cause != Cause::Nodes {
            return;
        }
        self.cause = match error.kind() {
            io::ErrorKind::BrokenPipe => Cause::OutputClosed,
            _ => Cause::OutputFailed(error.to_string()),
        };
        if let Cause::OutputFailed(why) = &self.cause {
            self.output.say(format!("cannot write the nodes' output: {why}; ending the job"));
        }
        self.ask(Signal::SIGTERM, TERM_WAIT);
    }

    /// The time that the nodes had is over.
    fn escalate(&mut self) {
        match self.ending {
            Ending::Grace(_) => {
                let left: Vec<String> = self.alive_ranks().map(|rank| rank.to_string()).collect();
                self.output.say(format!("ending what is left: node {}", left.join(", ")));
                self.ask(Signal::SIGTERM, TERM_WAIT);
            }
            _ => self.kill(),
        }
    }

    fn alive_ranks(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.end().is_none()).map(|(rank, _)| rank)
    }

    fn ask(&mut self, signal: Signal, wait: Duration) {
        self.signal_all(signal);
        self.ending = Ending::Asked(Instant::now() + wait);
    }

    /// SIGKILL is the one signal that also ends a stopped process.
    fn kill(&mut self) {
        self.signal_all(Signal::SIGKILL);
        self.ending = Ending::Killed;
    }

    fn signal_all(&mut self, signal: Signal) {
        for (node, by_launcher) in self.nodes.iter().zip(&mut self.by_launcher) {
            *by_launcher |= node.end().is_none();
            node.signal(signal);
        }
    }

    /// Killed grandchildren take a moment to vanish; who looks after the launcher has ended should find none.
    fn linger(&self) {
        let deadline = Instant::now() + LINGER_WAIT;
        while self.nodes.iter().any(Node::group_lingers) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the output thread: as long as the reader wants, or, once somebody has asked for the end, as long as a signal allows.
    fn carry_output(&mut self) {
        self.output.finish();
        self.ending =
            if let Cause::Signal(_) = self.cause { Ending::Asked(Instant::now() + SIGNAL_WAIT) } else { Ending::No };
        while !self.output_done {
            match self.next_event() {
                Some(Event::Signal(signal)) => {
                    self.cause = Cause::Signal(signal);
                    return;
                }
                Some(event) => self.react(event),
                None => return,
            }
        }
    }

    fn outcome(self) -> Outcome {
        let nodes = self.nodes.iter().zip(&self.by_launcher).enumerate();
        let nodes = nodes.map(|(rank, (node, by_launcher))| NodeOutcome {
            rank,
            pid: node.pid(),
            end: node.end().unwrap_or(NodeEnd::Signaled(0)),
            by_launcher: *by_launcher,
        });
        Outcome { nodes: nodes.collect(), cause: self.cause.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.output.finish();
    }
}
