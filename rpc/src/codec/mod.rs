//! Arguments and results as bytes, for every type that serde knows.
//!
//! The encoding is the same on every machine: integers and floats are big-endian (network byte order, as in XDR, RFC
//! 4506) with the fixed width of their type; `usize` and every length are a `u64`; `bool`, and the tag of an `Option`,
//! one byte; an enum's variant a `u32`; a `char` its UTF-8; strings and byte strings are a length and the bytes; sequences and maps a
//! count and the elements; structs and tuples are their fields one after the other, without names, tags or padding. Nothing
//! describes itself: both ends hold the same types. (bincode 2 with fixed, big-endian integers writes the same.)
//!
//! Decoding believes nothing: a string's bytes must be there before there is memory for it, a sequence cannot have more elements
//! than the rest of the message has bytes (so a sequence of elements that take none, such as `Vec<()>`, does not travel), values
//! cannot be nested more than [`DEPTH_MAX`] deep, and bytes left over are an error.

mod decoder;
mod encoder;
mod long;
mod shape;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use decoder::Decoder;
use encoder::{Encoder, Output};

pub(crate) use long::reading;
pub use long::{Bytes, Encoded};

/// How many sequences, maps, options and enums may be inside each other.
pub const DEPTH_MAX: u32 = 128;

/// The order of the bytes of a number. There is one right one: the others are for a lesson, and to be seen with both ends on one
/// machine, where nobody notices that [`ByteOrder::Native`] is wrong until one end plays the other kind of machine.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ByteOrder {
    /// Big-endian, on every machine.
    #[default]
    Network,
    /// Whatever this machine has in its memory.
    Native,
    /// What a machine of the other kind has in its memory.
    Foreign,
}

impl ByteOrder {
    /// Numbers begin with their least significant byte: one of the other two.
    pub(crate) const LITTLE: ByteOrder =
        if cfg!(target_endian = "big") { ByteOrder::Foreign } else { ByteOrder::Native };

    /// Whether numbers begin with their most significant byte.
    pub(crate) const fn is_big(self) -> bool {
        match self {
            ByteOrder::Network => true,
            ByteOrder::Native => cfg!(target_endian = "big"),
            ByteOrder::Foreign => cfg!(target_endian = "little"),
        }
    }
}

/// Why a value could not be encoded or decoded.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CodecError {
    /// The type cannot be written, for instance a sequence of unknown length.
    #[error("cannot be encoded: {0}")]
    Encode(String),
    /// The bytes are not a value of the type.
    #[error("cannot be decoded: {0}")]
    Decode(String),
    /// The value ended before the bytes did: the other end holds another type.
    #[error("cannot be decoded: {0} bytes are left over")]
    LeftOver(usize),
}

/// An error on its way: one word, since nearly everything goes well.
#[derive(Debug)]
pub(crate) struct Fault(Box<CodecError>);

impl Fault {
    #[cold]
    fn left_over(bytes: usize) -> Self {
        Fault(Box::new(CodecError::LeftOver(bytes)))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for CodecError {
    fn from(fault: Fault) -> Self {
        *fault.0
    }
}

impl serde::ser::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Fault(Box::new(CodecError::Encode(text.to_string())))
    }
}

impl serde::de::Error for Fault {
    #[cold]
    fn custom<T: fmt::Display>(text: T) -> Self {
        Fault(Box::new(CodecError::Decode(text.to_string())))
    }
}

/// Appends the encoded value to `out`.
///
/// # Errors
/// [`CodecError::Encode`] if the type's `Serialize` fails; `out` then holds a part of the value.
#[inline]
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    encode_in(ByteOrder::Network, value, out)
}

/// The same in another order of bytes.
///
/// # Errors
/// As for [`encode`].
#[inline]
pub fn encode_in<T: Serialize + ?Sized>(order: ByteOrder, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    Ok(encode_into(order, value, out)?)
}

/// The same without copying a long [`Bytes`].
#[inline]
pub(crate) fn encode_lending<T: Serialize + ?Sized>(
    order: ByteOrder,
    value: &T,
    out: &mut Encoded,
) -> Result<(), Fault> {
    encode_into(order, value, out)
}

#[inline]
fn encode_into<T: Serialize + ?Sized>(order: ByteOrder, value: &T, out: &mut impl Output) -> Result<(), Fault> {
    if order.is_big() {
        return encode_as::<true, T>(value, out);
    }
    encode_little(value, out)
}

