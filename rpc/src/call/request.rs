//! A request on its way through a server stub: its arguments, and the place for its result.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::codec::{self, ByteOrder, CodecError, Encoded, Values};

use super::json;
use super::message::MethodId;
use super::service::Refusal;

/// What a [`Service`](super::Service) is asked to do. The stub takes the arguments out one by one, runs the method, and puts the answer
/// in; whether they are bytes or JSON, it need not know.
#[derive(Debug)]
pub struct Request<'a> {
    method: MethodId,
    arguments: Arguments<'a>,
    reply: &'a mut Encoded,
}

/// Those that were not taken yet.
#[derive(Debug)]
enum Arguments<'a> {
    Encoded(Values<'a, true>),
    /// In the order of bytes that nobody uses but for a lesson.
    Little(Values<'a, false>),
    /// Where long byte strings need not be copied.
    Kept(Values<'a, true>, &'a bytes::Bytes),
    Json(&'a mut JsonRequest),
}

/// A request in JSON. Apart, so that the other kind has nothing to clean up.
#[derive(Debug)]
pub(crate) struct JsonRequest {
    arguments: json::Arguments,
    /// Whether the answer is the method's own error.
    pub(crate) failed: bool,
}

impl JsonRequest {
    /// With an array of all arguments, or an object by name; a sentence says what is wrong with their number or names. `names`: those of
    /// the method, with their types.
    pub(crate) fn new(written: Value, names: json::Names) -> Result<Self, String> {
        Ok(JsonRequest { arguments: json::Arguments::new(written, names)?, failed: false })
    }
}

impl<'a> Request<'a> {
    /// A request as it came from the wire; the encoded result will be appended to `reply`.
    #[inline]
    pub fn encoded(method: MethodId, arguments: &'a [u8], order: ByteOrder, reply: &'a mut Encoded) -> Self {
        let arguments = match order.is_big() {
            true => Arguments::Encoded(Values::new(arguments)),
            false => Arguments::Little(Values::new(arguments)),
        };
        Request { method, arguments, reply }
    }

    /// A request that keeps its long byte strings where they came.
    pub(crate) fn keeping(
        method: MethodId,
        arguments: &'a bytes::Bytes,
        order: ByteOrder,
        reply: &'a mut Encoded,
    ) -> Self {
        if !order.is_big() {
            return Self::encoded(method, arguments, order, reply);
        }
        Request { method, arguments: Arguments::Kept(Values::new(arguments), arguments), reply }
    }

    /// A request in JSON; the result will be appended to `reply` as JSON.
    pub(crate) fn json(method: MethodId, request: &'a mut JsonRequest, reply: &'a mut Encoded) -> Self {
        Request { method, arguments: Arguments::Json(request), reply }
    }

    /// Which method.
    #[inline]
    pub fn method(&self) -> MethodId {
        self.method
    }

    /// The next argument.
    ///
    /// # Errors
    /// [`Refusal::BadArguments`] if what comes next is no such value.
    #[inline(always)]
    pub fn argument<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        match &mut self.arguments {
            Arguments::Encoded(values) => values.take().map_err(bad_arguments),
            rare => rare_argument(rare),
        }
    }

    /// There are no more arguments.
    ///
    /// # Errors
    /// [`Refusal::BadArguments`] if there are.
    #[inline(always)]
    pub fn no_more_arguments(&self) -> Result<(), Refusal> {
        match &self.arguments {
            Arguments::Encoded(values) => values.end().map_err(bad_arguments),
            rare => rare_end(rare),
        }
    }

    /// What the method returned.
    ///
    /// # Errors
    /// [`Refusal::BadResult`] if it cannot be encoded.
    #[inline(always)]
    pub fn answer<T: Serialize>(&mut self, result: &T) -> Result<(), Refusal> {
        match &self.arguments {
            Arguments::Encoded(_) => codec::encode_lending(ByteOrder::Network, result, self.reply).map_err(bad_result),
            rare => rare_answer(rare, result, self.reply),
        }
    }

    /// What a method returned that has errors of its own.
    ///
    /// # Errors
    /// As for [`Self::answer`].
    #[inline]
    pub fn answer_result<T: Serialize, E: Serialize>(&mut self, result: &Result<T, E>) -> Result<(), Refusal> {
        match (&mut self.arguments, result) {
            (Arguments::Json(_), Ok(value)) => self.answer(value),
            (Arguments::Json(request), Err(error)) => {
                request.failed = true;
                self.answer(error)
            }
            (_, result) => self.answer(result),
        }
    }
}

// Apart, so that the way of nearly every request is short enough to become a part of the stub.

#[cold]
fn rare_argument<T: DeserializeOwned>(arguments: &mut Arguments<'_>) -> Result<T, Refusal> {
    match arguments {
        Arguments::Encoded(values) => values.take().map_err(bad_arguments),
        Arguments::Little(values) => values.take().map_err(bad_arguments),
        Arguments::Kept(values, source) => codec::reading(source, || values.take()).map_err(bad_arguments),
        Arguments::Json(request) => request.arguments.take().map_err(Refusal::BadArguments),
    }
}

#[cold]
fn rare_end(arguments: &Arguments<'_>) -> Result<(), Refusal> {
    let end = match arguments {
        Arguments::Encoded(values) | Arguments::Kept(values, _) => values.end(),
        Arguments::Little(values) => values.end(),
        // They have been counted.
        Arguments::Json(_) => Ok(()),
    };
    end.map_err(bad_arguments)
}

#[cold]
fn rare_answer<T: Serialize>(arguments: &Arguments<'_>, result: &T, reply: &mut Encoded) -> Result<(), Refusal> {
    let order = match arguments {
        Arguments::Encoded(_) | Arguments::Kept(..) => ByteOrder::Network,
        Arguments::Little(_) => ByteOrder::LITTLE,
        Arguments::Json(_) => return serde_json::to_writer(&mut reply.bytes, result).map_err(bad_result),
    };
    codec::encode_lending(order, result, reply).map_err(bad_result)
}

#[cold]
fn bad_arguments(error: impl Into<CodecError>) -> Refusal {
    Refusal::BadArguments(error.into().to_string())
}

#[cold]
fn bad_result(error: impl std::fmt::Display) -> Refusal {
    Refusal::BadResult(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bytes;

    const METHOD: MethodId = MethodId { number: 1, version: 1, schema: 0 };
    const ORDERS: [ByteOrder; 3] = [ByteOrder::Network, ByteOrder::Native, ByteOrder::Foreign];

    fn encoded(order: ByteOrder, value: &impl Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode_in(order, value, &mut bytes).unwrap();
        bytes
    }

    /// Takes a number and bytes; answers with the number.
    fn serve(request: &mut Request<'_>) -> Result<Bytes, Refusal> {
        let number: u32 = request.argument()?;
        let bytes: Bytes = request.argument()?;
        request.no_more_arguments()?;
        request.answer(&number)?;
        Ok(bytes)
    }

    #[test]
    fn arguments_are_taken_out_and_answered_in_the_order_of_bytes_that_they_came_in() {
        for order in ORDERS {
            let mut reply = Encoded::default();
            let arguments = encoded(order, &(7u32, Bytes::from(vec![1, 2])));
            let bytes = serve(&mut Request::encoded(METHOD, &arguments, order, &mut reply)).unwrap();
            assert_eq!((&*bytes, reply.bytes), (&[1, 2][..], encoded(order, &7u32)), "{order:?}");
        }
    }

    #[test]
    fn a_long_byte_string_of_a_request_that_is_kept_stays_where_it_came() {
        for (order, stays) in [(ByteOrder::Network, true), (ByteOrder::LITTLE, false)] {
            let mut reply = Encoded::default();
            let arguments = bytes::Bytes::from(encoded(order, &(7u32, Bytes::from(vec![3; 1 << 17]))));
            let bytes = serve(&mut Request::keeping(METHOD, &arguments, order, &mut reply)).unwrap();
            assert_eq!((bytes.len(), reply.bytes), (1 << 17, encoded(order, &7u32)));
            assert_eq!(arguments.as_ptr_range().contains(&bytes.as_ptr()), stays, "{order:?}");
        }
    }

    #[test]
    fn arguments_that_are_too_few_or_too_many_are_refused_and_nothing_is_answered() {
        for order in ORDERS {
            for arguments in [encoded(order, &7u32), encoded(order, &(7u32, Bytes::from(vec![1]), 0u8))] {
                let shared = bytes::Bytes::from(arguments.clone());
                let (mut one, mut other) = (Encoded::default(), Encoded::default());
                let refused = [
                    serve(&mut Request::encoded(METHOD, &arguments, order, &mut one)),
                    serve(&mut Request::keeping(METHOD, &shared, order, &mut other)),
                ];
                assert!(refused.iter().all(|one| matches!(one, Err(Refusal::BadArguments(_)))), "{refused:?}");
                assert_eq!([one.len(), other.len()], [0, 0]);
            }
        }
    }
}
