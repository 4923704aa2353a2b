//! Long byte strings, which are not copied where that can be helped: to copy a mebibyte takes longer than to send it.
//!
//! serde lends values and moves none, so a [`Bytes`] cannot be handed to an encoder, nor a piece of a message to a [`Bytes`]. It
//! is done behind serde's back: what is offered, or what is read, is noted for the thread, and whoever knows of it takes it if it is the
//! very memory that serde shows.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::shared::part_of;

/// A byte string of at least so many bytes is long: a shorter one is copied before anything else could be done about it.
pub(super) const LONG: usize = 16 << 10;

thread_local! {
    /// What is about to be written.
    static OFFERED: Cell<Option<bytes::Bytes>> = const { Cell::new(None) };
    /// The message that is being read, or served, where parts of it may be kept.
    static SOURCE: RefCell<Option<bytes::Bytes>> = const { RefCell::new(None) };
}

/// A byte string. serde handles a `Vec<u8>` element by element, which is several times slower; and clones of this one share their
/// memory, as [`bytes::Bytes`] do.
///
/// A long one that is a result, or a part of one, is sent from where it stands. Where it is received, and is more than half of the reply or
/// request, it stands in the memory into which that came: then that is kept for as long as this is.
///
/// ```
/// use rpc::Bytes;
///
/// let bytes = Bytes::from(vec![1, 2, 3]);
/// assert_eq!(bytes.len(), 3);
/// assert_eq!(Vec::from(bytes), [1, 2, 3]);
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(bytes::Bytes);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.0.len())
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes(bytes.into())
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes(bytes::Bytes::from_static(bytes))
    }
}

impl FromIterator<u8> for Bytes {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        Bytes(bytes.into_iter().collect())
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Copies nothing if nobody else has the memory.
impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.0.into()
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.len() < LONG {
            return serializer.serialize_bytes(&self.0);
        }
        offer(Some(self.0.clone()));
        let written = serializer.serialize_bytes(&self.0);
        offer(None);
        written
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Whole)
    }
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a byte string")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes::Bytes::copy_from_slice(bytes)))
    }

    fn visit_borrowed_bytes<E: serde::de::Error>(self, bytes: &'de [u8]) -> Result<Bytes, E> {
        let kept = if bytes.len() < LONG { None } else { kept(bytes) };
        kept.map_or_else(|| self.visit_bytes(bytes), |kept| Ok(Bytes(kept)))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(bytes.into())
    }

    /// In JSON, which has no byte strings: an array of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Bytes, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }

    /// Or a text, which stands for its UTF-8.
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
        self.visit_bytes(text.as_bytes())
    }
}

/// Notes what is about to be written; returns what was noted before. A thread that is ending has no notes.
fn offer(bytes: Option<bytes::Bytes>) -> Option<bytes::Bytes> {
    OFFERED.try_with(|offered| offered.replace(bytes)).ok().flatten()
}

/// These long bytes as a part of what is being read, if they are most of it: a short piece must not hold a long message.
fn kept(bytes: &[u8]) -> Option<bytes::Bytes> {
    let part = |source: &RefCell<Option<bytes::Bytes>>| {
        let source = source.borrow();
        part_of(source.as_ref().filter(|source| bytes.len() > source.len() / 2)?, bytes)
    };
    SOURCE.try_with(part).ok().flatten()
}

/// Runs `read`, which reads `source`; long byte strings in that are not copied, whoever decodes them.
pub(crate) fn reading<T>(source: &bytes::Bytes, read: impl FnOnce() -> T) -> T {
    /// Also when it panics.
    struct Forget(Option<bytes::Bytes>);
    impl Drop for Forget {
        fn drop(&mut self) {
            let _ = SOURCE.try_with(|source| source.replace(self.0.take()));
        }
    }
    let before = SOURCE.try_with(|noted| noted.replace(Some(source.clone())));
    let _forget = Forget(before.ok().flatten());
    read()
}

/// An encoded value. One long byte string in it, if there is any, stands where it stood before.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Encoded {
    /// Everything else.
    pub(crate) bytes: Vec<u8>,
    lent: Option<Lent>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Lent {
    /// Its place among the other bytes.
    at: usize,
    bytes: bytes::Bytes,
}

impl Encoded {
    /// Takes the byte string if it is a long one that has just been offered, and if there is none yet.
    pub(super) fn borrow(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() < LONG || self.lent.is_some() {
            return false;
        }
        let offered = offer(None).filter(|offered| std::ptr::eq(&**offered, bytes));
        self.lent = offered.map(|bytes| Lent { at: self.bytes.len(), bytes });
        self.lent.is_some()
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.lent.as_ref().map_or(0, |lent| lent.bytes.len())
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets it all but the room that it has.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        if self.lent.is_some() {
            self.forget_lent();
        }
    }

