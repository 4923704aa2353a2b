//! Starts the programs as real processes, a job at a time.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dsm_core::launch::{self, JobSpec, Sinks};
use rpc::impair::Impairments;

/// A job that takes this long hangs; the test ends it and fails.
const HANG: Duration = Duration::from_secs(240);

/// Jobs take turns: several at once on few cores would only wait for each other.
static TURN: Mutex<()> = Mutex::new(());

/// A link that loses, doubles, reorders and spoils.
pub fn bad_link(seed: u64) -> Impairments {
    Impairments { loss: 0.2, duplicate: 0.05, reorder: 0.1, corrupt: 0.01, seed, ..Impairments::default() }
}

/// Runs a program on `nodes` nodes to its good end; answers what it printed on its standard output.
pub fn run(nodes: usize, program: impl AsRef<Path>, args: &[&str], impairments: Impairments) -> String {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (stdout, stderr) = (Collected::default(), Collected::default());
    let mut spec = JobSpec::new(nodes, program.as_ref());
    spec.args = args.iter().map(Into::into).collect();
    spec.impairments = impairments;
    spec.label = false;
    let sinks = Sinks { stdout: Box::new(stdout.clone()), stderr: Box::new(stderr.clone()) };
    let running = launch::start(spec, sinks).unwrap();
    let control = running.control();
    let (ended, guard) = channel::<()>();
    let guard = std::thread::spawn(move || {
        if guard.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
            control.signal(15);
        }
    });
    let outcome = running.wait();
    drop(ended);
    guard.join().unwrap();
    assert_eq!(outcome.status(), 0, "{outcome:?}\n{}\n{}", stdout.text(), stderr.text());
    stdout.text()
}

/// The last line of an output.
pub fn last_line(output: &str) -> &str {
    output.lines().last().unwrap_or_default()
}

#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Collected {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
