//! Arguments in JSON: an array of all, or an object by name. What is wrong is said of the argument, with the type that is wanted.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Name and type of each argument.
pub(crate) type Names = &'static [(&'static str, &'static str)];

/// Those that were not taken yet.
#[derive(Debug)]
pub(crate) struct Arguments {
    values: std::vec::IntoIter<Value>,
    names: std::slice::Iter<'static, (&'static str, &'static str)>,
}

impl Arguments {
    /// All of a method, or what is wrong with their number or names.
    pub(crate) fn new(written: Value, names: Names) -> Result<Self, String> {
        Ok(Arguments { values: in_order(written, names)?.into_iter(), names: names.iter() })
    }

    /// The next one, or what is wrong with it.
    pub(super) fn take<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let (Some(value), Some((name, of))) = (self.values.next(), self.names.next()) else {
            return Err("there are no more".to_owned());
        };
        let missing = value.is_null();
        T::deserialize(value).map_err(|error| {
            let what = if missing { "is missing or null".to_owned() } else { error.to_string() };
            format!("`{name}` should be {of}: {what}")
        })
    }

    /// There are no more.
    pub(super) fn end(&self) -> Result<(), String> {
        match self.values.len() {
            0 => Ok(()),
            left => Err(format!("{left} are left over")),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TWO: Names = &[("account", "String"), ("cents", "Option<u64>")];

    fn two(written: Value) -> Result<(String, Option<u64>), String> {
        let mut values = Arguments::new(written, TWO)?;
        Ok((values.take()?, values.take()?))
    }

    #[test]
    fn arguments_come_by_place_or_by_name() {
        assert_eq!(two(json!(["ada", 3])), Ok(("ada".to_owned(), Some(3))));
        assert_eq!(two(json!({"cents": 3, "account": "ada"})), Ok(("ada".to_owned(), Some(3))));
        assert_eq!(two(json!({"account": "ada"})), Ok(("ada".to_owned(), None)));
    }

    #[test]
    fn no_arguments_are_written_in_three_ways() {
        for nothing in [json!([]), json!({}), Value::Null] {
            assert!(Arguments::new(nothing, &[]).is_ok_and(|mut none| none.take::<u64>().is_err()));
        }
        assert_eq!(Arguments::new(json!([1]), &[]).map(drop), Err("1 given, wanted are 0: none".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_said_of_the_argument_with_the_type_that_is_wanted() {
        let words = |written| two(written).expect_err("refused");
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
