//! A server at node 0, and a client of it at every node.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dsm_core::job::Job;
use dsm_core::{Dsm, Placement};
use rpc::call::Waiting;
use rpc::driver::DriverConfig;
use rpc::impair::Impairments;
use rpc::reflection::ReflectionClient;
use rpc::{Client, ClientConfig, Server, ServerHandle, Service, StartError};

use super::{Outcome, PairError, measured_with};

/// Handlers that run at once.
const WORKERS: usize = 2;

/// The client's end, and at node 0 the server's.
pub struct Desk {
    client: Client,
    server: SocketAddr,
    config: ClientConfig,
    _server: Option<ServerHandle>,
}

impl Desk {
    /// Collective. Node 0 serves what `service` makes, on its own machine.
    ///
    /// # Errors
    /// No memory, no socket, or no thread.
    pub fn open<S: Service>(dsm: &Dsm, service: impl FnOnce() -> S) -> Result<Desk, PairError> {
        let (driver, waiting) = as_in_job(dsm)?;
        let listen = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let port = dsm.alloc::<u64>(1, Placement::Node(0))?;
        let mut server = None;
        if dsm.rank() == 0 {
            let started = Server::builder(driver.clone())
                .bind(listen(0))?
                .pool(WORKERS)
                .waiting(waiting)
                .serve(service())
                .start()?;
            port.set(0, u64::from(started.local_addr().port()));
            server = Some(started);
        }
        dsm.barrier();
        let (at, config) = (listen(port.get(0) as u16), ClientConfig { waiting, driver, ..ClientConfig::plain() });
        let client = Client::connect(at, config.clone())?;
        // Any call opens the session: the nodes' own are open, too.
        ReflectionClient::new(client.clone()).services()?;
        Ok(Desk { client, server: at, config, _server: server })
    }

    /// The client of this node.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Another one, whose requests suffer these faults.
    ///
    /// # Errors
    /// No socket, or no thread.
    pub fn another(&self, impairments: Impairments) -> Result<Client, StartError> {
        let driver = DriverConfig { impairments, ..self.config.driver.clone() };
        Client::connect(self.server, ClientConfig { driver, ..self.config.clone() })
    }

    /// [`super::measured`], with the calls.
    pub(super) fn measured(
        &self,
        dsm: &Dsm,
        work: impl FnOnce() -> Result<u64, PairError>,
    ) -> Result<Outcome, PairError> {
        measured_with(dsm, || self.client.counters().into(), work)
    }
}

/// What the handlers of a server share. One that panics leaves it whole: no handler stops halfway through a change.
pub(super) struct Held<T>(Mutex<T>);

impl<T> Held<T> {
    pub(super) fn new(shared: T) -> Held<T> {
        Held(Mutex::new(shared))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls have the key, the faults and the patience of the job's own links, so that the two ways differ in nothing else.
fn as_in_job(dsm: &Dsm) -> Result<(DriverConfig, Waiting), PairError> {
    let job = Job::from_env().map_err(dsm_core::Error::from)?.unwrap_or_else(Job::alone);
    let seed = job.impairments.seed.wrapping_add(dsm.rank() as u64);
    let security = job.security().map_err(dsm_core::Error::from)?;
    let impairments = Impairments { seed, ..job.impairments };
    Ok((DriverConfig { impairments, ..DriverConfig::new(security) }, Waiting { poll: job.poll }))
}
