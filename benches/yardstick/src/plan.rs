//! What a caller measures.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bytes of a large result.
pub const RESULT_BYTES: u32 = 1 << 20;

/// What a caller measures. Travels as JSON on its command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plan {
    /// Small calls one at a time, many at a time, and large results one at a time.
    Calls(Calls),
    /// Large results for a while, so many at a time that the line is never idle.
    Goodput(Goodput),
}

/// See [`Plan::Calls`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Calls of which each is timed, one at a time.
    pub samples: usize,
    /// How many are outstanding when calls are counted.
    pub outstanding: Vec<usize>,
    /// How long calls are counted for each number of outstanding ones.
    pub counting: Duration,
    /// Results of [`RESULT_BYTES`], one at a time.
    pub results: usize,
}

/// See [`Plan::Goodput`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodput {
    /// What the figure is called after the stack's name.
    pub label: String,
    /// How long results are counted.
    pub counting: Duration,
    /// Results before the clock starts; the congestion window has then grown.
    pub warm_up: Duration,
    /// Outstanding requests.
    pub outstanding: usize,
    /// Bytes of a result.
    pub bytes: u32,
}

/// The names of the figures, the same for every stack.
pub mod names {
    /// One call at a time.
    pub fn null_call(stack: &str) -> String {
        format!("null_call_{stack}")
    }

    /// Calls a second with so many outstanding.
    pub fn rate(stack: &str, outstanding: usize) -> String {
        format!("calls_{outstanding}_{stack}")
    }

    /// Processor time of caller and server together for each call, one call at a time.
    pub fn processor(stack: &str) -> String {
        format!("processor_time_1_{stack}")
    }

    /// The same with 64 calls outstanding.
    pub fn processor_busy(stack: &str) -> String {
        format!("processor_time_64_{stack}")
    }

    /// Datagrams both ways for each call, one call at a time.
    pub fn datagrams(stack: &str) -> String {
        format!("datagrams_per_call_{stack}")
    }

    /// Goodput of results of a mebibyte, one at a time.
    pub fn result(stack: &str) -> String {
        format!("result_1mib_{stack}")
    }

    /// Raw datagrams of the largest size, as many as go.
    pub fn bulk(stack: &str) -> String {
        format!("bulk_{stack}")
    }

    /// Goodput of large results over a line, named by its label.
    pub fn goodput(stack: &str, label: &str) -> String {
        format!("goodput_{label}_{stack}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_the_command_line() {
        let plan = Plan::Calls(Calls {
            samples: 3,
            outstanding: vec![1, 64],
            counting: Duration::from_millis(250),
            results: 2,
        });
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
