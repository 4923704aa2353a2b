//! Arguments in JSON: an array of all, or an object by name. What is wrong is said of the argument, with the type that is wanted.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// Name and type of each argument.
type Names = &'static [(&'static str, &'static str)];

/// The tuple of a method's arguments, or what is wrong with them.
pub(super) fn arguments<T: DeserializeOwned>(written: Value, names: Names) -> Result<T, String> {
    let values = in_order(written, names)?;
    T::deserialize(Arguments { values, names }).map_err(|error| error.0)
}

/// One value for each argument. Nothing at all (null) is no arguments; an argument that an object leaves out is null, for those
/// that may be.
fn in_order(written: Value, names: Names) -> Result<Vec<Value>, String> {
    match written {
        Value::Null if names.is_empty() => Ok(Vec::new()),
        Value::Array(values) if values.len() == names.len() => Ok(values),
        Value::Array(values) => Err(format!("{} given, wanted are {}: {}", values.len(), names.len(), listed(names))),
        Value::Object(mut by_name) => {
            let values = names.iter().map(|(name, _)| by_name.remove(*name).unwrap_or_default()).collect();
            match by_name.keys().next() {
                Some(strange) => Err(format!("there is no argument `{strange}`; wanted are {}", listed(names))),
                None => Ok(values),
            }
        }
        _ => Err(format!("write them as a JSON array or object; wanted are {}", listed(names))),
    }
}

fn listed(names: Names) -> String {
    let list: Vec<_> = names.iter().map(|(name, of)| format!("{name}: {of}")).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

/// Deserializes as the tuple.
struct Arguments {
    values: Vec<Value>,
    names: Names,
}

impl<'de> Deserializer<'de> for Arguments {
    type Error = Complaint;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        visitor.visit_seq(Each { values: self.values.into_iter(), names: self.names.iter() })
    }

    /// No arguments: the tuple is `()`.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Complaint> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Each {
    values: std::vec::IntoIter<Value>,
    names: std::slice::Iter<'static, (&'static str, &'static str)>,
}

impl<'de> SeqAccess<'de> for Each {
    type Error = Complaint;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Complaint> {
        let (Some(value), Some((name, of))) = (self.values.next(), self.names.next()) else { return Ok(None) };
        let missing = value.is_null();
        seed.deserialize(value).map(Some).map_err(|error| {
            let what = if missing { "is missing or null".to_owned() } else { error.to_string() };
            Complaint(format!("`{name}` should be {of}: {what}"))
        })
    }
}

/// A text for people.
#[derive(Debug)]
struct Complaint(String);

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Complaint {}

impl serde::de::Error for Complaint {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Complaint(text.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TWO: Names = &[("account", "String"), ("cents", "Option<u64>")];
    type Two = (String, Option<u64>);

    #[test]
    fn arguments_come_by_place_or_by_name() {
        assert_eq!(arguments::<Two>(json!(["ada", 3]), TWO), Ok(("ada".to_owned(), Some(3))));
        assert_eq!(arguments::<Two>(json!({"cents": 3, "account": "ada"}), TWO), Ok(("ada".to_owned(), Some(3))));
        assert_eq!(arguments::<Two>(json!({"account": "ada"}), TWO), Ok(("ada".to_owned(), None)));
    }

    #[test]
    fn no_arguments_are_written_in_three_ways() {
        for nothing in [json!([]), json!({}), Value::Null] {
            assert_eq!(arguments::<()>(nothing, &[]), Ok(()));
        }
        assert_eq!(arguments::<()>(json!([1]), &[]), Err("1 given, wanted are 0: none".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_said_of_the_argument_with_the_type_that_is_wanted() {
        let words = |written| arguments::<Two>(written, TWO).expect_err("refused");
        assert_eq!(words(json!(["ada"])), "1 given, wanted are 2: account: String, cents: Option<u64>");
        assert_eq!(
            words(json!(["ada", "three"])),
            "`cents` should be Option<u64>: invalid type: string \"three\", expected u64"
        );
        assert_eq!(words(json!({"cents": 3})), "`account` should be String: is missing or null");
        assert!(words(json!({"acount": "ada"})).starts_with("there is no argument `acount`"));
        assert!(words(json!("ada")).starts_with("write them as a JSON array or object"));
    }
}
