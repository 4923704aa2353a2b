//! Runs jobs of the test node (`tests/node`) and keeps what they print.

#![allow(dead_code, reason = "no test program needs all of it")]

#[path = "../turn/mod.rs"]
mod turn;

use std::io::{self, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dsm_core::launch::{self, JobSpec, Outcome, Sinks};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// No job of a test takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(120);

/// How a job ended, and what it printed.
pub struct Ended {
    pub outcome: Outcome,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Fails the test, with everything that was printed, unless every node ended well.
    pub fn expect_success(self, what: &str) -> Ended {
        let Ended { outcome, stdout, stderr } = &self;
        assert_eq!(outcome.status(), 0, "{what}: {outcome:?}\nstdout:\n{stdout}\nstderr:\n{stderr}");
        self
    }
}

/// What a job has printed so far on one of its streams.
#[derive(Clone, Default)]
pub struct Transcript(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Transcript {
    /// Waits until `find` finds something in the text.
    pub fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        let (bytes, changed) = &*self.0;
        let deadline = Instant::now() + HANG;
        let mut bytes = bytes.lock().unwrap();
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some(found) = find(&text) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing was found in\n{text}");
            drop(text);
            bytes = changed.wait_timeout(bytes, left).unwrap().0;
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().unwrap()).into_owned()
    }
}

impl Write for Transcript {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.lock().unwrap().extend_from_slice(bytes);
        self.0.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A job of `nodes` test nodes that play `part`, a name and its arguments.
pub fn spec(nodes: usize, part: &str) -> JobSpec {
    let mut spec = JobSpec::new(nodes, env!("CARGO_BIN_EXE_dsm-test-node"));
    spec.args = part.split_whitespace().map(Into::into).collect();
    spec
}

/// Runs a job to its end.
pub fn run(spec: JobSpec) -> Ended {
    run_with(spec, |_| {})
}

/// Runs a job to its end; in the meantime calls `meanwhile` with what the nodes print on their standard output.
pub fn run_with(spec: JobSpec, meanwhile: impl FnOnce(Transcript)) -> Ended {
    run_watching(spec, |job| meanwhile(job.stdout.clone()))
}

/// A job that runs.
pub struct Job {
    /// What the nodes have printed.
    pub stdout: Transcript,
    /// What they and the launcher have printed there.
    pub stderr: Transcript,
    /// The nodes' processes, by rank.
    pub pids: Vec<Pid>,
}

/// Runs a job to its end; in the meantime calls `meanwhile` with it.
pub fn run_watching(spec: JobSpec, meanwhile: impl FnOnce(&Job)) -> Ended {
    let _turn = turn::one_at_a_time();
    let (stdout, stderr) = (Transcript::default(), Transcript::default());
    let sinks = Sinks { stdout: Box::new(stdout.clone()), stderr: Box::new(stderr.clone()) };
    let running = launch::start(spec, sinks).unwrap();
    let control = running.control();
    let (ended, guard) = channel::<()>();
    let guard = thread::spawn(move || {
        if guard.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
            control.signal(Signal::SIGTERM as i32);
        }
    });
    let pids = running.pids().into_iter().map(|pid| Pid::from_raw(pid as i32)).collect();
    meanwhile(&Job { stdout: stdout.clone(), stderr: stderr.clone(), pids });
    let outcome = running.wait();
    drop(ended);
    guard.join().unwrap();
    Ended { outcome, stdout: stdout.text(), stderr: stderr.text() }
}
