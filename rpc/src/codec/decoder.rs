//! Bytes to values. Nothing that is read is believed before the bytes for it are there.

use serde::Deserializer;
use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{DEPTH_MAX, Fault};

/// What is not read yet. `BIG`: numbers begin with their most significant byte.
#[derive(Debug)]
pub(super) struct Decoder<'de, const BIG: bool> {
    rest: &'de [u8],
    /// How many more values may be inside each other here.
    depth: u32,
}

impl<'de, const BIG: bool> Decoder<'de, BIG> {
    #[inline]
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Decoder { rest: bytes, depth: DEPTH_MAX }
    }

    /// The bytes that were not read.
    #[inline]
    pub(super) fn rest(&self) -> &'de [u8] {
        self.rest
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<N>() else { return Err(short()) };
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    fn u64(&mut self) -> Result<u64, Fault> {
        let bytes = self.take()?;
        Ok(if BIG { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'de [u8], Fault> {
        let length = self.u64()?;
        let length = usize::try_from(length).map_err(|_| short())?;
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else { return Err(short()) };
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn str(&mut self) -> Result<&'de str, Fault> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Fault::custom("a text is not UTF-8"))
    }

    #[inline]
    fn flag(&mut self) -> Result<bool, Fault> {
        match self.take()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Fault::custom("neither 0 nor 1")),
        }
    }

    /// A number of elements. Each takes a byte at least, so there cannot be more than bytes.
    #[inline]
    fn count(&mut self) -> Result<usize, Fault> {
        let count = self.u64()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => Err(Fault::custom("more elements than bytes")),
        }
    }

    /// Goes one value deeper. Every value that contains its own type is inside one that asks this.
    #[inline]
    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let Some(depth) = self.depth.checked_sub(1) else { return Err(Fault::custom("nested too deeply")) };
        self.depth = depth;
        let value = inside(self)?;
        self.depth += 1;
        Ok(value)
    }
}

#[cold]
fn short() -> Fault {
    Fault::custom("the bytes end before the value does")
}

macro_rules! numbers {
    ($($method:ident $visit:ident $of:ty,)*) => {
        $(
            #[inline]
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
                let bytes = self.take()?;
                visitor.$visit(if BIG { <$of>::from_be_bytes(bytes) } else { <$of>::from_le_bytes(bytes) })
            }
        )*
    };
}

impl<'de, const BIG: bool> Deserializer<'de> for &mut Decoder<'de, BIG> {
    type Error = Fault;

    numbers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_u128 visit_u128 u128,
        deserialize_f32 visit_f32 f32, deserialize_f64 visit_f64 f64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fault> {
        Err(Fault::custom("the bytes do not say what they are, and the type does not know"))
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bool(self.flag()?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let first = *self.rest.first().ok_or_else(short)?;
        let length = match first {
            0..0x80 => 1,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(short)?;
        let letter = std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
        self.rest = rest;
        visitor.visit_char(letter.ok_or_else(|| Fault::custom("a letter is not UTF-8"))?)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.str()?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.str()?)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.flag()? {
            false => visitor.visit_none(),
            true => self.deeper(|decoder| visitor.visit_some(decoder)),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let left = self.count()?;
        self.deeper(|decoder| visitor.visit_seq(Parts { decoder, left }))
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Parts { decoder: self, left: length })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_seq(Parts { decoder: self, left: length })
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let left = self.count()?;
        self.deeper(|decoder| visitor.visit_map(Parts { decoder, left }))
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_seq(Parts { decoder: self, left: fields.len() })
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deeper(|decoder| visitor.visit_enum(decoder))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Values one after the other.
struct Parts<'a, 'de, const BIG: bool> {
    decoder: &'a mut Decoder<'de, BIG>,
    left: usize,
}

impl<'de, const BIG: bool> SeqAccess<'de> for Parts<'_, 'de, BIG> {
    type Error = Fault;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de, const BIG: bool> MapAccess<'de> for Parts<'_, 'de, BIG> {
    type Error = Fault;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.next_element_seed(seed)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(&mut *self.decoder)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de, const BIG: bool> EnumAccess<'de> for &mut Decoder<'de, BIG> {
    type Error = Fault;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let bytes = self.take()?;
        let index = if BIG { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let index: U32Deserializer<Fault> = index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de, const BIG: bool> VariantAccess<'de> for &mut Decoder<'de, BIG> {
    type Error = Fault;

    #[inline]
    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(self)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Parts { decoder: self, left: length })
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Parts { decoder: self, left: fields.len() })
    }
}
