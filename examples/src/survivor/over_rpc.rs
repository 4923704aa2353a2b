//! Over RPC: workers with a name, and a master that calls whoever has it.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rpc::driver::DriverConfig;
use rpc::names::{BinderServer, Limits, NameServer, RegistrationState};
use rpc::{CallError, Client, ClientConfig, Server, StartError};
use thiserror::Error;

use super::{Ending, FATAL, Process, SHARES, die, primes_of};

/// The workers' name.
const NAME: &str = "primes";
/// Longest that a share may take, a worker's death included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Any free port of this machine.
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What a worker does.
#[rpc::service]
pub trait Primes {
    /// Primes in a share. To count them again does no harm.
    #[rpc(idempotent)]
    fn count(&self, share: u64) -> u64;
}

/// Counts; one that is to die does so in the midst of a share.
struct Counter {
    mortal: bool,
    begun: AtomicU64,
}

impl Primes for Counter {
    fn count(&self, share: u64) -> u64 {
        if self.begun.fetch_add(1, Ordering::Relaxed) + 1 == FATAL && self.mortal {
            die();
        }
        primes_of(share)
    }
}

/// Why the job failed.
#[derive(Debug, Error)]
pub enum RunError {
    /// No socket, or no thread.
    #[error("cannot start: {0}")]
    Start(#[from] StartError),
    /// A worker cannot be started.
    #[error("cannot start a worker: {0}")]
    Worker(#[from] io::Error),
    /// No worker answered.
    #[error("no worker has counted the share: {0}")]
    Call(#[from] CallError),
}

/// Serves under the name at this name server, until standard input closes.
///
/// # Errors
/// No socket, or no thread.
pub fn work(binder: SocketAddr, mortal: bool) -> Result<(), RunError> {
    let counter = Counter { mortal, begun: AtomicU64::new(0) };
    let builder = Server::builder(DriverConfig::plain()).bind(ANYWHERE)?.serve(PrimesServer::new(counter));
    let server = builder.register(binder, NAME).start()?;
    let registered = || server.registrations().iter().all(|it| it.state == RegistrationState::Registered);
    let start = Instant::now();
    while !registered() {
        if start.elapsed() > PATIENCE {
            return Err(io::Error::other("the name server does not answer").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("working at {}", server.local_addr());
    // Whoever started it is gone when this ends.
    let _ = io::stdin().read(&mut [0]);
    Ok(())
}

/// Runs the job: a name server and a master in this process, two workers in processes of their own, of which the first dies.
///
/// # Errors
/// [`RunError`]: the workers are ended in any case.
pub fn run(process: &Process) -> Result<Ending, RunError> {
    let names = Server::builder(DriverConfig::plain()).bind(ANYWHERE)?;
    let names = names.serve(BinderServer::new(NameServer::new(Limits::default()))).start()?;
    let client =
        Client::by_name(names.local_addr(), NAME, ClientConfig { timeout: PATIENCE, ..ClientConfig::plain() })?;
    let workers = PrimesClient::new(client);

    let first = Worker::start(process, names.local_addr(), true)?;
    let mut primes = workers.count(0)?;
    // The master has found the first, and stays with it.
    let second = Worker::start(process, names.local_addr(), false)?;
    let mut pause = Duration::ZERO;
    for share in 1..SHARES {
        let start = Instant::now();
        primes += workers.count(share)?;
        pause = pause.max(start.elapsed());
    }
    let said = format!("the worker at {} died, and the one at {} went on", first.place, second.place);
    Ok(Ending { done: SHARES, primes: Some(primes), pause, said })
}

/// A worker's process. Dropping it ends it.
struct Worker {
    child: Child,
    place: String,
}

impl Worker {
    fn start(process: &Process, binder: SocketAddr, mortal: bool) -> Result<Worker, RunError> {
        let mut command = Command::new(&process.program);
        command.args(&process.words).arg(binder.to_string()).args(mortal.then_some("--mortal"));
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut worker = Worker { child, place: String::new() };
        let mut line = String::new();
        if let Some(out) = worker.child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let place =
            line.trim().strip_prefix("working at ").ok_or_else(|| io::Error::other("it said nothing and ended"))?;
        worker.place = place.to_string();
        Ok(worker)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
