//! Arguments and results as bytes: serde through bincode, with limits.
//!
//! The encoding is the same on every machine: integers and floats are big-endian (network byte order, as in XDR, RFC
//! 4506) with the fixed width of their type; `usize` and every length are a `u64`; `bool`, and the tag of an `Option`,
//! one byte; an enum's variant a `u32`; strings and byte strings are a length and the bytes; structs and
//! tuples are their fields one after the other, without names, tags or padding. Nothing describes itself: both ends hold the same types.
//!
//! Decoding never trusts a length: a string cannot claim more memory than [`DECODE_BYTES_MAX`], or [`SMALL`] where the
//! message itself is smaller, sequences grow as their elements arrive, and bytes left over are an error. Two shapes stay the
//! service's own care: a sequence of elements that encode to nothing (`Vec<()>`) may claim any length, and a type that contains itself
//! (a list of boxes) may be sent deeper than the stack.
//!
//! bincode is fixed at 2.0.1, the last working release: 3.0.0 is an empty farewell, and RUSTSEC-2025-0141 records that
//! nobody maintains it. The format is small, complete and specified, and this module is the only user, so that another
//! encoder could take its place.

use std::fmt;

use bincode::config::{BigEndian, Configuration, Fixint, Limit};
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Most bytes that one message may decode to, counted as encoded.
pub const DECODE_BYTES_MAX: usize = 64 << 20;
/// The limit for messages that are no longer than this, so that a small message cannot claim a large string.
pub const SMALL: usize = 64 << 10;

type Config<const LIMIT: usize> = Configuration<BigEndian, Fixint, Limit<LIMIT>>;

const fn config<const LIMIT: usize>() -> Config<LIMIT> {
    bincode::config::standard().with_big_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
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
    bincode::serde::encode_into_std_write(value, out, config::<DECODE_BYTES_MAX>())
        .map(|_| ())
        .map_err(|error| CodecError::Encode(error.to_string()))
}

/// Reads one value that fills `bytes` exactly.
///
/// # Errors
/// [`CodecError::Decode`] or [`CodecError::LeftOver`] if the bytes are not such a value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let decoded = if bytes.len() <= SMALL {
        bincode::serde::decode_from_slice(bytes, config::<SMALL>())
    } else {
        bincode::serde::decode_from_slice(bytes, config::<DECODE_BYTES_MAX>())
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
        impl Visitor<'_> for Whole {
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
