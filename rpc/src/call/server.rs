//! The serving side.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::codec::ByteOrder;
use crate::driver::{Driver, DriverConfig, DriverError};
use crate::names::{self, Keeper, Offer, Registration};
use crate::reflection::{Mirror, ReflectionServer};
use crate::transport::Counters;

use super::client::ClientConfig;
use super::endpoint::{Endpoint, Waiting};
use super::error::StartError;
use super::handler::Services;
use super::pool::Pool;
use super::queue::QueueLimits;
use super::service::Service;
use super::serving::{Limits, Serving};
use super::slots::ReplyLimits;

/// Runs services for whoever calls.
///
/// ```no_run
/// #[rpc::service]
/// pub trait Echo {
///     fn echo(&self, text: String) -> String;
/// }
///
/// struct Parrot;
/// impl Echo for Parrot {
///     fn echo(&self, text: String) -> String {
///         text
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let address = "127.0.0.1:7000".parse()?;
/// let config = rpc::driver::DriverConfig::plain();
/// let server = rpc::Server::builder(config).bind(address)?.pool(4).serve(EchoServer::new(Parrot)).start()?;
///
/// let client = EchoClient::new(rpc::Client::connect(server.local_addr(), rpc::ClientConfig::plain())?);
/// assert_eq!(client.echo("hello".to_owned())?, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server;

impl Server {
    /// A server with as many workers as the machine has processors, at most 1,024 requests and 64 MiB of arguments waiting for
    /// them, and at most 256 MiB of replies waiting for callers.
    /// `config` is the socket's, the transport's, and the faults to inject.
    pub fn builder(config: DriverConfig) -> ServerBuilder {
        ServerBuilder {
            socket: None,
            config,
            waiting: Waiting::default(),
            limits: Limits {
                queue: QueueLimits { requests: 1_024, bytes: 64 << 20 },
                workers: thread::available_parallelism().map_or(1, |count| count.get()),
                replies: ReplyLimits::default(),
                outbox_bytes: 256 << 20,
            },
            services: Vec::new(),
            order: ByteOrder::Network,
            offers: Vec::new(),
            lease: names::LEASE,
        }
    }
}

/// A server in the making.
pub struct ServerBuilder {
    socket: Option<UdpSocket>,
    config: DriverConfig,
    waiting: Waiting,
    limits: Limits,
    services: Vec<Arc<dyn Service>>,
    order: ByteOrder,
    offers: Vec<Result<Offer, StartError>>,
    lease: Duration,
}

