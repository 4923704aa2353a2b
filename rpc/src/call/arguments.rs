//! The arguments of a request, as a server stub takes them, and the form of its answer.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::codec::{self, ByteOrder, Encoded, Fault, Values};

use super::json;
use super::service::Refusal;

/// The arguments of one request. A server stub takes them out one by one, and answers in the form in which they came. It is written once
/// for all forms, and compiled for bytes in network order apart: short requests cannot wait to be asked at each step which form they have.
///
/// Errors are one word, since nearly no request has one.
pub trait Arguments {
    /// The next one.
    ///
    /// # Errors
    /// [`Refusal::BadArguments`] if what comes next is no such value.
    fn next<T: DeserializeOwned>(&mut self) -> Result<T, Box<Refusal>>;

    /// There are no more.
    ///
    /// # Errors
    /// [`Refusal::BadArguments`] if there are.
    fn end(&self) -> Result<(), Box<Refusal>>;

    /// Appends what the method returned to `reply`.
    ///
    /// # Errors
    /// [`Refusal::BadResult`] if it cannot be encoded; then `reply` holds a part of it.
    fn answer<T: Serialize>(&mut self, result: &T, reply: &mut Encoded) -> Result<(), Box<Refusal>>;

    /// Appends what a method returned that has errors of its own.
    ///
    /// # Errors
    /// As for [`Self::answer`].
    #[inline]
    fn answer_result<T: Serialize, E: Serialize>(
        &mut self,
        result: &Result<T, E>,
        reply: &mut Encoded,
    ) -> Result<(), Box<Refusal>> {
        self.answer(result, reply)
    }
}

impl<const BIG: bool> Arguments for Values<'_, BIG> {
    #[inline(always)]
    fn next<T: DeserializeOwned>(&mut self) -> Result<T, Box<Refusal>> {
        self.take().map_err(bad_arguments)
    }

    #[inline(always)]
    fn end(&self) -> Result<(), Box<Refusal>> {
        Values::end(self).map_err(bad_arguments)
    }

    #[inline(always)]
    fn answer<T: Serialize>(&mut self, result: &T, reply: &mut Encoded) -> Result<(), Box<Refusal>> {
        let order = if BIG { ByteOrder::Network } else { ByteOrder::LITTLE };
        codec::encode_lending(order, result, reply).map_err(bad_result)
    }
}

/// Arguments in any other form than bytes in network order.
#[derive(Debug)]
pub struct OtherForm<'a>(Form<'a>);

#[derive(Debug)]
enum Form<'a> {
    /// Bytes in the order that nobody uses but for a lesson.
    Little(Values<'a, false>),
    Json(&'a mut JsonRequest),
}

/// A request in JSON.
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

impl<'a> OtherForm<'a> {
    /// Bytes whose numbers begin with the least significant one.
    pub(crate) fn little(arguments: &'a [u8]) -> Self {
        OtherForm(Form::Little(Values::new(arguments)))
    }

    /// JSON.
    pub(crate) fn json(request: &'a mut JsonRequest) -> Self {
        OtherForm(Form::Json(request))
    }
}

impl Arguments for OtherForm<'_> {
    fn next<T: DeserializeOwned>(&mut self) -> Result<T, Box<Refusal>> {
        match &mut self.0 {
            Form::Little(values) => values.next(),
            Form::Json(request) => request.arguments.take().map_err(bad_json),
        }
    }

    fn end(&self) -> Result<(), Box<Refusal>> {
        match &self.0 {
            Form::Little(values) => Arguments::end(values),
            Form::Json(request) => request.arguments.end().map_err(bad_json),
        }
    }

    fn answer<T: Serialize>(&mut self, result: &T, reply: &mut Encoded) -> Result<(), Box<Refusal>> {
        match &mut self.0 {
            Form::Little(values) => values.answer(result, reply),
            Form::Json(_) => serde_json::to_writer(&mut reply.bytes, result).map_err(bad_result),
        }
    }

    fn answer_result<T: Serialize, E: Serialize>(
        &mut self,
        result: &Result<T, E>,
        reply: &mut Encoded,
    ) -> Result<(), Box<Refusal>> {
        match (&mut self.0, result) {
            (Form::Json(_), Ok(value)) => self.answer(value, reply),
            (Form::Json(request), Err(error)) => {
                request.failed = true;
                self.answer(error, reply)
            }
            (Form::Little(_), result) => self.answer(result, reply),
        }
    }
}

