//! The serving side.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::driver::{Driver, DriverConfig, DriverError};
use crate::transport::Counters;

use super::endpoint::{Endpoint, Waiting};
use super::error::StartError;
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
        }
    }
}

/// A server in the making.
pub struct ServerBuilder {
    socket: Option<UdpSocket>,
    config: DriverConfig,
    waiting: Waiting,
    limits: Limits,
    services: Vec<Box<dyn Service>>,
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

    /// One more service.
    pub fn serve(mut self, service: impl Service) -> Self {
        self.services.push(Box::new(service));
        self
    }

    /// Starts the endpoint's thread and the workers.
    ///
    /// # Errors
    /// [`StartError`]: no address, two services of one number, or the system gave no socket or thread.
    pub fn start(self) -> Result<ServerHandle, StartError> {
        for (place, service) in self.services.iter().enumerate() {
            if let Some(same) = self.services.iter().take(place).find(|other| other.id() == service.id()) {
                return Err(StartError::SameService(same.name(), service.name()));
            }
        }
        let socket = self.socket.ok_or(StartError::NotBound)?;
        let driver = Driver::from_socket(socket, self.config)?;
        let local_addr = driver.local_addr();
        let services = self.services.into();
        let serving = Serving::new(Arc::clone(&services), self.limits);
        let (endpoint, thread) = Endpoint::start(driver, serving, self.waiting, "rpc-server")?;
        // From here on a failure drops the handle, which stops what has been started.
        let mut handle = ServerHandle { endpoint, local_addr, pool: Pool::empty(), thread: Some(thread) };
        Pool::start(&handle.endpoint, &services, self.limits.workers, &mut handle.pool)?;
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

    /// Refuses what no handler has begun, waits for the handlers that run (however long they take) and for their
    /// replies to arrive (for a second at most), closes the sessions, and leaves no thread and no socket.
    pub fn stop(self) {}

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
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