    /// Apart, so that short messages only ask whether there is anything.
    #[cold]
    fn forget_lent(&mut self) {
        self.lent = None;
    }

    /// The room that it has, to be used again.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// Becomes the same as `other`, in the room that it has.
    pub(crate) fn copy(&mut self, other: &Encoded) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&other.bytes);
        self.lent.clone_from(&other.lent);
    }

    /// All bytes, in order: those before the long byte string, that itself, and those behind it.
    #[inline]
    pub fn parts(&self) -> [&[u8]; 3] {
        match &self.lent {
            None => [&self.bytes, &[], &[]],
            Some(lent) => self.parts_around(lent),
        }
    }

    /// Apart, as [`Self::forget_lent`].
    #[cold]
    fn parts_around<'a>(&'a self, lent: &'a Lent) -> [&'a [u8]; 3] {
        let (before, behind) = self.bytes.split_at_checked(lent.at).unwrap_or((&self.bytes, &[]));
        [before, &lent.bytes, behind]
    }

    /// The long byte string, which others may share.
    pub(crate) fn lent(&self) -> Option<&bytes::Bytes> {
        self.lent.as_ref().map(|lent| &lent.bytes)
    }
}

impl From<Vec<u8>> for Encoded {
    fn from(bytes: Vec<u8>) -> Self {
        Encoded { bytes, lent: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ByteOrder, decode_keeping, encode, encode_lending};
    use super::*;
    use proptest::prelude::*;

    /// Byte strings between and behind other things.
    type Message = (u32, Bytes, String, Bytes, u16);

    fn message(lengths: [usize; 2]) -> Message {
        let [first, second] = lengths.map(|length| (0..length).map(|place| place as u8).collect());
        (7, first, "text".to_owned(), second, 9)
    }

    fn lent(message: &impl Serialize) -> Encoded {
        let mut encoded = Encoded::default();
        encode_lending(ByteOrder::Network, message, &mut encoded).unwrap();
        encoded
    }

    fn copied(message: &impl Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(message, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_first_long_byte_string_stays_where_it_is_and_the_others_are_copied() {
        for (lengths, which) in [([LONG, 1], Some(0)), ([1, LONG], Some(1)), ([LONG, LONG], Some(0)), ([1, 1], None)] {
            let message = message(lengths);
            let encoded = lent(&message);
            let [_, long, _] = encoded.parts();
            assert_eq!(encoded.parts().concat(), copied(&message));
            assert_eq!(encoded.len(), copied(&message).len());
            match which {
                Some(which) => assert!(std::ptr::eq(long, &**[&message.1, &message.3][which])),
                None => assert!(long.is_empty() && encoded.lent().is_none()),
            }
        }
    }

    /// serde shows the encoder such bytes, too, and nobody has offered them.
    #[test]
    fn bytes_that_are_not_ours_to_keep_are_copied() {
        struct Foreign<'a>(&'a [u8]);
        impl Serialize for Foreign<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(self.0)
            }
        }
        let bytes = vec![5; LONG];
        assert!(lent(&Foreign(&bytes)).lent().is_none());
        // Nor is anything left of what was offered to an encoder that did not take it.
        copied(&Bytes::from(bytes.clone()));
        assert!(lent(&Foreign(&bytes)).lent().is_none());
    }

    #[test]
    fn most_of_a_message_stays_in_its_memory_and_a_small_part_is_copied() {
        for (lengths, kept) in
            [([LONG, 1], [true, false]), ([LONG, 4 * LONG], [false, true]), ([LONG, LONG], [false; 2])]
        {
            let message = message(lengths);
            let source = bytes::Bytes::from(copied(&message));
            let decoded: Message = decode_keeping(ByteOrder::Network, &source).unwrap();
            assert_eq!(decoded, message);
            assert_eq!([&decoded.1, &decoded.3].map(|bytes| part_of(&source, bytes).is_some()), kept, "{lengths:?}");
        }
        // Only while it is being read.
        let source = bytes::Bytes::from(copied(&message([LONG, 1])));
        let decoded: Message = super::super::decode(&source).unwrap();
        assert_eq!(part_of(&source, &decoded.1), None);
    }

    #[test]
    fn an_encoded_value_is_copied_into_the_room_of_another_and_forgotten_whole() {
        let (one, mut other) = (lent(&message([LONG, 3])), lent(&message([3, LONG])));
        other.copy(&one);
        assert_eq!(other, one);
        other.clear();
        assert!(other.is_empty() && other.lent().is_none());
    }

    proptest! {
        #[test]
        fn what_is_lent_and_kept_is_what_was_sent(first in 0..2 * LONG, second in 0..2 * LONG) {
            let message = message([first, second]);
            let bytes = lent(&message).parts().concat();
            prop_assert_eq!(&bytes, &copied(&message));
            prop_assert_eq!(decode_keeping::<Message>(ByteOrder::Network, &bytes.into()).unwrap(), message);
        }
    }
}
