//! What a type looks like on the wire, as a text: two ends notice by it when what both call `Order` has not the same fields.
//!
//! serde describes a type only while a value of it is read. So values are read that nobody sent, and what the type asks for is noted:
//! every number is one, every list has one element, and of an enum another variant is there at each reading, until all have
//! been. (The crate serde-reflection does the same, to write programs in other languages.) A type that takes no such value, or panics at
//! it, is described as far as it went; its name is in the method's signature in any case. A type inside one of the same name counts as
//! that type again.

mod reader;

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;

use reader::{Reader, Reading};

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
        if (self.kind, self.name) != (kind, name) || self.parts.len() != parts.len() {
            *self = Shape { kind, name, parts: parts.map(|name| (name, Shape::default())).collect(), is_left: false };
        }
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
