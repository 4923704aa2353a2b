//! A stack over a line: what the program of the peers is told to set up.

use serde::{Deserialize, Serialize};

use crate::network::Network;

/// The server's address on the line.
pub const SERVER: [u8; 4] = [10, 77, 0, 1];
/// The caller's.
pub const CALLER: [u8; 4] = [10, 77, 0, 2];

/// Two programs, each in a network namespace of its own, with the line between them. Travels as JSON on a command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// The line.
    pub network: Network,
    /// The server's program and its arguments; it announces where it is.
    pub server: Vec<String>,
    /// The caller's; [`PLACE`] and [`PROCESS`] stand for what the server announced and for its process.
    pub caller: Vec<String>,
}

/// Stands for what the server announced.
pub const PLACE: &str = "{place}";
/// Stands for the number of the server's process.
pub const PROCESS: &str = "{process}";
