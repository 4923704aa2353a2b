//! What a litmus test is: a few threads of loads and stores, and the final states that sequential consistency admits.

/// A value that is stored, or loaded.
pub type Value = u64;

/// A variable of the test, by its place among [`Test::variables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable(pub usize);

/// One step of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Stores to a variable.
    Store(Variable, Value),
    /// Loads a variable into the next register of the test: registers are numbered in the order of threads and steps.
    Load(Variable),
}

impl Operation {
    /// The variable that it touches.
    pub fn variable(self) -> Variable {
        match self {
            Operation::Store(variable, _) | Operation::Load(variable) => variable,
        }
    }
}

/// A final state: the registers in their order, then the variables in theirs.
pub type State = Vec<Value>;

/// A test. All variables are 0 before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// What each thread does.
    pub threads: Vec<Vec<Operation>>,
    /// Names of the registers.
    pub registers: Vec<String>,
    /// Names of the variables.
    pub variables: Vec<String>,
    /// The state that the test is about: places in a [`State`] and the values there, all of which hold in it.
    pub forbidden: Vec<(usize, Value)>,
    /// Every final state that may be, sorted.
    pub allowed: Vec<State>,
    /// Whether two threads of one process may show the forbidden state under the processor's own total store order.
    pub reachable_under_tso: bool,
}

impl Test {
    /// The names of what a [`State`] holds, in its order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.registers.iter().chain(&self.variables).map(String::as_str)
    }

    /// Whether `state` is the one that the test is about.
    pub fn is_forbidden(&self, state: &[Value]) -> bool {
        self.forbidden.iter().all(|&(place, value)| state.get(place) == Some(&value))
    }

    /// `a=0 b=1 x=1`.
    pub fn words(&self, state: &[Value]) -> String {
        let pairs: Vec<String> = self.names().zip(state).map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join(" ")
    }
}