impl ServerBuilder {
    /// Where to serve; port 0 is any free one.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn bind(mut self, addr: SocketAddr) -> Result<Self, StartError> {
        let socket = UdpSocket::bind(addr).map_err(|source| DriverError::Bind { addr, source })?;
        self.socket = Some(socket);
        Ok(self)
    }

    /// How many handlers may run at once, at least one. They may block; then this many blocked ones stop the server's progress.
    pub fn pool(mut self, workers: usize) -> Self {
        self.limits.workers = workers.max(1);
        self
    }

    /// How the server waits for requests.
    pub fn waiting(mut self, waiting: Waiting) -> Self {
        self.waiting = waiting;
        self
    }

    /// How much is remembered of calls that are over, in case that they come again.
    pub fn replies(mut self, limits: ReplyLimits) -> Self {
        self.limits.replies = limits;
        self
    }

    /// How many bytes of replies may wait for callers that take them too slowly. With half of that no more requests are taken in.
    pub fn outbox(mut self, bytes: usize) -> Self {
        self.limits.outbox_bytes = bytes;
        self
    }

    /// How many requests, at least one, and how many bytes of their arguments may wait for a worker. What comes beyond is refused
    /// with [`CallErrorKind::Overloaded`](super::CallErrorKind::Overloaded).
    pub fn queue(mut self, requests: usize, bytes: usize) -> Self {
        self.limits.queue = QueueLimits { requests: requests.max(1), bytes };
        self
    }

    /// One more service, beside [`Reflection`](crate::reflection::Reflection), which every server has.
    pub fn serve(mut self, service: impl Service) -> Self {
        self.services.push(Arc::new(service));
        self
    }

    /// How numbers are written. For a lesson: callers that write them in another way are not understood.
    pub fn byte_order(mut self, order: ByteOrder) -> Self {
        self.order = order;
        self
    }

    /// Registers the service that was given last at a [name server](crate::names), from the start of the server to its end, in
    /// the background: the name server may come later, or go and come back. [`ServerHandle::registrations`] tells how it stands.
    pub fn register(mut self, binder: SocketAddr, name: &str) -> Self {
        let offer = match (names::check_name(name), self.services.last()) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), None) => Err(StartError::NothingToRegister(name.to_owned())),
            (Ok(()), Some(service)) => Ok(Offer { binder, name: name.to_owned(), service: service.interface() }),
        };
        self.offers.push(offer);
        self
    }

    /// For how long names stay registered when the server is not there to renew them.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Starts the endpoint's thread and the workers.
    ///
    /// # Errors
    /// [`StartError`]: no address, two services of one number, a name that cannot be one, or the system gave no socket or thread.
    pub fn start(mut self) -> Result<ServerHandle, StartError> {
        let mirror = Mirror(self.services.clone().into());
        self.services.push(Arc::new(ReflectionServer::new(mirror)));
        for (place, service) in self.services.iter().enumerate() {
            if let Some(same) = self.services.iter().take(place).find(|other| other.id() == service.id()) {
                return Err(StartError::SameService(same.name(), service.name()));
            }
        }
        // A method's schema takes a while to be found, and what receives has no time for that later.
        for method in self.services.iter().flat_map(|service| service.methods()) {
            let _ = method.id();
        }
        let offers = self.offers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let socket = self.socket.ok_or(StartError::NotBound)?;
        let to_binders = ClientConfig { driver: self.config.clone(), ..ClientConfig::plain() };
        let mut driver = Driver::from_socket(socket, self.config)?;
        // What a request has waited is of the time that its caller had left.
        driver.time_arrivals();
        if !self.waiting.poll.is_zero() {
            driver.favour();
        }
        let local_addr = driver.local_addr();
        let services = Arc::new(Services { list: self.services, order: self.order });
        let serving = Serving::new(Arc::clone(&services), self.limits);
        let (endpoint, thread) = Endpoint::start(driver, serving, self.waiting, "rpc-server")?;
        // From here on a failure drops the handle, which stops what has been started.
        let mut handle =
            ServerHandle { endpoint, local_addr, pool: Pool::empty(), thread: Some(thread), keepers: Vec::new() };
        Pool::start(&handle.endpoint, &services, self.limits.workers, &mut handle.pool)?;
        for offer in offers {
            handle.keepers.push(Keeper::start(offer, local_addr, self.lease, to_binders.clone())?);
        }
        Ok(handle)
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let services: Vec<_> = self.services.iter().map(|service| service.name()).collect();
        f.debug_struct("ServerBuilder")
            .field("limits", &self.limits)
            .field("services", &services)
            .finish_non_exhaustive()
    }
}

/// What a server has done; plain totals, but for `waiting` and `reply_bytes`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerCounters {
    /// Below the calls.
    pub transport: Counters,
    /// Handlers that returned.
    pub done: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Requests that did not run, for whatever reason.
    pub refused: u64,
    /// Of these, the ones that found the queue full, or longer than their callers would wait.
    pub overloaded: u64,
    /// Of these, the ones whose time was over before they began.
    pub expired: u64,
    /// Calls that their callers gave up before there was a reply.
    pub cancelled: u64,
    /// Requests that came again after their session had ended, and did not run again.
    pub duplicates: u64,
    /// Replies that could not be sent: the caller was gone, or took nothing more.
    pub replies_dropped: u64,
    /// Messages that were no requests.
    pub garbage: u64,
    /// What is remembered of calls that are over, bytes, now.
    pub reply_bytes: usize,
    /// Requests that wait for a worker now.
    pub waiting: usize,
    /// The socket failed; nothing is served any more.
    pub failed: bool,
}

/// A server that runs. Dropping it stops it.
pub struct ServerHandle {
    endpoint: Arc<Endpoint<Serving>>,
    local_addr: SocketAddr,
    pool: Pool,
    thread: Option<JoinHandle<()>>,
    keepers: Vec<Keeper>,
}

impl ServerHandle {
    /// Where it serves.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What was done so far.
    pub fn counters(&self) -> ServerCounters {
        let core = self.endpoint.lock();
        ServerCounters { transport: core.driver.counters(), ..core.role.counters() }
    }

    /// How the names stand under which it is registered.
    pub fn registrations(&self) -> Vec<Registration> {
        self.keepers.iter().map(Keeper::registration).collect()
    }

    /// Withdraws its names, refuses what no handler has begun, waits for the handlers that run (however long they take) and for their
    /// replies to arrive (for a second at most), closes the sessions, and leaves no thread and no socket.
    pub fn stop(self) {}

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // First of all, so that nobody is sent here any more.
        self.keepers.clear();
        let mut core = self.endpoint.lock();
        let inner = &mut *core;
        inner.role.stop(&mut inner.driver);
        self.endpoint.leave(core);
        self.pool.join();
        let mut core = self.endpoint.lock();
        let inner = &mut *core;
        inner.role.linger(&inner.driver);
        drop(core);
        self.endpoint.ring();
        let _ = thread.join();
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerHandle").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}
