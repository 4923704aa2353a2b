//! The launcher: starts the nodes of a job on this machine, carries their output, and leaves nothing behind.
//!
//! ```no_run
//! use dsm_core::launch::{self, JobSpec, Sinks};
//!
//! let mut spec = JobSpec::new(4, "./hello");
//! spec.args = vec!["world".into()];
//! let outcome = launch::run(spec, Sinks::inherit()?)?;
//! std::process::exit(outcome.status());
//! # #[allow(unreachable_code)]
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! How a node is held:
//!
//! - It leads a process group of its own. When it ends, what it started in that group is killed; a job that is ended is ended
//!   group by group, which also reaches stopped processes.
//! - The kernel kills it when the launcher's thread is gone, whatever the launcher died of.
//! - It inherits the read end of a pipe, the lifeline, whose write end only the launcher holds. A DSM program below a shell
//!   or another wrapper, which the kernel's rule does not reach, sees it hang up and ends.
//! - It finds the other nodes through the launcher's [`rendezvous`] service.
//! - It inherits the job's key, a fresh one for each job, in a sealed memory file.
//!
//! When a node fails, the others get [`GRACE`] to notice by themselves and to print what they know; then they are ended too.

mod lines;
mod node;
mod output;
mod pin;
mod registry;
pub mod rendezvous;
mod secret;
mod supervise;

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use rpc::impair::Impairments;
use rpc::wire::Integrity;
use rpc::{Key, KeyError, Security};

use crate::job::{Consistency, Job, JobSecurity, NODES_MAX, POLL_DEFAULT, REGION_BYTES_DEFAULT, check_region_bytes};
use node::{Inherited, Node};
use output::Output;
use rendezvous::Meeting;

pub use node::NodeEnd;
pub use output::Sinks;
use pin::Processors;
pub use supervise::{Cause, Control, NodeOutcome, Outcome, Running};

/// How long the other nodes have to end by themselves after one has failed: a little more than they need to notice it.
pub const GRACE: Duration = Duration::from_secs(5);

/// The key of a job: only who has it can talk to its nodes and to its launcher.
#[derive(Clone, Debug)]
pub enum JobKey {
    /// One that is made for this job, and that nobody else ever has.
    Fresh,
    /// This one, for who wants to talk to the nodes.
    Given(Key),
    /// None: datagrams are guarded by a CRC-32 against accidents, and nobody is kept out. For measurements.
    Plain,
}

/// What to start, and how.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// How many nodes, 1 to 64.
    pub nodes: usize,
    /// The program: a path, or a name that is looked up in `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Further variables for the nodes' environment.
    pub env: Vec<(OsString, OsString)>,
    /// Faults to inject into what the nodes send to each other.
    pub impairments: Impairments,
    /// Address space of the shared region in bytes, a multiple of the page size.
    pub region_bytes: u64,
    /// The consistency of allocations that ask for none.
    pub consistency: Consistency,
    /// How long nodes poll for what others are about to send before they sleep; zero never polls.
    pub poll: Duration,
    /// Whether nodes fetch pages ahead of threads that read in streams.
    pub prefetch: bool,
    /// Who may talk to nodes and launcher.
    pub key: JobKey,
    /// The address of node 0's socket; node *n* takes the port *n* above it. Port 0 lets every node take any. Others are best chosen
    /// below those that the kernel gives to whoever asks for any (from 32,768 on: ip(7)).
    pub bind: SocketAddr,
    /// The address of the rendezvous service; port 0 takes any.
    pub listen: SocketAddr,
    /// Whether lines carry `[rank] ` in front.
    pub label: bool,
    /// Whether node 0 reads this process's standard input. A terminal is never passed on, because nodes are background process
    /// groups, which the kernel stops when they read from one. Every other node reads `/dev/null`.
    pub stdin: bool,
    /// Whether each node is bound to its own share of the processors: a thread of the program and the engine then wake each other
    /// without a trip to another, sleeping processor. Good for measuring, and for programs with one thread a node; bad for
    /// nodes that take turns at computing.
    pub pin: bool,
}

