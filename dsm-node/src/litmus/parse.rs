//! Reads tests from a file, which is not trusted.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::test::{Operation, State, Test, Value, Variable};

/// The largest file that is read.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// The most threads that a test may have; each is a process.
const THREADS_MAX: usize = 8;
const OPERATIONS_MAX: usize = 16;
const VARIABLES_MAX: usize = 8;
const REGISTERS_MAX: usize = 32;
const STATES_MAX: usize = 4096;
const TESTS_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 40;

/// What is wrong with a file of tests.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// No JSON, or not of this form.
    #[error("it is not a list of litmus tests: {0}")]
    Form(#[from] serde_json::Error),
    /// Too many tests, or none.
    #[error("it has {0} tests: 1 to {TESTS_MAX} are possible")]
    Count(usize),
    /// Two tests of one name.
    #[error("two of its tests are called {0:?}")]
    SameName(String),
    /// A test that makes no sense.
    #[error("test {number} ({name:?}): {problem}")]
    Test {
        /// Its place in the file, from 1.
        number: usize,
        /// What it calls itself.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// Reads the tests of a file.
///
/// # Errors
///
/// Where the file is wrong, and how.
pub fn parse(text: &str) -> Result<Vec<Test>, ParseError> {
    let raw: Vec<RawTest> = serde_json::from_str(text)?;
    if !(1..=TESTS_MAX).contains(&raw.len()) {
        return Err(ParseError::Count(raw.len()));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = raw.iter().find(|test| !names.insert(test.name.as_str())) {
        return Err(ParseError::SameName(twice.name.clone()));
    }
    raw.iter()
        .enumerate()
        .map(|(index, test)| {
            let located = |problem| ParseError::Test { number: index + 1, name: test.name.clone(), problem };
            test.meaning().map_err(located)
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTest {
    name: String,
    threads: Vec<Vec<RawOperation>>,
    forbidden: String,
    allowed: Vec<Pairs>,
    reachable_under_tso: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOperation {
    store: Option<String>,
    value: Option<Value>,
    load: Option<String>,
    into: Option<String>,
}

/// Names with values, as they stand in the file.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the final value of each register and variable")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl RawTest {
    fn meaning(&self) -> Result<Test, String> {
        check_name("the test", &self.name)?;
        bounded("threads", self.threads.len(), THREADS_MAX)?;
        let mut test = Test {
            name: self.name.clone(),
            threads: Vec::new(),
            registers: Vec::new(),
            variables: Vec::new(),
            forbidden: Vec::new(),
            allowed: Vec::new(),
            reachable_under_tso: self.reachable_under_tso,
        };
        for thread in &self.threads {
            bounded("steps in a thread", thread.len(), OPERATIONS_MAX)?;
            let steps = thread.iter().map(|step| step.meaning(&mut test)).collect::<Result<_, _>>()?;
            test.threads.push(steps);
        }
        if let Some(both) = test.registers.iter().find(|name| test.variables.contains(name)) {
            return Err(format!("{both:?} is both a register and a variable"));
        }
        test.forbidden = predicate(&test, &self.forbidden)?;
        bounded("allowed states", self.allowed.len(), STATES_MAX)?;
        test.allowed = self.allowed.iter().map(|pairs| pairs.state(&test)).collect::<Result<_, _>>()?;
        test.allowed.sort();
        let twice = test.allowed.windows(2).find(|pair| pair.first() == pair.last());
        if let Some(twice) = twice.and_then(<[_]>::first) {
            return Err(format!("the state {} is allowed twice", test.words(twice)));
        }
        match test.allowed.iter().find(|state| test.is_forbidden(state)) {
            Some(state) => Err(format!("the state {} is both allowed and forbidden", test.words(state))),
            None => Ok(test),
        }
    }
}

impl RawOperation {
    /// What it says; registers and variables that are new are added to `test`.
    fn meaning(&self, test: &mut Test) -> Result<Operation, String> {
        match self {
            RawOperation { store: Some(name), value: Some(value), load: None, into: None } => {
                Ok(Operation::Store(variable(test, name)?, *value))
            }
            RawOperation { store: None, value: None, load: Some(name), into: Some(register) } => {
                let variable = variable(test, name)?;
                check_name("a register", register)?;
                if test.registers.contains(register) {
                    return Err(format!("register {register:?} is loaded twice"));
                }
                test.registers.push(register.clone());
                bounded("registers", test.registers.len(), REGISTERS_MAX)?;
                Ok(Operation::Load(variable))
            }
            _ => {
                Err("a step is {\"store\": variable, \"value\": n} or {\"load\": variable, \"into\": register}".into())
            }
        }
    }
}

fn variable(test: &mut Test, name: &String) -> Result<Variable, String> {
    if let Some(known) = test.variables.iter().position(|known| known == name) {
        return Ok(Variable(known));
    }
    check_name("a variable", name)?;
    test.variables.push(name.clone());
    bounded("variables", test.variables.len(), VARIABLES_MAX)?;
    Ok(Variable(test.variables.len() - 1))
}

impl Pairs {
    /// The state, in the test's order; every name once, and no other.
    fn state(&self, test: &Test) -> Result<State, String> {
        let wanted = test.names().count();
        if self.0.len() != wanted {
            return Err(format!("an allowed state has {} values, and there are {wanted} names", self.0.len()));
        }
        let value = |name: &str| {
            let found = self.0.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| *value).ok_or_else(|| format!("an allowed state does not say what {name} is"))
        };
        test.names().map(value).collect()
    }
}

/// Reads `a==1 and b==0`.
fn predicate(test: &Test, text: &str) -> Result<Vec<(usize, Value)>, String> {
    let wrong = |problem: String| format!("the forbidden state {text:?} {problem}; write it as \"a==1 and b==0\"");
    let mut terms: Vec<(usize, Value)> = Vec::new();
    for term in text.split(" and ") {
        let (name, value) = term.split_once("==").ok_or_else(|| wrong(format!("has the term {term:?}")))?;
        let place = test.names().position(|known| known == name.trim());
        let place = place.ok_or_else(|| wrong(format!("names {:?}, which is not in the test", name.trim())))?;
        let value = value.trim().parse().map_err(|_| wrong(format!("has {:?} for a number", value.trim())))?;
        if terms.iter().any(|(known, _)| *known == place) {
            return Err(wrong(format!("names {:?} twice", name.trim())));
        }
        terms.push((place, value));
    }
    Ok(terms)
}

fn bounded(what: &str, count: usize, max: usize) -> Result<(), String> {
    if (1..=max).contains(&count) { Ok(()) } else { Err(format!("{count} {what}: 1 to {max} are possible")) }
}

/// Names are printed, so they hold nothing that a terminal would obey.
fn check_name(what: &str, name: &str) -> Result<(), String> {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && (1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(format!("{what} is called {name:?}: a name has 1 to {NAME_BYTES_MAX} printable characters and no blanks"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MP: &str = r#"{"name": "MP",
        "threads": [[{"store": "x", "value": 1}, {"store": "y", "value": 1}],
                    [{"load": "y", "into": "a"}, {"load": "x", "into": "b"}]],
        "forbidden": "a==1 and b==0",
        "allowed": [{"a": 0, "b": 0, "x": 1, "y": 1}, {"b": 1, "a": 0, "x": 1, "y": 1}, {"a": 1, "b": 1, "x": 1, "y": 1}],
        "reachable_under_tso": false}"#;

    fn problem(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_test_is_read_with_its_names_in_order() {
        let tests = parse(&format!("[{MP}]")).unwrap();
        let [mp] = &tests[..] else { panic!("{tests:?}") };
        assert_eq!(mp.names().collect::<Vec<_>>(), ["a", "b", "x", "y"]);
        assert_eq!(mp.threads[0], [Operation::Store(Variable(0), 1), Operation::Store(Variable(1), 1)]);
        assert_eq!(mp.threads[1], [Operation::Load(Variable(1)), Operation::Load(Variable(0))]);
        assert_eq!(mp.allowed, [[0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1]]);
        assert!(mp.is_forbidden(&[1, 0, 1, 1]) && !mp.is_forbidden(&[1, 1, 1, 1]));
        assert_eq!(mp.words(&[1, 0, 1, 1]), "a=1 b=0 x=1 y=1");
    }

    #[test]
    fn what_is_not_a_list_of_tests_is_refused_with_its_place() {
        for text in ["", "{}", "[1]", "[{}]", "[[]]", "\u{0}", &"[".repeat(100_000)] {
            assert!(problem(text).contains("not a list of litmus tests"), "{}", problem(text));
        }
        assert!(problem("[]").contains("0 tests"));
        assert!(problem(&format!("[{MP},{MP}]")).contains("two of its tests are called \"MP\""));
        assert!(problem(&format!("[{}]", MP.replace("\"name\"", "\"nome\""))).contains("unknown field `nome`"));
    }

    #[test]
    fn a_test_that_makes_no_sense_is_refused_with_the_reason() {
        let wrong = [
            (r#""into": "b""#, r#""into": "a""#, "loaded twice"),
            (r#""into": "b""#, r#""into": "x""#, "both a register and a variable"),
            (r#""store": "y", "value": 1"#, r#""store": "y""#, "a step is"),
            (r#""store": "y", "value": 1"#, r#""store": "y", "into": "c""#, "a step is"),
            (r#""store": "y", "value": 1"#, r#""store": "y", "value": -1"#, "invalid value"),
            (r#""store": "y", "value": 1"#, r#""store": "y", "value": 99999999999999999999"#, "invalid"),
            (r#""store": "y", "value": 1"#, r#""store": "y\u001b[2J", "value": 1"#, "printable"),
            (r#""name": "MP""#, r#""name": """#, "printable"),
            ("a==1 and b==0", "a==1 or b==0", "for a number"),
            ("a==1 and b==0", "a==1 and q==0", "not in the test"),
            ("a==1 and b==0", "a==1 and a==0", "twice"),
            ("a==1 and b==0", "", "term"),
            ("a==1 and b==0", "a==0 and b==0", "both allowed and forbidden"),
            (r#"{"a": 0, "b": 0, "x": 1, "y": 1}"#, r#"{"a": 1, "b": 1, "x": 1, "y": 1}"#, "allowed twice"),
            (r#"{"a": 0, "b": 0, "x": 1, "y": 1}"#, r#"{"a": 1, "b": 1, "x": 1}"#, "3 values"),
            (r#"{"a": 0, "b": 0, "x": 1, "y": 1}"#, r#"{"a": 0, "a": 0, "x": 1, "y": 1}"#, "does not say what b is"),
        ];
        for (from, to, words) in wrong {
            let text = format!("[{}]", MP.replacen(from, to, 1));
            assert!(problem(&text).contains(words), "{to}: {}", problem(&text));
        }
    }

    #[test]
    fn a_test_beyond_the_bounds_is_refused() {
        let thread = r#"[{"store": "x", "value": 1}]"#;
        let with = |threads: &[&str]| {
            format!(
                r#"[{{"name": "T", "threads": [{}], "forbidden": "x==0", "allowed": [{{"x": 1}}],
                "reachable_under_tso": false}}]"#,
                threads.join(",")
            )
        };
        assert!(parse(&with(&[thread; 8])).is_ok());
        assert!(problem(&with(&[thread; 9])).contains("9 threads"));
        assert!(problem(&with(&[])).contains("0 threads"));
        assert!(problem(&with(&["[]"])).contains("0 steps"));
        let long = format!("[{}]", [r#"{"store": "x", "value": 1}"#; 17].join(","));
        assert!(problem(&with(&[&long])).contains("17 steps"));
        let wide: Vec<String> = (0..9).map(|index| format!(r#"{{"store": "v{index}", "value": 1}}"#)).collect();
        assert!(problem(&with(&[&format!("[{}]", wide.join(","))])).contains("9 variables"));
    }
}
