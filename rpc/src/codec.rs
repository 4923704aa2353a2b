//! Arguments and results as bytes: serde through bincode, with limits.
//!
//! The encoding is the same on every machine: integers and floats are big-endian (network byte order, as in XDR, RFC
//! 4506) with the fixed width of their type; `usize` and every length are a `u64`; `bool`, and the tag of an `Option`,
//! one byte; an enum's variant a `u32`; strings and byte strings are a length and the bytes; structs and
//! tuples are their fields one after the other, without names, tags or padding. Nothing describes itself: both ends hold the same types.
//!
//! Decoding never trusts a length: a string cannot claim more memory than [`DECODE_BYTES_MAX`], [`MEDIUM`], or [`SMALL`],
//! by the size of the message itself, sequences grow as their elements arrive, and bytes left over are an error. Two shapes stay the
//! service's own care: a sequence of elements that encode to nothing (`Vec<()>`) may claim any length, and a type that contains itself
//! (a list of boxes) may be sent deeper than the stack.
//!
//! bincode is fixed at 2.0.1, the last working release: 3.0.0 is an empty farewell, and RUSTSEC-2025-0141 records that
//! nobody maintains it. The format is small, complete and specified, and this module is the only user, so that another
//! encoder could take its place.

use std::fmt;

use bincode::config::{BigEndian, Configuration, Fixint, Limit, LittleEndian};
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Most bytes that one message may decode to, counted as encoded.
pub const DECODE_BYTES_MAX: usize = 1 << 30;
/// The limit for messages that are no longer than half of this.
pub const MEDIUM: usize = 64 << 20;
/// The limit for messages that are no longer than this, so that a small message cannot claim a large string.
pub const SMALL: usize = 64 << 10;

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
    /// Whether numbers begin with their most significant byte.
    const fn is_big(self) -> bool {
        match self {
            ByteOrder::Network => true,
            ByteOrder::Native => cfg!(target_endian = "big"),
            ByteOrder::Foreign => cfg!(target_endian = "little"),
        }
    }
}

type Config<E, const LIMIT: usize> = Configuration<E, Fixint, Limit<LIMIT>>;

const fn big<const LIMIT: usize>() -> Config<BigEndian, LIMIT> {
    bincode::config::standard().with_big_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

const fn little<const LIMIT: usize>() -> Config<LittleEndian, LIMIT> {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
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

/// Appends the encoded value to `out`.
///
/// # Errors
/// [`CodecError::Encode`] if the type's `Serialize` fails; `out` then holds a part of the value.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    encode_in(ByteOrder::Network, value, out)
}

/// The same in another order of bytes.
///
/// # Errors
/// As for [`encode`].
pub fn encode_in<T: Serialize + ?Sized>(order: ByteOrder, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let written = match order.is_big() {
        true => bincode::serde::encode_into_std_write(value, out, big::<DECODE_BYTES_MAX>()),
        false => bincode::serde::encode_into_std_write(value, out, little::<DECODE_BYTES_MAX>()),
    };
    written.map(|_| ()).map_err(|error| CodecError::Encode(error.to_string()))
}

/// Reads one value that fills `bytes` exactly.
///
/// # Errors
/// [`CodecError::Decode`] or [`CodecError::LeftOver`] if the bytes are not such a value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_in(ByteOrder::Network, bytes)
}

/// The same in another order of bytes.
///
/// # Errors
/// As for [`decode`].
pub fn decode_in<T: DeserializeOwned>(order: ByteOrder, bytes: &[u8]) -> Result<T, CodecError> {
    match bytes.len() {
        length if length <= SMALL => decode_within::<T, SMALL>(order, bytes),
        length if length <= MEDIUM / 2 => decode_within::<T, MEDIUM>(order, bytes),
        _ => decode_within::<T, DECODE_BYTES_MAX>(order, bytes),
    }
}

fn decode_within<T: DeserializeOwned, const LIMIT: usize>(order: ByteOrder, bytes: &[u8]) -> Result<T, CodecError> {
    let decoded = match order.is_big() {
        true => bincode::serde::decode_from_slice(bytes, big::<LIMIT>()),
        false => bincode::serde::decode_from_slice(bytes, little::<LIMIT>()),
    };
    match decoded {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok((_, used)) => Err(CodecError::LeftOver(bytes.len().saturating_sub(used))),
        Err(error) => Err(CodecError::Decode(error.to_string())),
    }
}

/// Compiles only for types that can be encoded and decoded; the stubs use it to place the compiler's complaint.
#[doc(hidden)]
pub const fn travels<T: Serialize + DeserializeOwned>() {}

/// A byte string that is copied whole; serde handles a `Vec<u8>` element by element, which is several times slower.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.0.len())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes(bytes)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            /// In JSON, which has no byte strings: an array of numbers.
            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = numbers.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }

            /// Or a text, which stands for its UTF-8.
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                self.visit_bytes(text.as_bytes())
            }
        }
        deserializer.deserialize_byte_buf(Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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
        let bytes = Bytes(vec![1, 2, 3]);
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
        let large = encoded(&(SMALL as u64 + 1));
        assert!(decode::<String>(&large).is_err_and(|error| error.to_string().contains("imit")));
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