#[cold]
fn bad_arguments(fault: Fault) -> Box<Refusal> {
    Box::new(Refusal::BadArguments(fault.to_string()))
}

fn bad_json(text: String) -> Box<Refusal> {
    Box::new(Refusal::BadArguments(text))
}

#[cold]
fn bad_result(error: impl std::fmt::Display) -> Box<Refusal> {
    Box::new(Refusal::BadResult(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bytes;

    fn encoded(order: ByteOrder, value: &impl Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode_in(order, value, &mut bytes).unwrap();
        bytes
    }

    /// Takes a number and bytes; answers with the number.
    fn serve(mut arguments: impl Arguments, reply: &mut Encoded) -> Result<Bytes, Box<Refusal>> {
        let number: u32 = arguments.next()?;
        let bytes: Bytes = arguments.next()?;
        arguments.end()?;
        arguments.answer(&number, reply)?;
        Ok(bytes)
    }

    /// The same in either order of bytes.
    fn serve_in(order: ByteOrder, arguments: &[u8], reply: &mut Encoded) -> Result<Bytes, Box<Refusal>> {
        if order.is_big() {
            return serve(Values::<true>::new(arguments), reply);
        }
        serve(OtherForm::little(arguments), reply)
    }

    const ORDERS: [ByteOrder; 3] = [ByteOrder::Network, ByteOrder::Native, ByteOrder::Foreign];

    #[test]
    fn arguments_are_taken_out_and_answered_in_the_order_of_bytes_that_they_came_in() {
        for order in ORDERS {
            let mut reply = Encoded::default();
            let arguments = encoded(order, &(7u32, Bytes::from(vec![1, 2])));
            let bytes = serve_in(order, &arguments, &mut reply).unwrap();
            assert_eq!((&*bytes, reply.bytes), (&[1, 2][..], encoded(order, &7u32)), "{order:?}");
        }
    }

    #[test]
    fn a_long_byte_string_of_a_request_that_is_kept_stays_where_it_came() {
        for order in ORDERS {
            let mut reply = Encoded::default();
            let arguments = bytes::Bytes::from(encoded(order, &(7u32, Bytes::from(vec![3; 1 << 17]))));
            let bytes = codec::reading(&arguments, || serve_in(order, &arguments, &mut reply)).unwrap();
            assert_eq!((bytes.len(), reply.bytes), (1 << 17, encoded(order, &7u32)));
            assert!(arguments.as_ptr_range().contains(&bytes.as_ptr()), "{order:?}");
        }
    }

    #[test]
    fn arguments_that_are_too_few_or_too_many_are_refused_and_nothing_is_answered() {
        for order in ORDERS {
            for arguments in [encoded(order, &7u32), encoded(order, &(7u32, Bytes::from(vec![1]), 0u8))] {
                let mut reply = Encoded::default();
                let refused = serve_in(order, &arguments, &mut reply).map_err(|refusal| *refusal);
                assert!(matches!(refused, Err(Refusal::BadArguments(_))), "{order:?}: {refused:?}");
                assert!(reply.is_empty(), "{order:?}");
            }
        }
    }

    #[test]
    fn arguments_in_json_that_a_method_leaves_are_too_many() {
        let mut json = JsonRequest::new(serde_json::json!([1, 2]), &[("one", "u8"), ("two", "u8")]).unwrap();
        let mut arguments = OtherForm::json(&mut json);
        assert_eq!(arguments.next::<u8>(), Ok(1));
        assert!(matches!(*arguments.end().unwrap_err(), Refusal::BadArguments(_)));
        assert_eq!(arguments.next::<u8>(), Ok(2));
        assert_eq!(arguments.end(), Ok(()));
    }

    /// A result that no form can hold: the method has run, which is not what is said of bad arguments.
    #[test]
    fn a_result_that_cannot_be_encoded_is_not_called_bad_arguments() {
        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no end"))
            }
        }
        let mut json = JsonRequest::new(serde_json::json!([]), &[]).unwrap();
        let mut reply = Encoded::default();
        let refused = [
            (Values::<true>::new(&[]).answer(&Endless, &mut reply), "cannot be encoded: no end"),
            (OtherForm::little(&[]).answer(&Endless, &mut reply), "cannot be encoded: no end"),
            (OtherForm::json(&mut json).answer(&Endless, &mut reply), "no end"),
        ];
        for (refused, words) in refused {
            assert_eq!(refused, Err(Box::new(Refusal::BadResult(words.to_owned()))));
        }
    }
}
