//! The calling side.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::driver::{Driver, DriverConfig, Incoming};
use crate::time::Time;
use crate::transport::{Channel, Counters, Peer, SendError};

use super::endpoint::{Core, Endpoint, Role, Wake};
use super::error::{CallError, CallErrorKind, Ran, StartError};
use super::in_flight::{InFlight, Outcome, Waiter};
use super::message::{self, CallId, Message, MethodId, ServiceId};
use super::pending::{PendingCall, Scratch};
use super::service::CallKind;

/// How a [`Client`] is set up.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// How long a call may take before it fails with [`CallErrorKind::Timeout`]; see [`Client::with_timeout`].
    pub timeout: Duration,
    /// How many calls may be in flight at once.
    pub in_flight_max: usize,
    /// The socket, the transport, and the faults to inject.
    pub driver: DriverConfig,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig { timeout: Duration::from_secs(10), in_flight_max: 4_096, driver: DriverConfig::default() }
    }
}

/// Calls one server, from any number of threads and tasks. Cheap to clone; clones share the socket and its thread, which end
/// with the last of them.
///
/// The session opens with the first call. When it ends, its calls fail, and the next call opens another: a server
/// that was restarted is found again at its address.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    timeout: Duration,
}

/// What a client has done; plain totals.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientCounters {
    /// Below the calls.
    pub transport: Counters,
    /// Calls sent.
    pub calls: u64,
    /// Replies for which nobody waited any more.
    pub late_replies: u64,
    /// Messages that were no replies.
    pub garbage: u64,
    /// Calls without an outcome, or with one that nobody has taken yet. Not a total.
    pub in_flight: usize,
}

impl Client {
    /// A client of the server at this address. Does not wait for the server: whether it answers, the first call tells.
    ///
    /// # Errors
    /// [`StartError`] if there is no socket or no thread to be had.
    pub fn connect(server: SocketAddr, config: ClientConfig) -> Result<Client, StartError> {
        let driver = Driver::bind(own_address(server), config.driver)?;
        let caller = Caller {
            server,
            session: None,
            table: InFlight::new(config.in_flight_max),
            counters: ClientCounters::default(),
            stop: false,
            failure: None,
        };
        let (endpoint, thread) = Endpoint::start(driver, caller, "rpc-client")?;
        Ok(Client { shared: Arc::new(Shared { endpoint, thread: Some(thread) }), timeout: config.timeout })
    }

    /// The same client with another limit for the calls made through it.
    pub fn with_timeout(&self, timeout: Duration) -> Client {
        Client { shared: Arc::clone(&self.shared), timeout }
    }

    /// Calls and blocks until the reply is here. `arguments` is the tuple of the method's arguments.
    ///
    /// # Errors
    /// What happened instead of a reply, and whether the method may have run.
    pub fn call<A: Serialize, R: DeserializeOwned>(
        &self,
        service: ServiceId,
        method: MethodId,
        _kind: CallKind,
        arguments: &A,
    ) -> Result<R, CallError> {
        let waiter = Waiter::Thread(thread::current());
        let call = self.shared.begin(service, method, arguments, self.timeout, Some(waiter))?;
        loop {
            thread::park();
            if let Some(outcome) = self.shared.take(call, Waiter::Thread(thread::current())) {
                return super::pending::finish(outcome);
            }
        }
    }

    /// Sends a call now; the reply is to be awaited, or waited for, later.
    pub fn start<A: Serialize, R: DeserializeOwned>(
        &self,
        service: ServiceId,
        method: MethodId,
        _kind: CallKind,
        arguments: &A,
    ) -> PendingCall<R> {
        match self.shared.begin(service, method, arguments, self.timeout, None) {
            Ok(call) => PendingCall::sent(Arc::clone(&self.shared), call),
            Err(error) => PendingCall::failed(error),
        }
    }

    /// Sends a call that has no reply, and does not wait.
    ///
    /// # Errors
    /// The call was not sent, and will not run.
    pub fn send<A: Serialize>(&self, service: ServiceId, method: MethodId, arguments: &A) -> Result<(), CallError> {
        let call = self.shared.begin(service, method, arguments, self.timeout, None)?;
        self.shared.cancel(call);
        Ok(())
    }

