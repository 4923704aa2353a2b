//! The server's side of a registration: a thread that renews the lease for as long as the server serves.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::call::{Client, ClientConfig, Interface, StartError};

use super::{BinderClient, Entry, LEASE_MAX};

/// A lease is renewed this often before it would end.
const RENEWALS_PER_LEASE: u32 = 3;
/// How long after a failure the name server is asked again.
const RETRY: Duration = Duration::from_secs(1);
/// How long a stopping server waits for its withdrawal to arrive. The lease ends without it, too.
const FAREWELL: Duration = Duration::from_millis(500);

/// What is to be registered, and where.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) binder: SocketAddr,
    pub(crate) name: String,
    pub(crate) service: &'static Interface,
}

/// How a registration stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The name.
    pub name: String,
    /// The name server.
    pub binder: SocketAddr,
    /// How it stands.
    pub state: RegistrationState,
}

/// Whether clients find the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegistrationState {
    /// The name server has not answered yet.
    Asked,
    /// It is registered.
    Registered,
    /// It is not, for this reason. It will be tried again.
    Failed(String),
}

/// Keeps one registration alive, and withdraws it when dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    offer: Offer,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stop: Condvar,
}

#[derive(Debug)]
struct State {
    registration: RegistrationState,
    stop: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    /// Registers the server at `local` in the background, for `lease` at a time. `config` is for calls to the name server.
    pub(crate) fn start(
        offer: Offer,
        local: SocketAddr,
        lease: Duration,
        config: ClientConfig,
    ) -> Result<Keeper, StartError> {
        let state = State { registration: RegistrationState::Asked, stop: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), stop: Condvar::new() });
        let binder = BinderClient::new(Client::connect(offer.binder, config)?);
        let entry = Entry {
            name: offer.name.clone(),
            addr: local,
            incarnation: RandomState::new().hash_one(local),
            service: offer.service.name.to_owned(),
            version: offer.service.version,
            schema: offer.service.schema().hash,
        };
        let renewal = Renewal { binder, entry, lease: lease.min(LEASE_MAX), towards: offer.binder };
        let run = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("rpc-lease".to_owned())
            .spawn(move || renewal.run(&run))
            .map_err(StartError::Thread)?;
        Ok(Keeper { offer, shared, thread: Some(thread) })
    }

    /// How it stands.
    pub(crate) fn registration(&self) -> Registration {
        let state = self.shared.state().registration.clone();
        Registration { name: self.offer.name.clone(), binder: self.offer.binder, state }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.state().stop = true;
        self.shared.stop.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread needs.
struct Renewal {
    binder: BinderClient,
    entry: Entry,
    lease: Duration,
    towards: SocketAddr,
}

impl Renewal {
    fn run(mut self, shared: &Shared) {
        loop {
            let (registration, pause) = match self.register() {
                Ok(lease) => (RegistrationState::Registered, lease / RENEWALS_PER_LEASE),
                Err(why) => (RegistrationState::Failed(why), RETRY.min(self.lease / RENEWALS_PER_LEASE)),
            };
            let mut state = shared.state();
            state.registration = registration;
            let waited = shared.stop.wait_timeout_while(state, pause, |state| !state.stop);
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.stop {
                break;
            }
        }
        let farewell = BinderClient::new(self.binder.client().with_timeout(FAREWELL));
        // If it does not arrive, the lease ends by itself.
        let _ = farewell.withdraw(self.entry.name, self.entry.addr, self.entry.incarnation);
    }

    fn register(&mut self) -> Result<Duration, String> {
        if self.entry.addr.ip().is_unspecified() {
            let ip = own_ip(self.towards).map_err(|error| format!("no way to {}: {error}", self.towards))?;
            self.entry.addr.set_ip(ip);
        }
        let lease_ms = u32::try_from(self.lease.as_millis()).unwrap_or(u32::MAX);
        let granted = self.binder.register(self.entry.clone(), lease_ms);
        granted.map(|ms| Duration::from_millis(u64::from(ms))).map_err(|failure| failure.to_string())
    }
}

/// The address that this machine has on the way there: a server that listens on all of them registers this one.
fn own_ip(towards: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match towards {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Connecting a UDP socket sends nothing; it chooses the way.
    socket.connect(towards)?;
    Ok(socket.local_addr()?.ip())
}
