//! What the sender reads.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, process};

use super::{FILE_BYTES_MAX, TransferError};

/// A file to send.
#[derive(Debug)]
pub struct Source {
    file: File,
    name: String,
    length: u64,
}

impl Source {
    /// A file that exists.
    ///
    /// # Errors
    /// It cannot be read, is no ordinary file, or is too large: a sentence.
    pub fn open(path: &Path) -> Result<Source, TransferError> {
        let name = path.display().to_string();
        let wrong = |error| TransferError::File(format!("cannot read {name}: {error}"));
        let about = fs::metadata(path).map_err(wrong)?;
        if !about.is_file() {
            return Err(TransferError::File(format!("{name} is no ordinary file: give one whose length is known")));
        }
        let length = about.len();
        if length > FILE_BYTES_MAX {
            return Err(TransferError::File(format!(
                "{name} has {length} bytes: {FILE_BYTES_MAX} at most can be sent"
            )));
        }
        Ok(Source { file: File::open(path).map_err(wrong)?, name, length })
    }

    /// A file of bytes that only the seed decides. It has no name, and is gone with this value.
    ///
    /// # Errors
    /// There is no room for it: a sentence.
    pub fn sample(length: u64, seed: u64) -> Result<Source, TransferError> {
        let file = unnamed()?;
        let mut bytes = vec![0; 1 << 16];
        let mut start = 0;
        while start < length {
            let part = (length - start).min(bytes.len() as u64) as usize;
            for (place, word) in bytes.chunks_mut(8).enumerate() {
                let number = start / 8 + place as u64;
                word.copy_from_slice(&mix(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
            }
            file.write_all_at(&bytes[..part], start).map_err(|error| {
                TransferError::File(format!(
                    "cannot write the sample of {length} bytes: {error}; ask for less with --size"
                ))
            })?;
            start += part as u64;
        }
        Ok(Source { file, name: "a sample".to_owned(), length })
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn read(&self, start: u64, bytes: &mut [u8]) -> Result<(), TransferError> {
        let wrong = |error| TransferError::File(format!("cannot read {}: {error}", self.name));
        self.file.read_exact_at(bytes, start).map_err(wrong)
    }
}

/// The finishing step of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A file that has lost its name already, so that nothing is left of it however this process ends.
pub(super) fn unnamed() -> Result<File, TransferError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = env::temp_dir().join(format!("file_transfer.{}.{number}", process::id()));
    let made = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
    let file = made.and_then(|file| fs::remove_file(&path).map(|()| file));
    file.map_err(|error| {
        TransferError::File(format!("cannot make {}: {error}; name a directory with room in TMPDIR", path.display()))
    })
}