    /// What was done so far, by all clones together.
    pub fn counters(&self) -> ClientCounters {
        let core = self.shared.endpoint.lock();
        let counters = core.role.counters;
        ClientCounters { transport: core.driver.counters(), in_flight: core.role.table.len(), ..counters }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A client on the same machine stays off the network.
fn own_address(server: SocketAddr) -> SocketAddr {
    let ip = match server.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_loopback() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}

/// What all clones of a client, and its calls, share.
pub(crate) struct Shared {
    endpoint: Arc<Endpoint<Caller>>,
    thread: Option<JoinHandle<()>>,
}

impl Shared {
    fn begin<A: Serialize>(
        &self,
        service: ServiceId,
        method: MethodId,
        arguments: &A,
        timeout: Duration,
        waiter: Option<Waiter>,
    ) -> Result<CallId, CallError> {
        let mut buffer = Scratch::get();
        if let Err(error) = codec::encode(arguments, &mut buffer) {
            return Err(CallError::new(CallErrorKind::Unencodable(error.to_string()), Ran::No));
        }
        let mut core = self.endpoint.lock();
        let Core { driver, role, .. } = &mut *core;
        let call = role.table.reserve()?;
        let sent = role.send(driver, &message::request_header(call, service, method), &buffer);
        let begun = sent.map(|peer| {
            let now = driver.now();
            role.table.begin(call, peer, now, timeout, waiter, buffer);
            role.counters.calls += 1;
            call
        });
        // Even a call that was not taken may have begun to open the session.
        driver.flush();
        self.endpoint.rearm(&mut core);
        begun
    }

    /// The outcome if there is one; otherwise `waiter` will be woken.
    pub(crate) fn take(&self, call: CallId, waiter: Waiter) -> Option<Outcome> {
        let mut waiter = Some(waiter);
        let outcome = self.endpoint.lock().role.table.take(call, &mut waiter);
        drop(waiter);
        outcome
    }

    pub(crate) fn cancel(&self, call: CallId) {
        let released = self.endpoint.lock().role.table.cancel(call);
        drop(released);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.endpoint.lock().role.stop = true;
        self.endpoint.ring();
        if let Some(thread) = self.thread.take() {
            // The last clone may go in a task that the endpoint's own thread has just woken: that thread cannot wait
            // for itself, and ends right after.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// The client's state under the mutex.
pub(crate) struct Caller {
    server: SocketAddr,
    session: Option<Session>,
    table: InFlight,
    counters: ClientCounters,
    stop: bool,
    failure: Option<String>,
}

/// The session that new calls go to.
#[derive(Clone, Copy)]
struct Session {
    peer: Peer,
    /// Until then nothing has been transmitted: calls wait in the transport.
    up: bool,
}

impl Caller {
    fn send(&mut self, driver: &mut Driver, header: &[u8], arguments: &[u8]) -> Result<Peer, CallError> {
        if let Some(failure) = &self.failure {
            return Err(CallError::new(CallErrorKind::Closed(failure.clone()), Ran::No));
        }
        // A session found dead is replaced once; its calls fail when the driver reports the loss.
        for _ in 0..2 {
            let peer = match self.session {
                Some(session) => session.peer,
                None => {
                    let peer = driver.connect(self.server)?;
                    self.session = Some(Session { peer, up: false });
                    peer
                }
            };
            match driver.send(peer, Channel::CALL, &[header, arguments]) {
                Ok(()) => return Ok(peer),
                Err(SendError::Gone) => self.session = None,
                Err(error) => return Err(error.into()),
            }
        }
        Err(SendError::Gone.into())
    }
}

impl Role for Caller {
    fn incoming(&mut self, _driver: &mut Driver, incoming: Incoming<'_>) {
        match incoming {
            // Perhaps one that this side did not ask for: a server that restarted may open the next session itself.
            Incoming::Up { peer, addr, .. } if addr == self.server => self.session = Some(Session { peer, up: true }),
            // Somebody else, who found this port: it gets no calls, and no answers.
            Incoming::Up { .. } => {}
            Incoming::Message { peer, channel: Channel::CALL, body } => match Message::parse(body) {
                Some(Message::Reply { call, status, body }) => {
                    if !self.table.complete(call, peer, status, body) {
                        self.counters.late_replies += 1;
                    }
                }
                _ => self.counters.garbage += 1,
            },
            Incoming::Message { .. } => self.counters.garbage += 1,
            Incoming::Lost { peer, reason, .. } => {
                let current = self.session.filter(|session| session.peer == peer);
                let ran = if current.is_some_and(|session| !session.up) { Ran::No } else { Ran::Maybe };
                if current.is_some() {
                    self.session = None;
                }
                self.table.fail_peer(peer, &CallError::new(CallErrorKind::PeerLost { reason }, ran));
            }
        }
    }

    fn due(&mut self, driver: &Driver) {
        self.table.expire(driver.now());
    }

    fn next_due(&self) -> Time {
        self.table.next_due()
    }

    fn finished(&self) -> bool {
        self.stop
    }

    fn close(&mut self, driver: &mut Driver) {
        if let Some(session) = self.session.take() {
            driver.close(session.peer);
        }
    }

    fn ended(&mut self, failure: Option<String>) {
        let failure = failure.unwrap_or_else(|| "it was closed".to_owned());
        self.table.fail_all(&CallError::new(CallErrorKind::Closed(failure.clone()), Ran::Maybe));
        self.failure = Some(failure);
    }

    fn take_wakes(&mut self, wakes: &mut Vec<Wake>) {
        self.table.take_wakes(wakes);
    }
}
