//! The calling side.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, MutexGuard};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Security;
use crate::codec::{self, ByteOrder, Encoded};
use crate::driver::{Driver, DriverConfig};
use crate::names;
use crate::time::{self, Time};
use crate::transport::Counters;

use super::caller::Caller;
use super::context::Context;
use super::endpoint::{Core, Endpoint, Waiting};
use super::error::{CallError, CallErrorKind, Ran, StartError};
use super::in_flight::{Outcome, Target};
use super::message::{CallId, How, MethodId, ServiceId};
use super::named::{Named, NamedCall};
use super::pending::{PendingCall, Scratch};
use super::service::CallKind;
use super::wake::Wake;

/// How a [`Client`] is set up.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// How long a call may take before it fails with [`CallErrorKind::Timeout`]; see [`Client::with_timeout`].
    pub timeout: Duration,
    /// How many calls may be in flight at once; at most 65,536.
    pub in_flight_max: usize,
    /// How many bytes of arguments they may have together. A single call may have more, as far as a message can be that large.
    pub in_flight_bytes_max: usize,
    /// When a session ends: how long its calls wait for the server to be met again, before they fail. The server notices that they
    /// have been sent before.
    pub reconnect: Duration,
    /// How numbers are written. For a lesson: a server that writes them in another way is not understood.
    pub byte_order: ByteOrder,
    /// How to wait for replies.
    pub waiting: Waiting,
    /// The socket, the transport, and the faults to inject.
    pub driver: DriverConfig,
}

impl ClientConfig {
    /// Everything as usual, over a [plain](DriverConfig::plain) driver.
    pub fn plain() -> Self {
        Self::over(DriverConfig::plain())
    }

    /// Everything as usual, for whoever has this [`Key`](crate::Key).
    pub fn new(security: impl Into<Security>) -> Self {
        Self::over(DriverConfig::new(security))
    }

    fn over(driver: DriverConfig) -> Self {
        ClientConfig {
            timeout: Duration::from_secs(10),
            in_flight_max: 4_096,
            in_flight_bytes_max: 256 << 20,
            reconnect: Duration::from_secs(1),
            byte_order: ByteOrder::Network,
            waiting: Waiting::default(),
            driver,
        }
    }
}

/// Calls one server, from any number of threads and tasks. Cheap to clone; clones share the socket and its thread, which end
/// with the last of them.
///
/// The session opens with the first call. When it ends, another is opened for calls that have no reply, and for the next ones: a
/// server that was restarted is found again at its address. A call that was made by a handler does not outlive the deadline
/// of the call that the handler serves ([`Context`]).
#[derive(Clone)]
pub struct Client {
    route: Route,
    timeout: Duration,
    order: ByteOrder,
}

/// Where calls go.
#[derive(Clone)]
enum Route {
    To(Arc<Shared>),
    ByName(Arc<Named>),
}

/// What a client has done; plain totals.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientCounters {
    /// Below the calls.
    pub transport: Counters,
    /// Calls made.
    pub calls: u64,
    /// Of these, the ones whose callers gave them up before there was a reply.
    pub cancelled: u64,
    /// Requests that were sent once more, because their session had ended.
    pub repeated: u64,
    /// Times that a server said of such a request that it was not over.
    pub working: u64,
    /// Calls without a reply to come that could not be sent.
    pub oneway_lost: u64,
    /// Replies for which nobody waited any more.
    pub late_replies: u64,
    /// Messages that were no replies.
    pub garbage: u64,
    /// How long threads waited for outcomes, all together. Tasks that await theirs do not count.
    pub waited: Duration,
    /// Calls without an outcome, or with one that nobody has taken yet. Not a total.
    pub in_flight: usize,
}

impl Client {
    /// A client of the server at this address. Does not wait for the server: whether it answers, the first call tells.
    ///
    /// # Errors
    /// [`StartError`] if there is no socket or no thread to be had.
    pub fn connect(server: SocketAddr, config: ClientConfig) -> Result<Client, StartError> {
        let (timeout, order) = (config.timeout, config.byte_order);
        Ok(Client { route: Route::To(Arc::new(Shared::connect(server, config)?)), timeout, order })
    }

