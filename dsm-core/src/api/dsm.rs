//! A node of a job.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::NodeId;
use rpc::Security;
use rpc::call::{Client, ClientConfig};
use rpc::driver::{Driver, DriverConfig};
use rpc::impair::Impairments;
use rpc::transport::{KeepAlive, TransportConfig};

use crate::engine::{DEAD_AFTER, Engine, Purpose, Shared, Stats};
use crate::error::Error;
use crate::job::Job;
use crate::launch::rendezvous::{RendezvousClient, Roster, RosterEntry};
use crate::mem::{BASE_DEFAULT, Region};

/// How long to wait for nodes that start late, or leave late, before giving up.
const PATIENCE: Duration = Duration::from_secs(600);

static JOINED: AtomicBool = AtomicBool::new(false);

/// This process as a node of a job.
///
/// A process joins once. [`Dsm::finalize`] leaves in an orderly way; a node that ends, or drops its `Dsm`, without it has failed, and the
/// others end with an error that names it. While a job runs, every page of every allocation can be touched from every
/// node; where a page lives and when it moves is the runtime's affair.
///
/// Between nodes, memory is sequentially consistent. Between threads of one node it is what the processor makes it, as in any
/// program with shared memory; the element operations of [`SharedArray`](crate::SharedArray) are relaxed atomics.
///
/// When a node dies, calls that depend on it do not return, and accesses to its pages cannot: the process prints which node it was and ends with
/// status [`EXIT_PEER_LOST`](crate::EXIT_PEER_LOST).
pub struct Dsm {
    pub(super) shared: Arc<Shared>,
    pub(super) region: &'static Region,
    rank: usize,
    size: usize,
    launcher: Option<std::net::SocketAddr>,
    security: Security,
    start: Instant,
    thread: Option<JoinHandle<()>>,
    finalized: bool,
}

impl Dsm {
    /// Joins the job that the environment describes, or makes a job of one node where it describes none. Collective.
    ///
    /// # Errors
    ///
    /// [`Error`]: a malformed environment, no userfaultfd, no socket, no launcher, a second call in one process.
    pub fn join() -> Result<Dsm, Error> {
        Dsm::join_job(&Job::from_env()?.unwrap_or_else(Job::alone))
    }

    /// Joins the job that `job` describes.
    ///
    /// # Errors
    ///
    /// As [`Dsm::join`].
    pub fn join_job(job: &Job) -> Result<Dsm, Error> {
        let me = NodeId::new(job.rank).ok_or_else(|| Error::Placement(format!("there is no node {}", job.rank)))?;
        if JOINED.swap(true, Ordering::AcqRel) {
            return Err(Error::JoinedBefore);
        }
        let lifeline = job.open_lifeline()?;
        // Never unmapped and never closed: threads of the program may touch it until the very end.
        let region: &'static Region = Box::leak(Box::new(Region::new(job.region_bytes, BASE_DEFAULT)?));
        let security = job.security()?;
        let driver = Driver::bind(job.bind, driver_config(job, &security))?;
        let roster = meet(job, &security, &driver)?;
        Dsm::start(me, job, security, region, driver, roster, lifeline)
    }

    fn start(
        me: NodeId,
        job: &Job,
        security: Security,
        region: &'static Region,
        driver: Driver,
        roster: Vec<RosterEntry>,
        lifeline: Option<File>,
    ) -> Result<Dsm, Error> {
        let mut engine = Engine::new(me, driver, region, roster).map_err(|why| Error::Placement(why.to_string()))?;
        if job.prefetch {
            engine.fetch_ahead();
        }
        #[cfg(feature = "planted")]
        let engine = engine.planted()?;
        let (shared, thread) = Shared::start(me, job.poll, engine, lifeline).map_err(Error::Thread)?;
        Ok(Dsm {
            shared,
            region,
            rank: job.rank,
            size: job.size,
            launcher: job.launcher,
            security,
            start: Instant::now(),
            thread: Some(thread),
            finalized: false,
        })
    }

    /// This node's number, from 0 to [`Dsm::size`] less one.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many nodes the job has.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Seconds since this node joined.
    pub fn clock(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// What this node has done so far.
    pub fn stats(&self) -> Stats {
        self.shared.enter(|engine| Ok(engine.stats()))
    }

    /// Leaves the job. Collective: this node serves its pages until every node has come here, and its shared memory is gone
    /// afterwards, which is why nothing that borrows from it can be left.
    ///
    /// # Errors
    ///
    /// [`Error::Launcher`] when the launcher knows of a node that failed, or does not answer.
    pub fn finalize(mut self) -> Result<(), Error> {
        self.finalized = true;
        self.arrive(Purpose::Finalize)?;
        if let Some(launcher) = self.launcher {
            let failed = |why: String| Error::Launcher { launcher, what: "did not let this node leave", why };
            let client =
                Client::connect(launcher, client_config(&self.security)).map_err(|error| failed(error.to_string()))?;
            let answer = RendezvousClient::new(client).finalized(self.rank as u32);
            answer.map_err(|error| failed(error.to_string()))?;
        }
        self.shared.stop();
        if let Some(thread) = self.thread.take() {
            // It has ended the process if it had anything to say.
            let _ = thread.join();
        }
        Ok(())
    }
}

impl Drop for Dsm {
    fn drop(&mut self) {
        if !self.finalized && self.size > 1 {
            eprintln!("dsm: node {}: left the job without finalize; the other nodes will fail", self.rank);
        }
        self.shared.stop();
        // Nobody serves faults any more: a touch through an address that was kept must end the program, not wait for ever.
        // Where the kernel refuses, that is what it does.
        let _ = self.region.retire();
    }
}

/// Every node loses other packets, though all have the job's seed.
fn driver_config(job: &Job, security: &Security) -> DriverConfig {
    let seed = job.impairments.seed.wrapping_add(job.rank as u64 + 1);
    let keep_alive = KeepAlive { dead_after: DEAD_AFTER, ..KeepAlive::default() };
    DriverConfig {
        impairments: Impairments { seed, ..job.impairments },
        transport: TransportConfig {
            keep_alive: Some(keep_alive),
            connect_timeout: DEAD_AFTER,
            ..TransportConfig::new(security.clone())
        },
        ..DriverConfig::new(security.clone())
    }
}

/// A node may be asked to wait for others that start late: the launcher decides when to give up.
fn client_config(security: &Security) -> ClientConfig {
    ClientConfig { timeout: PATIENCE, ..ClientConfig::new(security.clone()) }
}

/// Tells the launcher where we are, and learns where the others are.
fn meet(job: &Job, security: &Security, driver: &Driver) -> Result<Vec<RosterEntry>, Error> {
    let myself = RosterEntry { addr: driver.local_addr(), pid: std::process::id() };
    let Some(launcher) = job.launcher else { return Ok(vec![myself]) };
    let failed = |why: String| Error::Launcher { launcher, what: "did not let this node join", why };
    let client = Client::connect(launcher, client_config(security)).map_err(|error| failed(error.to_string()))?;
    let Roster { nodes } = RendezvousClient::new(client)
        .join(job.rank as u32, myself.addr, myself.pid)
        .map_err(|error| failed(error.to_string()))?;
    if nodes.len() != job.size {
        return Err(failed(format!("it knows of {} nodes, the environment of {}", nodes.len(), job.size)));
    }
    Ok(nodes)
}
