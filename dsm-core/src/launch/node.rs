//! One node's process: started, ended, reaped.

use std::env;
use std::fmt;
use std::io::{self, ErrorKind, IsTerminal};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::output::{Stream, To};
use super::supervise::Event;
use super::{JobSpec, LaunchError};
use crate::job::{EXIT_PEER_LOST, Job, JobSecurity, VARIABLES};
use crate::mem::spawn::tie_to_parent;

/// A waiting thread needs next to no stack.
const WAITER_STACK_BYTES: usize = 64 << 10;

/// How a node's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeEnd {
    /// It exited with this status.
    Exited(i32),
    /// It was killed by this signal.
    Signaled(i32),
    /// It joined the job and exited with status 0 without having finalized: the others may still want its pages.
    Deserted,
}

impl NodeEnd {
    /// The status that stands for this end: 128 + n for signal n, as shells have it.
    pub fn status(self) -> i32 {
        match self {
            NodeEnd::Exited(status) => status,
            NodeEnd::Signaled(signal) => 128 + signal,
            NodeEnd::Deserted => EXIT_PEER_LOST,
        }
    }
}

impl From<ExitStatus> for NodeEnd {
    fn from(status: ExitStatus) -> NodeEnd {
        match (status.code(), status.signal()) {
            (Some(code), _) => NodeEnd::Exited(code),
            (None, signal) => NodeEnd::Signaled(signal.unwrap_or(0)),
        }
    }
}

impl fmt::Display for NodeEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            NodeEnd::Exited(status) => write!(f, "exited with status {status}"),
            NodeEnd::Signaled(signal) => write!(f, "was killed by {}", signal_name(signal)),
            NodeEnd::Deserted => f.write_str("exited with status 0 but never finalized: it deserted the job"),
        }
    }
}

/// `SIGKILL` for 9; `signal 99` for what has no name.
pub(super) fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |known| known.as_str().to_string())
}

/// The descriptors that every node inherits.
pub(super) struct Inherited {
    /// Hangs up when the launcher is gone.
    pub lifeline: Arc<OwnedFd>,
    /// Holds the key, where the job has one.
    pub key: Option<Arc<OwnedFd>>,
}

/// A node's process and its group. Dropping it ends and reaps both.
pub(super) struct Node {
    child: Child,
    end: Option<NodeEnd>,
}

impl Node {
    /// Starts the process; [`Event::Exited`] tells when it has ended and is to be reaped.
    pub(super) fn start(
        spec: &JobSpec,
        job: Job,
        inherited: &Inherited,
        events: Sender<Event>,
    ) -> Result<(Node, [Stream; 2]), LaunchError> {
        let rank = job.rank;
        let security = match &inherited.key {
            Some(key) => JobSecurity::Key(key.as_raw_fd()),
            None => JobSecurity::Plain,
        };
        let job = Job { lifeline: Some(inherited.lifeline.as_raw_fd()), security, ..job };
        let child = command(spec, &job, inherited).spawn().map_err(|source| not_started(spec, rank, source))?;
        let mut node = Node { child, end: None };
        let system = |what| move |source: io::Error| LaunchError::System { what, source };
        let streams = node.streams(spec.label.then(|| format!("[{rank}] "))).map_err(system("a pipe for output"))?;
        node.watch(rank, events).map_err(system("a thread for each node"))?;
        Ok((node, streams))
    }

    fn streams(&mut self, label: Option<String>) -> io::Result<[Stream; 2]> {
        let label = label.unwrap_or_default();
        let missing = || io::Error::other("the child has no pipe");
        let stdout = self.child.stdout.take().ok_or_else(missing)?;
        let stderr = self.child.stderr.take().ok_or_else(missing)?;
        Ok([Stream::new(stdout.into(), &label, To::Stdout)?, Stream::new(stderr.into(), &label, To::Stderr)?])
    }

