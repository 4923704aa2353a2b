//! A server at node 0, and a client of it at every node.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dsm_core::job::Job;
use dsm_core::{Dsm, Placement};
use rpc::driver::DriverConfig;
use rpc::impair::Impairments;
use rpc::{Client, ClientConfig, Server, ServerHandle, Service};

use super::{Outcome, PairError, measured_with};

/// Handlers that run at once.
const WORKERS: usize = 2;

/// The client's end, and at node 0 the server's.
pub(super) struct Desk {
    client: Client,
    _server: Option<ServerHandle>,
}

impl Desk {
    /// Collective. Node 0 serves what `service` makes, on its own machine.
    pub(super) fn open<S: Service>(dsm: &Dsm, service: impl FnOnce() -> S) -> Result<Desk, PairError> {
        let driver = driver_config(dsm)?;
        let listen = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let port = dsm.alloc::<u64>(1, Placement::Node(0))?;
        let mut server = None;
        if dsm.rank() == 0 {
            let started = Server::builder(driver.clone()).bind(listen(0))?.pool(WORKERS).serve(service()).start()?;
            port.set(0, u64::from(started.local_addr().port()));
            server = Some(started);
        }
        dsm.barrier();
        let client = Client::connect(listen(port.get(0) as u16), ClientConfig { driver, ..ClientConfig::plain() })?;
        Ok(Desk { client, _server: server })
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
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

/// The faults of the job's links are those of the calls, too.
fn driver_config(dsm: &Dsm) -> Result<DriverConfig, PairError> {
    let impairments = Job::from_env().map_err(dsm_core::Error::from)?.map(|job| job.impairments).unwrap_or_default();
    let seed = impairments.seed.wrapping_add(dsm.rank() as u64);
    Ok(DriverConfig { impairments: Impairments { seed, ..impairments }, ..DriverConfig::plain() })
}
