//! What a type looks like on the wire, as a text: two ends notice by it when what both call `Order` has not the same fields.
//!
//! serde describes a type only while a value of it is read. So values are read that nobody sent, and what the type asks for is noted:
//! every number is one, every list has one element, and of an enum another variant is there at each reading, until all have
//! been. (The crate serde-reflection does the same, to write programs in other languages.) A type that takes no such value, or panics at
//! it, is described as far as it went; its name is in the method's signature in any case.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::value::U32Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess};
use serde::de::{SeqAccess, VariantAccess, Visitor};

use super::Fault;

/// How many parts a type may have in one reading, and how deep they may be nested.
const PARTS_MAX: usize = 10_000;
const DEPTH_MAX: usize = 100;
/// How often a type is read: as many variants as its enums have.
const READINGS_MAX: usize = 1_000;

/// The text of a type: the same on every machine.
pub(super) fn text<T: DeserializeOwned>() -> String {
    let (mut shape, mut text) = (Shape::default(), String::new());
    for _ in 0..READINGS_MAX {
        let mut reading = Reading::default();
        let reader = Reader { shape: &mut shape, reading: &mut reading };
        let read = catch_unwind(AssertUnwindSafe(|| T::deserialize(reader).is_ok())).unwrap_or_default();
        let before = std::mem::take(&mut text);
        shape.write(&mut text);
        if shape.is_known() || text == before || !read && !shape.leave_variant() {
            break;
        }
    }
    text
}

/// What is known of a type.
#[derive(Debug, Default)]
struct Shape {
    kind: Kind,
    name: &'static str,
    /// With their names, where they have any.
    parts: Vec<(&'static str, Shape)>,
    /// No more of it can be known.
    is_left: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Kind {
    #[default]
    Unknown,
    /// It has no parts: a number, a text.
    Plain,
    /// It has all of its parts: a struct, a tuple, a list, a map.
    All,
    /// It is one of its parts: an enum.
    One,
    /// It is a part of itself.
    Again,
}

impl Shape {
    /// Whether every variant of every enum has been seen.
    fn is_known(&self) -> bool {
        self.is_left || self.kind != Kind::Unknown && self.parts.iter().all(|(_, part)| part.is_known())
    }

    /// The innermost variant that could be read in part only is given up for the next one; false if there is none.
    fn leave_variant(&mut self) -> bool {
        if self.parts.iter_mut().any(|(_, part)| !part.is_left && part.leave_variant()) {
            return true;
        }
        let begun = |shape: &&mut Shape| shape.kind != Kind::Unknown && !shape.is_known();
        let mut variants = self.parts.iter_mut().map(|(_, variant)| variant);
        let found = if self.kind == Kind::One { variants.find(begun) } else { None };
        found.map(|variant| variant.is_left = true).is_some()
    }

    fn write(&self, out: &mut String) {
        let [open, close] = match self.kind {
            Kind::Unknown => return out.push('?'),
            Kind::Plain => return out.push_str(self.name),
            Kind::Again => return out.extend(["^", self.name]),
            Kind::All => ["{", "}"],
            Kind::One => ["[", "]"],
        };
        out.extend([self.name, open]);
        for (name, part) in &self.parts {
            out.extend([name, ":"]);
            part.write(out);
            out.push(',');
        }
        out.push_str(close);
    }

    /// This is what it is, if that is news: what earlier readings have found of its parts stays.
    fn is(&mut self, kind: Kind, name: &'static str, parts: impl ExactSizeIterator<Item = &'static str>) {
        if self.kind != kind || self.parts.len() != parts.len() {
            *self = Shape { kind, name, parts: parts.map(|name| (name, Shape::default())).collect(), is_left: false };
        }
    }
}

/// One reading of a value.
#[derive(Default)]
struct Reading {
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
struct Reader<'a> {
    shape: &'a mut Shape,
    reading: &'a mut Reading,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU16;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape alone is of interest")]
    struct Order {
        number: u64,
        pieces: Vec<(u8, NonZeroU16)>,
        rebate: Option<f32>,
        kind: Kind,
        again: Kind,
        by_name: BTreeMap<String, Money>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "as above")]
    enum Kind {
        Plain,
        Gift { to: String },
        Parts(Vec<Unit>, char),
        Paid(Result<Money, bool>),
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "as above")]
    struct Money(i64);

    #[derive(Deserialize)]
    struct Unit;

    #[test]
    fn a_type_is_described_with_all_its_fields_and_variants() {
        let kind =
            "Kind[Plain:(),Gift:{to:text,},Parts:{:{each:Unit,},:char,},Paid:Result[Ok:Money{:i64,},Err:bool,],]";
        let order = format!(
            "Order{{number:u64,pieces:{{each:{{:u8,:u16,}},}},rebate:{{maybe:f32,}},kind:{kind},again:{kind},\
             by_name:{{key:text,value:Money{{:i64,}},}},}}"
        );
        assert_eq!(text::<Order>(), order);
        assert_eq!(text::<(Order, u8)>(), format!("{{:{order},:u8,}}"));
        assert_eq!(text::<()>(), "()");
        assert_eq!(text::<[crate::Bytes; 2]>(), "{:bytes,:bytes,}");
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "as above")]
    enum Sum {
        Both(Box<Sum>, Box<Sum>),
        Of(Vec<Sum>),
        Number(u8),
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "as above")]
    struct List {
        value: u8,
        rest: Option<Box<List>>,
    }

    #[test]
    fn types_inside_themselves_come_to_an_end() {
        assert_eq!(text::<List>(), "List{value:u8,rest:{maybe:^List,},}");
        assert_eq!(text::<Sum>(), "Sum[Both:{:^Sum,:^Sum,},Of:{each:^Sum,},Number:u8,]");
    }

    /// No value of it has an end.
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "as above")]
    struct Endless(u8, Box<Endless>);

    /// Refuses what it is given.
    #[derive(Deserialize)]
    #[serde(try_from = "u8")]
    #[expect(dead_code, reason = "as above")]
    struct Two(u8);

    impl TryFrom<u8> for Two {
        type Error = &'static str;

        fn try_from(number: u8) -> Result<Self, &'static str> {
            if number == 2 { Ok(Two(number)) } else { Err("it must be two") }
        }
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "as above")]
    enum Picky {
        First(Two, u16),
        Second(Option<(Rash, u8)>),
        Third(u32),
    }

    /// Panics at what it is given.
    #[derive(Deserialize)]
    #[serde(from = "u8")]
    struct Rash;

    impl From<u8> for Rash {
        fn from(number: u8) -> Self {
            panic!("{number} is not what it wants")
        }
    }

    #[test]
    fn what_cannot_be_read_is_described_as_far_as_it_went() {
        assert_eq!(text::<(u16, Rash, u32)>(), "{:u16,:u8,:?,}");
        let picky = "Picky[First:{:u8,:?,},Second:{maybe:{:u8,:?,},},Third:u32,]";
        assert_eq!(text::<(Picky, u64)>(), format!("{{:{picky},:u64,}}"));
        assert_eq!(text::<Endless>(), "Endless{:u8,:^Endless,}");
        assert_eq!(text::<(u16, Two, u32)>(), "{:u16,:u8,:?,}");
        assert_eq!(text::<Vec<serde_json::Value>>(), "{each:?,}");
        assert_eq!(text::<[[u64; 32]; 32]>().matches("u64").count(), 1024);
    }
}
