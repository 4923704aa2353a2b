//! Calls to a name: to one of its servers, and to another when that one is lost.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use crate::codec::{self, ByteOrder, Encoded};
use crate::names::{BinderClient, Entry, NameError};
use crate::time::{self, Time};

use super::body::Body;
use super::client::{ClientConfig, Request, Shared};
use super::error::{CallError, CallErrorKind, Ran, StartError};
use super::in_flight::{Outcome, Target};
use super::interface::Method;
use super::message::{CallId, How, Status};
use super::pending::finish;

/// The name server's method.
const RESOLVE: &Method = match BinderClient::INTERFACE.method("resolve") {
    Some(method) => method,
    None => panic!("the binder resolves names"),
};

/// What all clones of a client of a name share.
pub(crate) struct Named {
    name: String,
    binder_addr: SocketAddr,
    binder: Arc<Shared>,
    config: ClientConfig,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where calls go.
    current: Option<Server>,
    /// The servers of the name, as far as known: they are tried when the name server cannot be asked.
    known: Vec<SocketAddr>,
}

#[derive(Clone)]
struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Named {
    /// Of the servers that have this name there.
    pub(crate) fn new(binder: SocketAddr, name: &str, config: ClientConfig) -> Result<Self, StartError> {
        let asked = Arc::new(Shared::connect(binder, config.clone())?);
        Ok(Named {
            name: name.to_owned(),
            binder_addr: binder,
            binder: asked,
            config,
            state: Mutex::new(State::default()),
        })
    }

    /// The server that calls go to at present.
    pub(crate) fn current(&self) -> Option<Arc<Shared>> {
        self.state().current.as_ref().map(|server| Arc::clone(&server.shared))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls go to this server from now on, unless they go to another already that this call has not tried.
    fn turn_to(&self, addr: SocketAddr, tried: &[SocketAddr]) -> Result<Server, CallError> {
        if let Some(server) = self.untried(tried) {
            return Ok(server);
        }
        let shared = Shared::connect(addr, self.config.clone())
            .map_err(|error| CallError::new(CallErrorKind::Closed(error.to_string()), Ran::No))?;
        let server = Server { addr, shared: Arc::new(shared) };
        // The last one may wait for its thread when it goes: not under the mutex.
        let before = self.state().current.replace(server.clone());
        drop(before);
        Ok(server)
    }

    fn untried(&self, tried: &[SocketAddr]) -> Option<Server> {
        self.state().current.clone().filter(|server| !tried.contains(&server.addr))
    }

    fn lost(&self, addr: SocketAddr) {
        let mut state = self.state();
        let gone =
            if state.current.as_ref().is_some_and(|server| server.addr == addr) { state.current.take() } else { None };
        drop(state);
        drop(gone);
    }
}

/// One call to a name, until it has an outcome.
pub(crate) struct NamedCall {
    named: Arc<Named>,
    target: Target,
    arguments: Encoded,
    began: Time,
    timeout: Duration,
    phase: Phase,
    /// Servers that have failed this call.
    tried: Vec<SocketAddr>,
    /// Whether the name server was asked for this call.
    asked: bool,
    /// Why the last server, or the name server, failed.
    failure: Option<CallError>,
    /// Whether an earlier try may have run. Such a call is idempotent, or it would be over.
    may_have_run: bool,
}

enum Phase {
    Choosing,
    Asking(CallId),
    Calling(Server, CallId),
    Over,
}

/// How to look for an outcome: waiting for it, or not.
pub(crate) type Look<'a> = &'a mut dyn FnMut(&Arc<Shared>, CallId) -> Option<Outcome>;

impl NamedCall {
    pub(crate) fn new(named: Arc<Named>, request: Request) -> Self {
        let Request { target, began, timeout, arguments } = request;
        NamedCall {
            named,
            target,
            arguments,
            began,
            timeout,
            phase: Phase::Choosing,
            tried: Vec::new(),
            asked: false,
            failure: None,
            may_have_run: false,
        }
    }

    /// Begins without waiting for anything.
    pub(crate) fn begin(named: Arc<Named>, request: Request) -> Result<Self, Outcome> {
        let mut call = Self::new(named, request);
        match call.advance(&mut |_, _| None) {
            Poll::Pending => Ok(call),
            Poll::Ready(outcome) => Err(outcome),
        }
    }

    /// Blocks until the call is over.
    pub(crate) fn wait(mut self) -> Outcome {
        loop {
            if let Poll::Ready(outcome) = self.advance(&mut |shared, call| Some(shared.wait(call))) {
                return outcome;
            }
        }
    }

    /// Goes on as far as `look` finds outcomes.
    pub(crate) fn advance(&mut self, look: Look<'_>) -> Poll<Outcome> {
        loop {
            let outcome = match &self.phase {
                Phase::Choosing => match self.choose() {
                    Ok(Some(outcome)) => outcome,
                    Ok(None) => continue,
                    Err(error) => Err(error),
                },
                Phase::Asking(call) => {
                    let Some(outcome) = look(&self.named.binder, *call) else { return Poll::Pending };
                    self.phase = Phase::Choosing;
                    self.learn(outcome);
                    continue;
                }
                Phase::Calling(server, call) => {
                    let (addr, shared) = (server.addr, Arc::clone(&server.shared));
                    let Some(outcome) = look(&shared, *call) else { return Poll::Pending };
                    self.phase = Phase::Choosing;
                    match self.judge(addr, outcome) {
                        Some(outcome) => outcome,
                        None => continue,
                    }
                }
                Phase::Over => {
                    Err(CallError::new(CallErrorKind::Closed("waited for after its end".to_owned()), Ran::Maybe))
                }
            };
            self.phase = Phase::Over;
            return Poll::Ready(outcome);
        }
    }

    /// Calls a server that was not tried, or asks for some. An outcome is that of a call without a reply.
    fn choose(&mut self) -> Result<Option<Outcome>, CallError> {
        if self.left().is_zero() {
            let error = CallError::new(CallErrorKind::Timeout(self.timeout), self.ran());
            return Err(self.failure.take().unwrap_or(error));
        }
        if let Some(server) = self.named.untried(&self.tried) {
            return self.call(server);
        }
        if !self.asked {
            self.asked = true;
            match self.ask() {
                Ok(call) => self.phase = Phase::Asking(call),
                Err(error) => self.learn(Err(error)),
            }
            return Ok(None);
        }
        let mut candidates = self.named.state().known.clone();
        candidates.retain(|addr| !self.tried.contains(addr));
        // Clients spread over the servers.
        let place = RandomState::new().hash_one(()) as usize;
        match candidates.get(place % candidates.len().max(1)) {
            Some(&addr) => {
                let server = self.named.turn_to(addr, &self.tried)?;
                self.call(server)
            }
            None => {
                let name = self.named.name.clone();
                let none = CallError::new(CallErrorKind::NoServer { name }, self.ran());
                Err(self.failure.take().unwrap_or(none))
            }
        }
    }

    /// Asks the name server, which gets half of the time: the servers that were known are tried without it.
    fn ask(&self) -> Result<CallId, CallError> {
        let mut arguments = Encoded::default();
        codec::encode_lending(ByteOrder::Network, &(&self.named.name,), &mut arguments)
            .map_err(|error| CallError::new(CallErrorKind::Unencodable(error.to_string()), Ran::No))?;
        let target = Target { service: BinderClient::ID, method: RESOLVE.id(), how: How::Idempotent };
        self.named.binder.start(Request { target, began: time::now(), timeout: self.left() / 2, arguments })
    }

    fn call(&mut self, server: Server) -> Result<Option<Outcome>, CallError> {
        let (target, arguments) = (self.target, self.arguments.clone());
        let request = Request { target, began: time::now(), timeout: self.left(), arguments };
        let call = server.shared.start(request)?;
        if self.target.how == How::Oneway {
            return Ok(Some(Ok((Status::Done, Body::default()))));
        }
        self.phase = Phase::Calling(server, call);
        Ok(None)
    }

    /// The name server has answered, or has not.
    fn learn(&mut self, outcome: Outcome) {
        let answer = finish::<Result<Vec<Entry>, NameError>>(outcome, ByteOrder::Network);
        match answer {
            Ok(Ok(entries)) => self.named.state().known = entries.into_iter().map(|entry| entry.addr).collect(),
            // It may have been restarted just now: the servers that were known come back to it, and may serve already.
            Ok(Err(NameError::Unknown(_))) => {}
            Ok(Err(error)) => self.fail(CallErrorKind::Binder { addr: self.named.binder_addr, why: error.to_string() }),
            Err(error) => {
                self.fail(CallErrorKind::Binder { addr: self.named.binder_addr, why: error.kind.to_string() })
            }
        }
    }

    fn fail(&mut self, kind: CallErrorKind) {
        let ran = self.ran();
        self.failure.get_or_insert(CallError::new(kind, ran));
    }

    fn ran(&self) -> Ran {
        if self.may_have_run { Ran::Maybe } else { Ran::No }
    }

    /// The outcome if it is final; otherwise another server is to be tried.
    fn judge(&mut self, addr: SocketAddr, outcome: Outcome) -> Option<Outcome> {
        let mut error = match outcome {
            Ok((status, body)) => match CallError::from_reply(status, &body) {
                None => return Some(Ok((status, body))),
                Some(error) => error,
            },
            Err(error) => error,
        };
        self.may_have_run |= error.ran != Ran::No;
        if error.ran == Ran::No {
            error.ran = self.ran();
        }
        let repeatable = error.ran == Ran::No || self.target.how == How::Idempotent;
        if !repeatable || !another_may_do(&error.kind) {
            return Some(Err(error));
        }
        self.tried.push(addr);
        self.named.lost(addr);
        self.failure = Some(error);
        None
    }

    fn left(&self) -> Duration {
        self.timeout.saturating_sub(time::now() - self.began)
    }
}

impl Drop for NamedCall {
    fn drop(&mut self) {
        match &self.phase {
            Phase::Asking(call) => self.named.binder.cancel(*call),
            Phase::Calling(server, call) => server.shared.cancel(*call),
            Phase::Choosing | Phase::Over => {}
        }
    }
}

/// Whether another server could do what this one did not.
fn another_may_do(kind: &CallErrorKind) -> bool {
    matches!(
        kind,
        CallErrorKind::PeerLost { .. }
            | CallErrorKind::Forgotten
            | CallErrorKind::Refused
            | CallErrorKind::Overloaded
            | CallErrorKind::Expired
            | CallErrorKind::UnknownService
            | CallErrorKind::UnknownMethod
            | CallErrorKind::OtherSchema(_)
            | CallErrorKind::Closed(_)
    )
}
