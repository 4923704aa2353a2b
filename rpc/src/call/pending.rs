//! One call that has been sent, to be waited for in either way.

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::de::DeserializeOwned;

use crate::codec::ByteOrder;

use super::client::Shared;
use super::error::{CallError, CallErrorKind, Ran};
use super::in_flight::Outcome;
use super::message::CallId;
use super::named::{Look, NamedCall};

/// A call that is on its way: await it, or block with [`PendingCall::wait`]. Dropping it gives the call up: the server is told, and
/// does not begin it any more; a handler that runs can [ask](super::Context::is_cancelled).
///
/// As a future it needs no particular executor: the client's own thread wakes it.
#[must_use = "the call has been sent; wait for it, or drop it knowingly"]
pub struct PendingCall<R> {
    state: State,
    order: ByteOrder,
    result: PhantomData<fn() -> R>,
}

enum State {
    Sent { client: Arc<Shared>, call: CallId },
    ByName(Box<NamedCall>),
    Known(Outcome),
    Over,
}

impl<R: DeserializeOwned> PendingCall<R> {
    pub(crate) fn sent(client: Arc<Shared>, call: CallId, order: ByteOrder) -> Self {
        PendingCall { state: State::Sent { client, call }, order, result: PhantomData }
    }

    pub(crate) fn failed(error: CallError) -> Self {
        PendingCall { state: State::Known(Err(error)), order: ByteOrder::Network, result: PhantomData }
    }

    /// A call to a name that has begun, or is over already.
    pub(crate) fn named(begun: Result<NamedCall, Outcome>, order: ByteOrder) -> Self {
        let state = match begun {
            Ok(call) => State::ByName(Box::new(call)),
            Err(outcome) => State::Known(outcome),
        };
        PendingCall { state, order, result: PhantomData }
    }

    /// Blocks until the call is over.
    ///
    /// # Errors
    /// What happened instead of a reply, and whether the method may have run.
    pub fn wait(mut self) -> Result<R, CallError> {
        let looked = self.look(&mut |client, call| Some(client.wait(call)));
        finish(looked.unwrap_or_else(|| Err(over())), self.order)
    }
}

impl<R> PendingCall<R> {
    /// The outcome if `look` finds it; then the call is over.
    fn look(&mut self, look: Look<'_>) -> Option<Outcome> {
        let found = match &mut self.state {
            State::Sent { client, call } => look(client, *call)?,
            State::ByName(call) => match call.advance(look) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => return None,
            },
            State::Known(outcome) => std::mem::replace(outcome, Err(over())),
            State::Over => Err(over()),
        };
        self.state = State::Over;
        Some(found)
    }
}

fn over() -> CallError {
    CallError::new(CallErrorKind::Closed("the call was over".to_owned()), Ran::Maybe)
}

/// Turns a reply into what the caller asked for.
pub(crate) fn finish<R: DeserializeOwned>(outcome: Outcome, order: ByteOrder) -> Result<R, CallError> {
    let (status, body) = outcome?;
    if let Some(error) = CallError::from_reply(status, &body) {
        Scratch::put(body.into_buffer());
        return Err(error);
    }
    let (result, spare) = body.decode(order);
    Scratch::put(spare);
    result.map_err(|error| CallError::new(CallErrorKind::BadResult(error.to_string()), Ran::Yes))
}

impl<R: DeserializeOwned> Future for PendingCall<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.look(&mut |client, call| client.poll(call, context.waker().clone())) {
            Some(outcome) => Poll::Ready(finish(outcome, self.order)),
            None => Poll::Pending,
        }
    }
}

impl<R> Drop for PendingCall<R> {
    fn drop(&mut self) {
        if let State::Sent { client, call } = &self.state {
            client.cancel(*call);
        }
    }
}

impl<R> std::fmt::Debug for PendingCall<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::Sent { .. } => "sent",
            State::ByName(_) => "sent to a name",
            State::Known(_) => "known",
            State::Over => "over",
        };
        f.debug_tuple("PendingCall").field(&state).finish()
    }
}

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Each thread keeps one buffer from call to call: first it holds the request, then the reply.
pub(crate) struct Scratch;

impl Scratch {
    /// Larger buffers are given back to the allocator.
    const KEPT_BYTES_MAX: usize = 64 << 10;

    pub(crate) fn get() -> Vec<u8> {
        let mut buffer = SCRATCH.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        buffer
    }

    pub(crate) fn put(buffer: Vec<u8>) {
        if buffer.capacity() <= Self::KEPT_BYTES_MAX {
            let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
        }
    }
}