impl JobSpec {
    /// A job of `nodes` nodes that run `program`, with labels and every default.
    pub fn new(nodes: usize, program: impl Into<OsString>) -> JobSpec {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        JobSpec {
            nodes,
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            impairments: Impairments::default(),
            region_bytes: REGION_BYTES_DEFAULT,
            consistency: Consistency::default(),
            poll: POLL_DEFAULT,
            prefetch: true,
            key: JobKey::Fresh,
            bind: any,
            listen: any,
            label: true,
            stdin: false,
            pin: false,
        }
    }

    /// The same job seen by node `rank`; what it inherits is still to be filled in.
    fn job(&self, rank: usize, launcher: Option<SocketAddr>) -> Job {
        Job {
            rank,
            size: self.nodes,
            launcher,
            lifeline: None,
            security: JobSecurity::Alone,
            region_bytes: self.region_bytes,
            consistency: self.consistency,
            impairments: self.impairments,
            poll: self.poll,
            prefetch: self.prefetch,
            bind: self.bind_of(rank),
        }
    }

    /// The address that node `rank` binds; `check` has made sure that its port exists.
    fn bind_of(&self, rank: usize) -> SocketAddr {
        let port = match self.bind.port() {
            0 => 0,
            base => base.saturating_add(u16::try_from(rank).unwrap_or(u16::MAX)),
        };
        SocketAddr::new(self.bind.ip(), port)
    }

    /// Refuses what cannot work before anything is started. Nobody else takes the ports of nodes while the sockets are held.
    fn check(&self) -> Result<Vec<UdpSocket>, LaunchError> {
        if !(1..=NODES_MAX).contains(&self.nodes) {
            return Err(LaunchError::NodeCount(self.nodes));
        }
        check_region_bytes(self.region_bytes)
            .map_err(|problem| LaunchError::Region { bytes: self.region_bytes, problem })?;
        for addr in [self.bind, self.listen] {
            if addr.ip().is_unspecified() {
                return Err(LaunchError::Unspecified(addr));
            }
        }
        let last = usize::from(self.bind.port()) + self.nodes - 1;
        if self.bind.port() != 0 && last > usize::from(u16::MAX) {
            return Err(LaunchError::Ports { base: self.bind.port(), nodes: self.nodes });
        }
        // Each node binds for itself a moment later; to try it here gives one clear answer before anything runs.
        let bind = |addr| UdpSocket::bind(addr).map_err(|source| LaunchError::Bind { addr, source });
        (0..self.nodes).map(|rank| bind(self.bind_of(rank))).collect()
    }
}

/// Why a job was not started. Nothing of it is running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The count of nodes is 0 or too large.
    #[error("{0} nodes cannot be started: give a number from 1 to {NODES_MAX}")]
    NodeCount(usize),
    /// The region's size cannot work.
    #[error("a region of {bytes} bytes is not possible: {problem}")]
    Region {
        /// The size that was asked for.
        bytes: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// An address stands for every interface, so it tells the others nothing.
    #[error("nobody can be sent to {0}: give the address of one interface, such as 127.0.0.1:0")]
    Unspecified(SocketAddr),
    /// Counting up from the base port leaves the range of ports.
    #[error("{nodes} nodes from port {base} on would need ports above 65535: give a lower port, or 0 for any")]
    Ports {
        /// The port of node 0.
        base: u16,
        /// How many nodes.
        nodes: usize,
    },
    /// An address that a node should bind is not to be had.
    #[error("a node cannot bind {addr}: {source}; {}", bind_remedy(source))]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The rendezvous service could not be started.
    #[error("the launcher cannot serve its nodes at {addr}: {source}; choose another address, or port 0 for any")]
    Rendezvous {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: rpc::StartError,
    },
    /// There is no such program.
    #[error("cannot start {program:?}: {hint}")]
    ProgramNotFound {
        /// As it was given.
        program: OsString,
        /// What to do.
        hint: String,
    },
    /// The program is there and may not be run.
    #[error("cannot start {program:?}: {hint}")]
    NotExecutable {
        /// As it was given.
        program: OsString,
        /// What to do.
        hint: String,
    },
    /// The program could not be started for another reason.
    #[error("cannot start {program:?} as node {rank}: {source}")]
    Spawn {
        /// As it was given.
        program: PathBuf,
        /// The node that failed; those before it have been ended again.
        rank: usize,
        /// The system's answer.
        source: io::Error,
    },
    /// No key could be made for the job.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The launcher lacks something of its own: a pipe, a thread.
    #[error("the launcher cannot work: {what}: {source}")]
    System {
        /// What it needed.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

fn bind_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program has this port: choose another one, or 0 for any",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address",
        io::ErrorKind::PermissionDenied => "ports below 1024 are for the administrator: choose a higher one",
        _ => "choose another address",
    }
}

