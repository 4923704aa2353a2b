//! What single accesses cost, and how that changes with what surrounds them: the curves of the report.
//!
//! A launch is one job of real processes that measures one curve; launches of all curves take turns.
//!
//! * [`node`]: what a process of a launch does.
//! * [`measure`]: the launches, and what came of them.
//! * [`work`]: what a process does between two accesses.

pub mod calls;
mod crossing;
pub mod ladder;
pub mod measure;
pub mod node;
mod sharing;
pub mod work;

use serde::{Deserialize, Serialize};

/// What a launch measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Curve {
    /// Each kind of access, from a load of what is here to a call whose datagram is lost. Seconds.
    Ladder,
    /// Seconds a page against how often it is looked at before it goes.
    Crossing,
    /// Seconds an access against the hundredths of accesses that write, where two nodes share a page.
    Writes,
    /// Seconds a store against how many nodes store to one page.
    Sharing,
    /// Bytes a second of pages that are read in order, against hundredths of datagrams that are lost.
    Stream,
    /// Datagrams, both ways, that one access takes.
    Datagrams,
}

/// One point as one launch measured it: a line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Of what.
    pub series: String,
    /// What was varied.
    pub x: f64,
    /// What came of it.
    pub y: f64,
}