/// Out of the way, so that the order that everybody uses is as small as if there were no other.
#[cold]
fn encode_little<T: Serialize + ?Sized>(value: &T, out: &mut impl Output) -> Result<(), Fault> {
    encode_as::<false, T>(value, out)
}

#[inline]
fn encode_as<const BIG: bool, T: Serialize + ?Sized>(value: &T, out: &mut impl Output) -> Result<(), Fault> {
    value.serialize(&mut Encoder::<BIG, _> { out })
}

/// Reads one value that fills `bytes` exactly.
///
/// # Errors
/// [`CodecError::Decode`] or [`CodecError::LeftOver`] if the bytes are not such a value.
#[inline]
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_in(ByteOrder::Network, bytes)
}

/// The same in another order of bytes.
///
/// # Errors
/// As for [`decode`].
#[inline]
pub fn decode_in<T: DeserializeOwned>(order: ByteOrder, bytes: &[u8]) -> Result<T, CodecError> {
    if order.is_big() {
        return decode_from::<true, T>(bytes);
    }
    decode_little(bytes)
}

/// As [`encode_little`].
#[cold]
fn decode_little<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_from::<false, T>(bytes)
}

/// The same; a long [`Bytes`] in it keeps its part of `source`, and is not copied.
pub(crate) fn decode_keeping<T: DeserializeOwned>(order: ByteOrder, source: &bytes::Bytes) -> Result<T, CodecError> {
    reading(source, || decode_in(order, source))
}

#[inline]
fn decode_from<const BIG: bool, T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut values = Values::<BIG>::new(bytes);
    let value = values.take()?;
    values.end()?;
    Ok(value)
}

/// Values one after the other, to be read one by one (by [`Arguments`](crate::call::Arguments)). `BIG`: numbers begin with their most
/// significant byte, as they do on the wire. No more than two words, so that a function gets it in registers.
#[derive(Debug)]
pub struct Values<'de, const BIG: bool = true> {
    rest: &'de [u8],
}

impl<'de, const BIG: bool> Values<'de, BIG> {
    /// The values in these bytes.
    #[inline]
    pub fn new(bytes: &'de [u8]) -> Self {
        Values { rest: bytes }
    }

    /// The next one.
    #[inline(always)]
    pub(crate) fn take<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        let mut decoder = Decoder::<BIG>::new(self.rest);
        let value = T::deserialize(&mut decoder);
        self.rest = decoder.rest();
        value
    }

    /// There are no more.
    #[inline]
    pub(crate) fn end(&self) -> Result<(), Fault> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Fault::left_over(left)),
        }
    }
}

/// What a type looks like on the wire: the names and types of fields and variants, however deep, as a text. The same for the same type on
/// every machine.
pub(crate) fn shape<T: DeserializeOwned>() -> String {
    shape::text::<T>()
}