impl LaunchError {
    /// The exit status for a program that prints this error: 2 for a mistake in what was asked for, 127 for a program that is not
    /// there, 126 for one that cannot be run (as shells have it), otherwise 1.
    pub fn exit_status(&self) -> i32 {
        match self {
            LaunchError::NodeCount(_)
            | LaunchError::Region { .. }
            | LaunchError::Unspecified(_)
            | LaunchError::Ports { .. } => 2,
            LaunchError::ProgramNotFound { .. } => 127,
            LaunchError::NotExecutable { .. } => 126,
            _ => 1,
        }
    }
}

/// Runs a job to its end: [`start`], then [`Running::wait`].
///
/// # Errors
///
/// As for [`start`].
pub fn run(spec: JobSpec, sinks: Sinks) -> Result<Outcome, LaunchError> {
    Ok(start(spec, sinks)?.wait())
}

/// Starts the nodes of a job.
///
/// The nodes live no longer than the calling thread, nor than the value returned.
///
/// # Errors
///
/// What is wrong with `spec`, or what the system refused. Nothing is left running.
pub fn start(spec: JobSpec, sinks: Sinks) -> Result<Running, LaunchError> {
    let ports = spec.check()?;
    let system = |what| move |source: io::Error| LaunchError::System { what, source };
    let (lifeline, lifeline_kept) = io::pipe().map_err(system("a pipe for the lifeline"))?;
    let key = match &spec.key {
        JobKey::Fresh => Some(Key::random()?),
        JobKey::Given(key) => Some(key.clone()),
        JobKey::Plain => None,
    };
    let file = key.as_ref().map(secret::memory_file).transpose().map_err(system("memory for the key"))?;
    let inherited = Inherited { lifeline: Arc::new(lifeline.into()), key: file.map(Arc::new) };
    let security = key.map_or(Security::Plain(Integrity::Crc32), Security::from);
    // Its own port may be any, but none of those.
    let meeting = Meeting::open(spec.listen, spec.nodes, security)?;
    drop(ports);
    let (events, inbox) = channel();

    let mut nodes = Vec::with_capacity(spec.nodes);
    let mut streams = Vec::with_capacity(2 * spec.nodes);
    let pinned = |errno| LaunchError::System { what: "processors to bind nodes to", source: io::Error::from(errno) };
    let processors = spec.pin.then(Processors::look).transpose().map_err(pinned)?;
    for rank in 0..spec.nodes {
        let start = || Node::start(&spec, spec.job(rank, Some(meeting.addr())), &inherited, events.clone());
        let (node, its_streams) = match &processors {
            Some(processors) => processors.bind(rank, spec.nodes, start).map_err(pinned)??,
            None => start()?,
        };
        nodes.push(node);
        streams.extend(its_streams);
    }
    let output = Output::start(streams, sinks, events.clone()).map_err(system("a thread for output"))?;
    Ok(Running::new(nodes, output, meeting, lifeline_kept, events, inbox))
}
