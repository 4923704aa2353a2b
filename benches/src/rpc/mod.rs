//! What a call costs: ours beside raw sockets and beside the stacks that people use, each as two processes.
//!
//! * [`stack`]: what is compared, by name.
//! * `raw`, `ours`: the two sides of what is in this program; the peers are a program of their own ([`peers`]).
//! * [`side`]: the two processes of a stack in this program.
//! * [`launch`]: starts them in turn and collects.
//! * [`bars`]: which ratios matter, and what they are held to.
//! * [`report`]: table, ratios, bars, JSON.

use std::time::Duration;

use yardstick::plan::Calls;

pub mod bars;
pub mod launch;
mod ours;
pub mod peers;
mod raw;
pub mod report;
pub mod side;
pub mod stack;

/// How long a polling side looks before it sleeps.
const POLL: Duration = Duration::from_micros(100);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rounds in which all stacks take turns.
    pub launches: usize,
    /// What each of them does.
    pub calls: Calls,
    /// Whether each side has its own half of the processors.
    pub pin: bool,
}