/// Compiles only for types that can be encoded and decoded; the stubs use it to place the compiler's complaint.
#[doc(hidden)]
pub const fn travels<T: Serialize + DeserializeOwned>() {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &mut out).expect("encodes");
        out
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Point,
        Circle { radius: f64 },
        Named(String, Vec<u16>),
    }

    #[test]
    fn numbers_are_big_endian_and_fixed() {
        assert_eq!(encoded(&0x0102_0304u32), [1, 2, 3, 4]);
        assert_eq!(encoded(&1usize), [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(encoded(&1.0f64), [0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(encoded(&Some(7u8)), [1, 7]);
        assert_eq!(encoded(&(2u16, "ab")), [0, 2, 0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(encoded(&Shape::Circle { radius: 1.0 }), [0, 0, 0, 1, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
    }

    /// One of everything, as it stands in the documentation of this module.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        small: (u8, i16, u32, i64, u128),
        floats: (f32, f64),
        text: String,
        letter: char,
        list: Vec<u16>,
        maybe: (Option<u8>, Option<u8>),
        truth: bool,
        shape: Shape,
        map: BTreeMap<u8, u16>,
    }

    fn everything() -> Everything {
        Everything {
            small: (1, -2, 0x0102_0304, -3, 0x0f),
            floats: (1.5, -2.0),
            text: "hé".to_owned(),
            letter: 'é',
            list: vec![1, 0x0203],
            maybe: (None, Some(9)),
            truth: true,
            shape: Shape::Named("n".to_owned(), vec![7]),
            map: BTreeMap::from([(1, 2)]),
        }
    }

    /// Written down by hand, so that no machine and no later encoder can disagree.
    const EVERYTHING: &str = "01 fffe 01020304 fffffffffffffffd 0000000000000000000000000000000f \
        3fc00000 c000000000000000 \
        0000000000000003 68c3a9 c3a9 \
        0000000000000002 0001 0203 \
        00 0109 01 \
        00000002 0000000000000001 6e 0000000000000001 0007 \
        0000000000000001 01 0002";

    #[test]
    fn the_bytes_are_the_golden_ones_on_every_machine() {
        let hex: String = encoded(&everything()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, EVERYTHING.replace(char::is_whitespace, ""));
        assert_eq!(decode::<Everything>(&encoded(&everything())), Ok(everything()));
    }

    #[test]
    fn two_ends_that_write_what_they_have_in_memory_understand_each_other_only_if_they_are_alike() {
        let mut native = Vec::new();
        encode_in(ByteOrder::Native, &1u64, &mut native).expect("encodes");
        assert_eq!(decode_in(ByteOrder::Native, &native), Ok(1u64));
        assert_eq!(decode_in(ByteOrder::Foreign, &native), Ok(1u64.swap_bytes()));
        assert_eq!(native, 1u64.to_ne_bytes());
        // A length of the other kind claims more than there can be.
        let mut text = Vec::new();
        encode_in(ByteOrder::Native, "text", &mut text).expect("encodes");
        assert!(decode_in::<String>(ByteOrder::Foreign, &text).is_err());
    }

    #[test]
    fn no_arguments_take_no_bytes() {
        assert!(encoded(&()).is_empty());
        assert_eq!(decode::<()>(&[]), Ok(()));
    }

    #[test]
    fn bytes_travel_whole_and_look_like_a_sequence_of_bytes() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        assert_eq!(encoded(&bytes), encoded(&vec![1u8, 2, 3]));
        assert_eq!(decode::<Bytes>(&encoded(&bytes)), Ok(bytes));
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        assert_eq!(decode::<u16>(&[0, 1, 2]), Err(CodecError::LeftOver(1)));
    }

    #[test]
    fn claimed_lengths_are_not_believed() {
        let huge = encoded(&u64::MAX);
        assert!(decode::<String>(&huge).is_err());
        assert!(decode::<Bytes>(&huge).is_err());
        assert!(decode::<Vec<u64>>(&huge).is_err());
        assert!(decode::<BTreeMap<String, u8>>(&huge).is_err());
        assert!(decode::<Vec<()>>(&huge).is_err());
        let mut one_short = encoded(&5u64);
        one_short.extend_from_slice(b"text");
        assert!(decode::<String>(&one_short).is_err());
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct List(Option<Box<List>>);

    #[test]
    fn values_that_nest_without_end_are_refused() {
        let nested = |depth| vec![1u8; depth].into_iter().chain([0]).collect::<Vec<_>>();
        let most = DEPTH_MAX as usize;
        assert_eq!(decode::<List>(&nested(1)), Ok(List(Some(Box::new(List(None))))));
        assert!(decode::<List>(&nested(most)).is_ok());
        assert!(decode::<List>(&nested(most + 1)).is_err());
        assert!(decode::<List>(&nested(1 << 20)).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_letter_flag_or_variant_are_refused() {
        assert!(decode::<String>(&[0, 0, 0, 0, 0, 0, 0, 1, 0xff]).is_err());
        for bytes in [&[0xff][..], &[0x80], &[0xc3], &[0xed, 0xa0, 0x80], &[0xf0, 0x9f]] {
            assert!(decode::<char>(bytes).is_err(), "{bytes:?}");
        }
        for letter in ['a', 'é', '€', '🦀'] {
            assert_eq!(decode::<char>(&encoded(&letter)), Ok(letter));
        }
        assert!(decode::<bool>(&[2]).is_err());
        assert!(decode::<Option<u8>>(&[2, 0]).is_err());
        assert!(decode::<Shape>(&[0, 0, 0, 3]).is_err());
        assert!(decode::<u32>(&[0, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(name: String, list: Vec<u16>, radius: f64, pair: (i128, Option<bool>)) {
            let shapes = vec![Shape::Point, Shape::Circle { radius }, Shape::Named(name, list)];
            prop_assert_eq!(decode::<Vec<Shape>>(&encoded(&shapes)), Ok(shapes));
            prop_assert_eq!(decode::<(i128, Option<bool>)>(&encoded(&pair)), Ok(pair));
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode::<Vec<Shape>>(&bytes);
            let _ = decode::<(String, Bytes, BTreeMap<u8, char>)>(&bytes);
        }
    }
}
