//! `dsm-node key`: a key for those who call each other.

use std::path::PathBuf;

use clap::Args;
use rpc::Key;

use super::{Failed, finish, status};

/// Make a key for name server, servers and callers, in a new file that only you can open
///
/// Whoever has a copy of the file can take part, and nobody else. The key itself is never shown, nor wanted on a command line.
#[derive(Args)]
#[command(after_help = "Example: dsm-node key bank.key && dsm-node names --key-file bank.key")]
pub struct NewKey {
    /// The file; one that is there is never replaced
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl NewKey {
    pub fn execute(&self) -> i32 {
        let made = Key::random().and_then(|key| key.to_new_file(&self.file));
        finish(made.map(|()| String::new()).map_err(|error| Failed::new(status::FAILED, error.to_string())))
    }
}
