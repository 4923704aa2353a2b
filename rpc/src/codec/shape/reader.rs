//! Reads a value that nobody sent, and notes what is asked for.

use serde::de::value::U32Deserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess};
use serde::de::{SeqAccess, VariantAccess, Visitor};

use super::{Kind, Shape};
use crate::codec::Fault;

/// How many parts a type may have in one reading, and how deep they may be nested.
const PARTS_MAX: usize = 10_000;
const DEPTH_MAX: usize = 100;

/// One reading of a value.
#[derive(Default)]
pub(super) struct Reading {
    /// The types with names that are being read, the outermost first.
    within: Vec<&'static str>,
    parts: usize,
    /// In how many types inside themselves it is: their values should come to an end.
    again: usize,
}

impl Reading {
    /// One part more.
    fn step(&mut self) -> Result<(), Fault> {
        self.parts += 1;
        if self.parts > PARTS_MAX || self.within.len() > DEPTH_MAX {
            return Err(Fault::custom("it is too large a type"));
        }
        Ok(())
    }
}

/// Reads one part.
pub(super) struct Reader<'a> {
    pub(super) shape: &'a mut Shape,
    pub(super) reading: &'a mut Reading,
}

impl Reader<'_> {
    fn plain(&mut self, name: &'static str) -> Result<(), Fault> {
        self.reading.step()?;
        self.shape.is(Kind::Plain, name, std::iter::empty());
        Ok(())
    }

    /// Reads what is made of parts: of a type with a name, unless that is empty.
    fn made_of<T>(
        self,
        kind: Kind,
        name: &'static str,
        parts: impl ExactSizeIterator<Item = &'static str>,
        read: impl FnOnce(&mut [(&'static str, Shape)], &mut Reading) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let Reader { mut shape, reading } = self;
        reading.step()?;
        let mut elsewhere = Shape::default();
        let again = !name.is_empty() && reading.within.contains(&name);
        if again {
            shape.is(Kind::Again, name, std::iter::empty());
            shape = &mut elsewhere;
        }
        shape.is(kind, name, parts);
        reading.within.push(name);
        reading.again += usize::from(again);
        let value = read(&mut shape.parts, reading);
        reading.again -= usize::from(again);
        reading.within.pop();
        value
    }

    /// Reads all parts, in order.
    fn sequence<'de, V: Visitor<'de>>(
        self,
        name: &'static str,
        names: impl ExactSizeIterator<Item = &'static str>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if names.len() > PARTS_MAX {
            return Err(Fault::custom("it has too many parts"));
        }
        self.made_of(Kind::All, name, names, |parts, reading| {
            visitor.visit_seq(Parts { parts: parts.iter_mut(), reading })
        })
    }

    /// Reads one part.
    fn single<T>(
        self,
        name: &'static str,
        part: &'static str,
        read: impl FnOnce(Reader<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.made_of(Kind::All, name, [part].into_iter(), |parts, reading| match parts {
            [(_, shape), ..] => read(Reader { shape, reading }),
            [] => Err(Fault::custom("it has no parts")),
        })
    }

    /// Whether what may be empty should be: otherwise a type inside itself would have no end.
    fn ends(&self) -> bool {
        self.reading.again > 0
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident $value:expr, $name:literal;)*) => {
        $(
            fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
                self.plain($name)?;
                visitor.$visit($value)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    plain! {
        deserialize_bool visit_bool true, "bool";
        deserialize_u8 visit_u8 1, "u8";
        deserialize_u16 visit_u16 1, "u16";
        deserialize_u32 visit_u32 1, "u32";
        deserialize_u64 visit_u64 1, "u64";
        deserialize_u128 visit_u128 1, "u128";
        deserialize_i8 visit_i8 1, "i8";
        deserialize_i16 visit_i16 1, "i16";
        deserialize_i32 visit_i32 1, "i32";
        deserialize_i64 visit_i64 1, "i64";
        deserialize_i128 visit_i128 1, "i128";
        deserialize_f32 visit_f32 1.0, "f32";
        deserialize_f64 visit_f64 1.0, "f64";
        deserialize_char visit_char 'a', "char";
        deserialize_str visit_str "", "text";
        deserialize_string visit_string String::new(), "text";
        deserialize_bytes visit_bytes &[], "bytes";
        deserialize_byte_buf visit_byte_buf Vec::new(), "bytes";
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fault> {
        Err(Fault::custom("it wants to be told what it is"))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.ends() {
            return visitor.visit_none();
        }
        self.single("", "maybe", |reader| visitor.visit_some(reader))
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        self.plain("()")?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(mut self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.plain(name)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.single(name, "", |reader| visitor.visit_newtype_struct(reader))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let ends = self.ends();
        self.made_of(Kind::All, "", ["each"].into_iter(), |parts, reading| {
            let count = if ends { 0 } else { parts.len() };
            visitor.visit_seq(Parts { parts: parts[..count].iter_mut(), reading })
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let ends = self.ends();
        self.made_of(Kind::All, "", ["key", "value"].into_iter(), |parts, reading| {
            let count = if ends { 0 } else { parts.len() };
            visitor.visit_map(Parts { parts: parts[..count].iter_mut(), reading })
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_tuple_struct("", length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.sequence(name, std::iter::repeat_n("", length), visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.sequence(name, fields.iter().copied(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.made_of(Kind::One, name, variants.iter().copied(), |variants, reading| {
            // Inside itself it takes another one the deeper it is, and comes to one that ends.
            let next = match reading.again {
                0 => variants.iter().position(|(_, variant)| !variant.is_known()).unwrap_or_default(),
                depth => depth % variants.len().max(1),
            };
            let Some((_, shape)) = variants.get_mut(next) else { return Err(Fault::custom("it has no variants")) };
            visitor.visit_enum(Variant { index: next as u32, reader: Reader { shape, reading } })
        })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of a whole.
struct Parts<'a> {
    parts: std::slice::IterMut<'a, (&'static str, Shape)>,
    reading: &'a mut Reading,
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((_, shape)) = self.parts.next() else { return Ok(None) };
        seed.deserialize(Reader { shape, reading: self.reading }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.parts.len())
    }
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        self.next_element_seed(seed)?.ok_or_else(|| Fault::custom("a key without a value"))
    }
}

/// The variant whose turn it is.
struct Variant<'a> {
    index: u32,
    reader: Reader<'a>,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Fault;
    type Variant = Reader<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Reader<'a>), Fault> {
        let index: U32Deserializer<Fault> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, self.reader))
    }
}

impl<'de> VariantAccess<'de> for Reader<'_> {
    type Error = Fault;

    fn unit_variant(mut self) -> Result<(), Fault> {
        self.plain("()")
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_struct("", fields, visitor)
    }
}
