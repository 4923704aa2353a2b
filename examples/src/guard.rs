//! Who may take part, as every program takes it whose servers and clients are started by hand.

use std::path::PathBuf;

use rpc::wire::Integrity;
use rpc::{Key, KeyError, Security};
use thiserror::Error;

/// Who may take part: servers and clients have the same. One of the two must be said.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub struct Guard {
    /// The file with the key that servers and clients share, as `dsm-node key` makes it
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
    /// No key: nobody is kept out, and nothing is encrypted
    #[arg(long)]
    plain: bool,
}

/// Why nobody can take part.
#[derive(Debug, Error)]
pub enum GuardError {
    /// Neither was said.
    #[error(
        "no key: `dsm-node key FILE` makes one, for `--key-file FILE` of servers and clients alike; `--plain` goes without, where nobody need be \
         kept out"
    )]
    Neither,
    /// There is no key in the file.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Guard {
    /// What endpoints do about strangers.
    ///
    /// # Errors
    /// [`GuardError`].
    pub fn security(&self) -> Result<Security, GuardError> {
        match &self.key_file {
            Some(path) => Ok(Key::from_file(path)?.into()),
            None if self.plain => Ok(Security::Plain(Integrity::Crc32)),
            None => Err(GuardError::Neither),
        }
    }
}
