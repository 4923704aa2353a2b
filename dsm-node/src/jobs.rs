//! Jobs of this same program, run behind the scenes.

use std::io::{self, Write};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use dsm_core::launch::{self, Cause, Control, JobSpec, Sinks};
use signal_hook::consts::SIGTERM;

use crate::signals;

/// A job of `nodes` nodes of this same program: `dsm-node ARGS`.
pub fn own(nodes: usize, args: &[String]) -> Result<JobSpec, Interrupted> {
    let program = std::env::current_exe()
        .map_err(|error| Interrupted::Failed(format!("cannot find this program's own file: {error}")))?;
    let mut spec = JobSpec::new(nodes, program);
    spec.args = args.iter().map(Into::into).collect();
    spec.label = false;
    Ok(spec)
}

/// Why a job gave nothing.
pub enum Interrupted {
    /// Somebody pressed Ctrl-C, or the like.
    Signal(i32),
    /// What went wrong, and what the nodes said.
    Failed(String),
}

/// Runs jobs, and ends the one that runs when a signal comes.
pub struct Jobs {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    running: Option<Control>,
    signal: Option<i32>,
}

impl Jobs {
    /// From now on, signals that ask this program to end are ours.
    pub fn new() -> Result<Jobs, Interrupted> {
        let failed = |error: io::Error| Interrupted::Failed(format!("cannot watch for signals: {error}"));
        let mut signals = signals::collect().map_err(failed)?;
        let state = Arc::new(Mutex::new(State::default()));
        let watched = Arc::clone(&state);
        let watch = move || {
            for signal in signals.forever() {
                let mut state = lock(&watched);
                state.signal.get_or_insert(signal);
                if let Some(control) = &state.running {
                    control.signal(signal);
                }
            }
        };
        thread::Builder::new().name("signals".to_string()).spawn(watch).map_err(failed)?;
        Ok(Jobs { state })
    }

    /// Runs a job to its end, and gives each line that the nodes print to `take`.
    pub fn run(
        &self,
        spec: JobSpec,
        mut take: impl FnMut(&str) -> Result<(), String> + Send,
    ) -> Result<(), Interrupted> {
        let (lines, printed) = channel();
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let sinks = Sinks {
            stdout: Box::new(Lines { lines, rest: Vec::new() }),
            stderr: Box::new(Keep(Arc::clone(&complaints))),
        };
        let (status, taken) = thread::scope(|scope| {
            let reader = scope.spawn(move || printed.iter().try_for_each(|line| take(&line)));
            (self.supervise(spec, sinks), reader.join())
        });
        let status = status?;
        if let Some(signal) = lock(&self.state).signal {
            return Err(Interrupted::Signal(signal));
        }
        if status != 0 {
            let words = String::from_utf8_lossy(&lock(&complaints)).trim().to_string();
            return Err(Interrupted::Failed(format!("a job ended with status {status}\n{words}")));
        }
        taken.unwrap_or_else(|_| Err("the reader of the job's lines failed".to_string())).map_err(Interrupted::Failed)
    }

    /// Ends the job that runs, if one does; from any thread.
    pub fn end(&self) {
        if let Some(control) = &lock(&self.state).running {
            control.signal(SIGTERM);
        }
    }

    fn supervise(&self, spec: JobSpec, sinks: Sinks) -> Result<i32, Interrupted> {
        let running = launch::start(spec, sinks).map_err(|error| Interrupted::Failed(error.to_string()))?;
        {
            let mut state = lock(&self.state);
            // A signal that came before there was anything to end.
            if let Some(signal) = state.signal {
                running.control().signal(signal);
            }
            state.running = Some(running.control());
        }
        let outcome = running.wait();
        lock(&self.state).running = None;
        match outcome.cause {
            Cause::Signal(signal) => Err(Interrupted::Signal(signal)),
            _ => Ok(outcome.status()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cuts what is written into lines and passes them on.
struct Lines {
    lines: Sender<String>,
    rest: Vec<u8>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            // Nobody listens any more when the job has failed.
            let _ = self.lines.send(String::from_utf8_lossy(&line).trim_end().to_string());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Keep(Arc<Mutex<Vec<u8>>>);

impl Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
