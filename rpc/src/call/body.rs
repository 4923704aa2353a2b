//! What a message carries behind its header: as it came, and kept.

use std::ops::Deref;

use serde::de::DeserializeOwned;

use crate::codec::{self, ByteOrder, CodecError};
use crate::driver::Received;

/// More than this is not copied while it is decoded, and its buffer serves no other message.
const LONG: usize = 64 << 10;

/// A body in the message that it came in.
pub(crate) struct Arrived<'a> {
    message: Received<'a>,
    start: usize,
}

impl<'a> Arrived<'a> {
    /// The last `length` bytes of a message.
    pub(crate) fn at_end(message: Received<'a>, length: usize) -> Self {
        let start = message.len().saturating_sub(length);
        Arrived { message, start }
    }

    /// Keeps it in the buffer of its own that it came in, or else in a spare one.
    pub(crate) fn keep(self, spare: impl FnOnce() -> Vec<u8>) -> Body {
        if let Received::Whole(buffer) = self.message {
            return Body { buffer: std::mem::take(buffer), start: self.start };
        }
        let mut buffer = spare();
        buffer.clear();
        buffer.extend_from_slice(&self);
        Body { buffer, start: 0 }
    }
}

impl Deref for Arrived<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.message.get(self.start..).unwrap_or_default()
    }
}

/// A body that is kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    buffer: Vec<u8>,
    /// Where in the buffer it begins: what came as one piece keeps the header before it.
    start: usize,
}

impl Body {
    /// The value that it encodes, and a buffer that can be used again. A long byte string stays in it, and holds the memory.
    pub(crate) fn decode<T: DeserializeOwned>(self, order: ByteOrder) -> (Result<T, CodecError>, Vec<u8>) {
        if self.is_long() {
            return (codec::decode_keeping(order, &self.into_shared()), Vec::new());
        }
        (codec::decode_in(order, &self), self.buffer)
    }

    /// Whether to copy it costs more than to let others hold its memory.
    pub(crate) fn is_long(&self) -> bool {
        self.len() > LONG
    }

    /// As memory that others can hold parts of.
    pub(crate) fn into_shared(self) -> bytes::Bytes {
        let start = self.start.min(self.buffer.len());
        bytes::Bytes::from(self.buffer).split_off(start)
    }

    /// The buffer, to be used again.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }
}

impl From<Vec<u8>> for Body {
    fn from(buffer: Vec<u8>) -> Self {
        Body { buffer, start: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bytes;

    #[test]
    fn what_was_put_together_is_kept_in_its_buffer_and_a_long_byte_string_there_too() {
        let mut whole = b"header".to_vec();
        codec::encode(&Bytes::from(vec![7; 2 * LONG]), &mut whole).unwrap();
        let (memory, length) = (whole.as_ptr_range(), whole.len() - 6);
        let body =
            Arrived::at_end(Received::Whole(&mut whole), length).keep(|| unreachable!("it has a buffer of its own"));
        assert_eq!((body.len(), body.as_ptr_range().end), (length, memory.end));
        let (bytes, spare) = body.decode::<Bytes>(ByteOrder::Network);
        assert_eq!(bytes.as_deref(), Ok(&[7; 2 * LONG][..]));
        assert_eq!((bytes.unwrap().as_ptr_range().end, spare), (memory.end, Vec::new()));
    }

    #[test]
    fn what_came_in_a_datagram_is_copied_into_the_spare_buffer_and_that_comes_back() {
        let mut datagram = b"header".to_vec();
        codec::encode(&5u64, &mut datagram).unwrap();
        let spare = Vec::with_capacity(100);
        let place = spare.as_ptr();
        let body = Arrived::at_end(Received::InDatagram(&datagram), 8).keep(|| spare);
        let (number, spare) = body.decode::<u64>(ByteOrder::Network);
        assert_eq!((number, spare.as_ptr()), (Ok(5), place));
    }
}