    /// A client of whichever server has this name at the [name server](crate::names). Asks for it at the first call, and again
    /// when the server is lost; a call that certainly did not run, and one that may have run but is idempotent, then
    /// goes to another server within the same time limit.
    ///
    /// # Errors
    /// [`StartError`] if there is no socket or no thread to be had, or if the name cannot be one.
    pub fn by_name(binder: SocketAddr, name: &str, config: ClientConfig) -> Result<Client, StartError> {
        names::check_name(name)?;
        let (timeout, order) = (config.timeout, config.byte_order);
        Ok(Client { route: Route::ByName(Arc::new(Named::new(binder, name, config)?)), timeout, order })
    }

    /// The same client with another limit for the calls made through it. A call's time begins when its arguments are encoded.
    pub fn with_timeout(&self, timeout: Duration) -> Client {
        Client { timeout, ..self.clone() }
    }

    /// Calls and blocks until the reply is here. `arguments` is the tuple of the method's arguments.
    ///
    /// # Errors
    /// What happened instead of a reply, and whether the method may have run.
    pub fn call<A: Serialize, R: DeserializeOwned>(
        &self,
        service: ServiceId,
        method: MethodId,
        kind: CallKind,
        arguments: &A,
    ) -> Result<R, CallError> {
        let request = self.request(service, method, kind.into(), arguments)?;
        let outcome = match &self.route {
            Route::To(shared) => shared.call(request),
            Route::ByName(named) => NamedCall::new(Arc::clone(named), request).wait(),
        };
        super::pending::finish(outcome, self.order)
    }

    /// Sends a call now; the reply is to be awaited, or waited for, later.
    pub fn start<A: Serialize, R: DeserializeOwned>(
        &self,
        service: ServiceId,
        method: MethodId,
        kind: CallKind,
        arguments: &A,
    ) -> PendingCall<R> {
        let request = self.request(service, method, kind.into(), arguments);
        match (request, &self.route) {
            (Err(error), _) => PendingCall::failed(error),
            (Ok(request), Route::ByName(named)) => {
                PendingCall::named(NamedCall::begin(Arc::clone(named), request), self.order)
            }
            (Ok(request), Route::To(shared)) => match shared.start(request) {
                Ok(call) => PendingCall::sent(Arc::clone(shared), call, self.order),
                Err(error) => PendingCall::failed(error),
            },
        }
    }

    /// Makes a call that has no reply, and does not wait: it is sent when there is a session and room for it, and runs at most once.
    /// That it has run, nobody will say. Only the first call to a name waits, for the name server.
    ///
    /// # Errors
    /// The call will not be sent, and will not run.
    pub fn send<A: Serialize>(&self, service: ServiceId, method: MethodId, arguments: &A) -> Result<(), CallError> {
        let request = self.request(service, method, How::Oneway, arguments)?;
        match &self.route {
            Route::To(shared) => shared.start(request).map(drop),
            Route::ByName(named) => NamedCall::new(Arc::clone(named), request).wait().map(drop),
        }
    }

    fn request<A: Serialize>(
        &self,
        service: ServiceId,
        method: MethodId,
        how: How,
        arguments: &A,
    ) -> Result<Request, CallError> {
        let mut buffer = Encoded::from(Scratch::get());
        if let Err(error) = codec::encode_lending(self.order, arguments, &mut buffer) {
            return Err(CallError::new(CallErrorKind::Unencodable(error.to_string()), Ran::No));
        }
        let began = time::now();
        let deadline = Context::current_deadline();
        let left = deadline.map_or(Duration::MAX, |deadline| deadline - began);
        let timeout = self.timeout.min(left);
        if timeout.is_zero() {
            return Err(CallError::new(CallErrorKind::Timeout(timeout), Ran::No));
        }
        Ok(Request { target: Target { service, method, how }, began, timeout, arguments: buffer })
    }

