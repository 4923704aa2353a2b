//! Who may take part, as programs whose servers and clients are started by hand are told.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rpc::trace::{Trace, TraceError};
use rpc::wire::Integrity;
use rpc::{Key, KeyError, Security};

/// Who may take part: servers and clients have the same. One of the two must be said; [`Guard::security`] sees to it, for its words
/// tell more than a usage line.
#[derive(clap::Args)]
#[group(multiple = false)]
pub struct Guard {
    /// The file with the key that servers and clients share, as `dsm-node key` makes it; this or --plain must be said
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,

    /// No key: whoever reaches the server can take part, and nothing is encrypted
    #[arg(long)]
    plain: bool,
}

/// Why it is not known who may take part.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Neither a key nor that there shall be none.
    #[error(
        "no key: `dsm-node key FILE` makes one, for `--key-file FILE` of all servers and clients; `--plain` goes without, where \
         nobody need be kept out"
    )]
    Unsaid,
    /// There is no such key file.
    #[error("there is no key file {}: `dsm-node key` makes one; servers and clients need copies of the same", path.display())]
    NoFile {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The trace would take the key's place.
    #[error("the trace would be written over the key file {}: name another file for it", path.display())]
    Overwritten {
        /// The key file.
        path: PathBuf,
    },
    /// The trace cannot be written.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The key file is of no use.
    #[error(transparent)]
    Key(KeyError),
}

impl Guard {
    /// What endpoints do about strangers.
    ///
    /// # Errors
    /// Nothing was said, or there is no key in the file.
    pub fn security(&self) -> Result<Security, GuardError> {
        match &self.key_file {
            Some(path) => Ok(Key::from_file(path)?.into()),
            None if self.plain => Ok(Security::Plain(Integrity::Crc32)),
            None => Err(GuardError::Unsaid),
        }
    }

    /// A trace to this file, if one is wanted: the key file is not written over.
    ///
    /// # Errors
    /// The file, or the one for the capture beside it, is the key's, or cannot be written.
    pub fn trace(&self, wanted: Option<&Path>) -> Result<Option<Trace>, GuardError> {
        let Some(trace) = wanted else { return Ok(None) };
        let capture = Trace::capture_of(trace);
        match &self.key_file {
            Some(key) if is_same(key, trace) || is_same(key, &capture) => {
                Err(GuardError::Overwritten { path: key.clone() })
            }
            _ => Ok(Some(Trace::create(trace)?)),
        }
    }
}

/// Whether both are there and are one file, by whatever name.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

impl From<KeyError> for GuardError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::File { path, source } if source.kind() == io::ErrorKind::NotFound => GuardError::NoFile { path },
            error => GuardError::Key(error),
        }
    }
}