    /// Starts a thread that tells when the process stops, goes on, and ends. It does not reap it, so that its group's number stays
    /// taken until [`Node::reap`] has used it.
    fn watch(&self, rank: usize, events: Sender<Event>) -> io::Result<()> {
        let pid = self.group();
        let wait = move || {
            let pauses = WaitPidFlag::WSTOPPED | WaitPidFlag::WCONTINUED;
            loop {
                let event = match waitid(Id::Pid(pid), pauses | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
                    Err(Errno::EINTR) => continue,
                    Ok(WaitStatus::Stopped(..)) => Event::Stopped(rank),
                    Ok(WaitStatus::Continued(_)) => Event::Continued(rank),
                    _ => break,
                };
                // Taken, or it would be told again and again.
                let _ = waitid(Id::Pid(pid), pauses | WaitPidFlag::WNOHANG);
                let _ = events.send(event);
            }
            let _ = events.send(Event::Exited(rank));
        };
        thread::Builder::new().name(format!("wait-{rank}")).stack_size(WAITER_STACK_BYTES).spawn(wait).map(drop)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn group(&self) -> Pid {
        // Process ids are positive and far below 2^31 on Linux.
        Pid::from_raw(self.child.id() as i32)
    }

    /// How the node ended, once it was reaped.
    pub(super) fn end(&self) -> Option<NodeEnd> {
        self.end
    }

    /// Sends `signal` to the node's whole group, unless the node was reaped already.
    pub(super) fn signal(&self, signal: Signal) {
        if self.end.is_none() {
            // A group that is gone in this moment needs no signal.
            let _ = killpg(self.group(), signal);
        }
    }

    /// The process has ended: kills what is left of its group, then reaps it. `judge` may think worse of the end than the kernel.
    pub(super) fn reap(&mut self, judge: impl FnOnce(NodeEnd) -> NodeEnd) -> NodeEnd {
        self.signal(Signal::SIGKILL);
        let end = self.child.wait().map_or(NodeEnd::Signaled(0), NodeEnd::from);
        *self.end.insert(judge(end))
    }

    /// Whether processes of the node's group still exist after it was reaped.
    pub(super) fn group_lingers(&self) -> bool {
        killpg(self.group(), None) != Err(Errno::ESRCH)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.reap(|end| end);
        }
    }
}

fn command(spec: &JobSpec, job: &Job, inherited: &Inherited) -> Command {
    let pass_stdin = spec.stdin && job.rank == 0 && !io::stdin().is_terminal();
    let mut command = Command::new(&spec.program);
    command.args(&spec.args);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command.envs(spec.env.iter().map(|(name, value)| (name, value))).envs(job.to_env());
    command.stdin(if pass_stdin { Stdio::inherit() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    let descriptors = [Some(&inherited.lifeline), inherited.key.as_ref()].into_iter().flatten().cloned();
    tie_to_parent(&mut command, descriptors.collect());
    command
}

/// Turns the system's refusal to start the program into an error with a remedy.
fn not_started(spec: &JobSpec, rank: usize, source: io::Error) -> LaunchError {
    let program = spec.program.clone();
    let found = find(Path::new(&program));
    let path = found.as_deref().unwrap_or(Path::new(&spec.program));
    match (source.kind(), found.is_some()) {
        (ErrorKind::NotFound | ErrorKind::NotADirectory, false) => {
            LaunchError::ProgramNotFound { hint: not_found_hint(path), program }
        }
        (ErrorKind::NotFound, true) => {
            let hint = format!("{} is there, but the interpreter or loader that it names is not", path.display());
            LaunchError::NotExecutable { program, hint }
        }
        (ErrorKind::PermissionDenied, _) if path.is_dir() => {
            LaunchError::NotExecutable { program, hint: "it is a directory; name a program".to_string() }
        }
        (ErrorKind::PermissionDenied, _) => {
            LaunchError::NotExecutable { program, hint: format!("it may not be executed; chmod +x {}", path.display()) }
        }
        _ if source.raw_os_error() == Some(Errno::ENOEXEC as i32) => {
            let hint = "it is neither a binary for this machine nor a script that begins with #!".to_string();
            LaunchError::NotExecutable { program, hint }
        }
        _ => LaunchError::Spawn { program: program.into(), rank, source },
    }
}

fn not_found_hint(path: &Path) -> String {
    match path.parent() {
        Some(parent) if parent == Path::new("") && path.exists() => {
            format!("PATH has no such program; say ./{} for the one in this directory", path.display())
        }
        Some(parent) if parent == Path::new("") => {
            "PATH has no such program; give its path, such as target/release/NAME".to_string()
        }
        _ => "no such file; was it built?".to_string(),
    }
}

/// The file that `program` names, searched for as `execvp` does.
fn find(program: &Path) -> Option<PathBuf> {
    if program.parent() != Some(Path::new("")) {
        return program.exists().then(|| program.to_path_buf());
    }
    let runnable = |path: &PathBuf| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let path = env::var_os("PATH").unwrap_or_default();
    let candidates: Vec<PathBuf> = env::split_paths(&path).map(|directory| directory.join(program)).collect();
    candidates.iter().find(|path| runnable(path)).or(candidates.iter().find(|path| path.exists())).cloned()
}