    /// What was done so far, by all clones together; by a client of a name, with the server that it calls at present.
    pub fn counters(&self) -> ClientCounters {
        let shared = match &self.route {
            Route::To(shared) => Arc::clone(shared),
            Route::ByName(named) => match named.current() {
                Some(shared) => shared,
                None => return ClientCounters::default(),
            },
        };
        let core = shared.endpoint.lock();
        ClientCounters { transport: core.driver.counters(), waited: core.waited(), ..core.role.counters() }
    }
}

impl From<CallKind> for How {
    fn from(kind: CallKind) -> How {
        match kind {
            CallKind::AtMostOnce => How::AtMostOnce,
            CallKind::Idempotent => How::Idempotent,
        }
    }
}

/// A call that is ready to be made.
pub(crate) struct Request {
    pub(crate) target: Target,
    /// When its time began, with its arguments encoded: what passes until it is sent counts.
    pub(crate) began: Time,
    pub(crate) timeout: Duration,
    /// Encoded.
    pub(crate) arguments: Encoded,
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

/// With so many calls in flight or fewer, the next one is put on the wire at once. With more it may travel with others: replies are
/// due that wake the endpoint's thread.
const EAGER_CALLS: usize = 2;

impl Shared {
    /// To the server at this address.
    pub(crate) fn connect(server: SocketAddr, config: ClientConfig) -> Result<Self, StartError> {
        let mut driver = Driver::bind(own_address(server), config.driver.clone())?;
        // Between machines the way may change, and its beginning with it; and there it is not what a call takes long for.
        if server.ip().is_loopback() {
            driver.dedicate(server)?;
        }
        let caller = Caller::new(server, &config);
        let (endpoint, thread) = Endpoint::start(driver, caller, config.waiting, "rpc-client")?;
        Ok(Shared { endpoint, thread: Some(thread) })
    }

    /// Calls and waits.
    fn call(&self, request: Request) -> Outcome {
        let (mut core, now) = match self.endpoint.try_lock() {
            Some(core) => (core, request.began),
            // That took a while, behind others.
            None => (self.endpoint.lock(), time::now()),
        };
        let inner = &mut *core;
        let begun = inner.role.begin(&mut inner.driver, now, request);
        match begun {
            Ok(call) => self.wait_in(core, now, call),
            Err(error) => {
                self.endpoint.leave(core);
                Err(error)
            }
        }
    }

    /// Begins a call.
    pub(crate) fn start(&self, request: Request) -> Result<CallId, CallError> {
        let mut core = self.endpoint.lock();
        let inner = &mut *core;
        let now = time::now();
        let begun = inner.role.begin(&mut inner.driver, now, request);
        if core.is_awake() || core.role.counters().in_flight > EAGER_CALLS {
            self.endpoint.flush_soon(&mut core);
        } else {
            self.endpoint.flush(&mut core);
        }
        begun
    }

    /// Waits for a call that was begun.
    pub(crate) fn wait(&self, call: CallId) -> Outcome {
        let before = self.endpoint.lock().role.register(call, None);
        drop(before);
        self.wait_in(self.endpoint.lock(), time::now(), call)
    }

    fn wait_in(&self, core: MutexGuard<'_, Core<Caller>>, now: Time, call: CallId) -> Outcome {
        // Who stood there before is a thread or a bell: to drop that does nothing.
        self.endpoint.wait(core, now, |role| role.take(call), |role, waiter| drop(role.register(call, waiter)))
    }

    /// The outcome if there is one; otherwise `waiter` will be woken.
    pub(crate) fn poll(&self, call: CallId, waiter: Waker) -> Option<Outcome> {
        let mut core = self.endpoint.lock();
        let outcome = core.role.take(call);
        let before = if outcome.is_none() { core.role.register(call, Some(Wake::Task(waiter))) } else { None };
        drop(core);
        drop(before);
        outcome
    }

    pub(crate) fn cancel(&self, call: CallId) {
        let mut core = self.endpoint.lock();
        let inner = &mut *core;
        let released = inner.role.cancel(&mut inner.driver, call);
        self.endpoint.leave(core);
        drop(released);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.endpoint.lock().role.stop();
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
