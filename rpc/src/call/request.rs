//! A request on its way through a server stub: its arguments, and the place for its result.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::codec::{self, ByteOrder, CodecError, Encoded};

use super::json;
use super::message::MethodId;
use super::service::Refusal;

/// What a [`Service`](super::Service) is asked to do. The stub takes the arguments out, runs the method, and puts the answer in;
/// whether they are bytes or JSON, it need not know.
#[derive(Debug)]
pub struct Request<'a> {
    method: MethodId,
    form: Form<'a>,
    reply: &'a mut Encoded,
}

#[derive(Debug)]
enum Form<'a> {
    Encoded {
        arguments: &'a [u8],
        order: ByteOrder,
    },
    /// The same where long byte strings need not be copied.
    Kept {
        arguments: &'a bytes::Bytes,
        order: ByteOrder,
    },
    Json(&'a mut JsonRequest),
}

/// A request in JSON. Apart, so that the other kind has nothing to clean up.
#[derive(Debug)]
pub(crate) struct JsonRequest {
    /// An array of all, or an object by name.
    pub(crate) arguments: Value,
    /// Those of the method, with their types.
    pub(crate) names: &'static [(&'static str, &'static str)],
    /// Whether the answer is the method's own error.
    pub(crate) failed: bool,
}

impl<'a> Request<'a> {
    /// A request as it came from the wire; the encoded result will be appended to `reply`.
    #[inline]
    pub fn encoded(method: MethodId, arguments: &'a [u8], order: ByteOrder, reply: &'a mut Encoded) -> Self {
        Request { method, form: Form::Encoded { arguments, order }, reply }
    }

    /// A request that keeps its long byte strings where they came.
    pub(crate) fn keeping(
        method: MethodId,
        arguments: &'a bytes::Bytes,
        order: ByteOrder,
        reply: &'a mut Encoded,
    ) -> Self {
        Request { method, form: Form::Kept { arguments, order }, reply }
    }

    /// A request in JSON; the result will be appended to `reply` as JSON.
    pub(crate) fn json(method: MethodId, request: &'a mut JsonRequest, reply: &'a mut Encoded) -> Self {
        Request { method, form: Form::Json(request), reply }
    }

    /// Which method.
    #[inline]
    pub fn method(&self) -> MethodId {
        self.method
    }

    /// The arguments, as the tuple of the method's. To be asked for once.
    ///
    /// # Errors
    /// [`Refusal::BadArguments`] if they are no such tuple.
    #[inline(always)]
    pub fn arguments<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        match &mut self.form {
            Form::Encoded { arguments, order } => codec::decode_in(*order, arguments).map_err(bad_arguments),
            Form::Kept { arguments, order } => kept_arguments(*order, arguments),
            Form::Json(request) => json_arguments(request),
        }
    }

    /// What the method returned.
    ///
    /// # Errors
    /// [`Refusal::BadResult`] if it cannot be encoded.
    #[inline(always)]
    pub fn answer<T: Serialize>(&mut self, result: &T) -> Result<(), Refusal> {
        match &self.form {
            Form::Encoded { order, .. } | Form::Kept { order, .. } => {
                codec::encode_lending(*order, result, self.reply).map_err(bad_result)
            }
            Form::Json(_) => json_answer(self.reply, result),
        }
    }

    /// What a method returned that has errors of its own.
    ///
    /// # Errors
    /// As for [`Self::answer`].
    #[inline]
    pub fn answer_result<T: Serialize, E: Serialize>(&mut self, result: &Result<T, E>) -> Result<(), Refusal> {
        match (&mut self.form, result) {
            (Form::Encoded { .. } | Form::Kept { .. }, result) => self.answer(result),
            (Form::Json(_), Ok(value)) => self.answer(value),
            (Form::Json(request), Err(error)) => {
                request.failed = true;
                self.answer(error)
            }
        }
    }
}

// Apart, so that the way of nearly every request is short enough to become a part of the stub.

#[inline(never)]
fn kept_arguments<T: DeserializeOwned>(order: ByteOrder, arguments: &bytes::Bytes) -> Result<T, Refusal> {
    codec::decode_keeping(order, arguments).map_err(bad_arguments)
}

#[cold]
fn json_arguments<T: DeserializeOwned>(request: &mut JsonRequest) -> Result<T, Refusal> {
    json::arguments(std::mem::take(&mut request.arguments), request.names).map_err(Refusal::BadArguments)
}

#[cold]
fn json_answer<T: Serialize>(reply: &mut Encoded, result: &T) -> Result<(), Refusal> {
    serde_json::to_writer(&mut reply.bytes, result).map_err(bad_result)
}

#[cold]
fn bad_arguments(error: CodecError) -> Refusal {
    Refusal::BadArguments(error.to_string())
}

#[cold]
fn bad_result(error: impl std::fmt::Display) -> Refusal {
    Refusal::BadResult(error.to_string())
}
