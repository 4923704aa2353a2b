//! Where the receiver keeps what comes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;

use super::{Plan, TransferError, source};

/// What becomes of the received file.
#[derive(Clone, Debug)]
pub enum Destination {
    /// It gets this name when the sender says so; until then it has another, in the same directory.
    Named(PathBuf),
    /// It is gone with the receiver.
    Nowhere,
}

/// The file, as far as it is here. What was not kept is removed.
pub(super) struct Store {
    file: File,
    place: Place,
    plan: Option<Plan>,
}

enum Place {
    Unnamed,
    Kept,
    Part { part: PathBuf, end: PathBuf },
}

impl Store {
    pub fn new(destination: &Destination) -> Result<Store, TransferError> {
        let (file, place) = match destination {
            Destination::Nowhere => (source::unnamed()?, Place::Unnamed),
            Destination::Named(end) => {
                let part = part_of(end)?;
                let file = OpenOptions::new().read(true).write(true).create_new(true).open(&part).map_err(|error| {
                    let part = part.display();
                    TransferError::File(format!("cannot make {part}: {error}; give a place where you may write"))
                })?;
                (file, Place::Part { part, end: end.clone() })
            }
        };
        Ok(Store { file, place, plan: None })
    }

    pub fn begin(&mut self, plan: Plan) -> Result<(), String> {
        plan.check()?;
        if matches!(self.place, Place::Kept) {
            return Err("the file was kept already: start another receiver for another file".to_owned());
        }
        self.plan = None;
        self.file.set_len(0).and_then(|()| self.file.set_len(plan.length)).map_err(sentence)?;
        self.plan = Some(plan);
        Ok(())
    }

    pub fn put(&mut self, chunk: u64, bytes: &[u8]) -> Result<(), String> {
        let plan = self.plan()?;
        let (start, length) = plan.place(chunk).ok_or_else(|| no_such_chunk(chunk, plan))?;
        if bytes.len() != length {
            return Err(format!("chunk {chunk} has {length} bytes, and {} came", bytes.len()));
        }
        if matches!(self.place, Place::Kept) {
            return Err("the file was kept already: nothing is written to it any more".to_owned());
        }
        self.file.write_all_at(bytes, start).map_err(sentence)
    }

    pub fn file_sum(&self) -> Result<u32, String> {
        let plan = self.plan()?;
        let mut whole = crc32fast::Hasher::new();
        self.read(plan, 0, plan.chunks(), |bytes| whole.update(bytes))?;
        Ok(whole.finalize())
    }

    pub fn chunk_sums(&self, first: u64, count: u32) -> Result<Vec<u32>, String> {
        let plan = self.plan()?;
        if count > plan.summed_max() {
            return Err(format!("sums of {count} chunks were asked for: {} at most", plan.summed_max()));
        }
        let end = first.saturating_add(u64::from(count));
        if end > plan.chunks() {
            return Err(no_such_chunk(end, plan));
        }
        let mut sums = Vec::new();
        self.read(plan, first, end, |bytes| sums.push(crc32fast::hash(bytes)))?;
        Ok(sums)
    }

    /// Gives the file its name. Once is enough.
    pub fn keep(&mut self) -> Result<(), String> {
        self.plan()?;
        let Place::Part { part, end } = &self.place else { return Ok(()) };
        let kept = self.file.sync_all().and_then(|()| fs::rename(part, end));
        kept.map_err(|error| format!("cannot keep the file as {}: {error}", end.display()))?;
        self.place = Place::Kept;
        Ok(())
    }

    fn plan(&self) -> Result<Plan, String> {
        self.plan
            .ok_or_else(|| "no file has begun to come: was the receiver started anew? Send the file again".to_owned())
    }

    fn read(&self, plan: Plan, first: u64, end: u64, mut each: impl FnMut(&[u8])) -> Result<(), String> {
        let mut buffer = vec![0; plan.chunk_bytes as usize];
        for (start, length) in (first..end).filter_map(|chunk| plan.place(chunk)) {
            let bytes = &mut buffer[..length];
            self.file.read_exact_at(bytes, start).map_err(|error| format!("cannot read the file back: {error}"))?;
            each(bytes);
        }
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Place::Part { part, .. } = &self.place {
            // If somebody else has removed it, so much the better.
            let _ = fs::remove_file(part);
        }
    }
}

fn no_such_chunk(chunk: u64, plan: Plan) -> String {
    format!("chunk {chunk} is beyond the file's {}", plan.chunks())
}

fn sentence(error: io::Error) -> String {
    format!("cannot write the file: {error}; is there room where it is to be?")
}

/// The name until the file is complete.
fn part_of(end: &Path) -> Result<PathBuf, TransferError> {
    let shown = end.display();
    let Some(name) = end.file_name() else {
        return Err(TransferError::File(format!("{shown} is no name for a file: give one with --to")));
    };
    if end.symlink_metadata().is_ok() {
        return Err(TransferError::File(format!("{shown} exists: remove it, or give another name with --to")));
    }
    let mut part = name.to_owned();
    part.push(format!(".{}.part", process::id()));
    Ok(end.with_file_name(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { length: 10, chunk_bytes: 4 };

    fn store() -> Store {
        let mut store = Store::new(&Destination::Nowhere).unwrap();
        store.begin(PLAN).unwrap();
        store
    }

    #[test]
    fn sums_are_of_what_was_put_in_whatever_order() {
        let mut store = store();
        for (chunk, bytes) in [(2, &b"89"[..]), (0, b"0123"), (1, b"4567")] {
            store.put(chunk, bytes).unwrap();
        }
        assert_eq!(store.file_sum(), Ok(crc32fast::hash(b"0123456789")));
        assert_eq!(store.chunk_sums(1, 2), Ok(vec![crc32fast::hash(b"4567"), crc32fast::hash(b"89")]));
    }

    #[test]
    fn chunks_and_plans_that_cannot_be_are_refused() {
        let mut store = store();
        assert!(store.put(3, b"").is_err() && store.put(u64::MAX, b"0123").is_err());
        assert!(store.put(0, b"012").is_err() && store.put(2, b"8901").is_err());
        assert!(store.chunk_sums(2, 2).is_err() && store.chunk_sums(u64::MAX, 1).is_err());
        assert!(store.chunk_sums(0, u32::MAX).is_err());
        assert!(store.begin(Plan { chunk_bytes: 0, ..PLAN }).is_err());
        assert!(store.begin(Plan { chunk_bytes: u32::MAX, ..PLAN }).is_err());
        assert!(store.begin(Plan { length: u64::MAX, ..PLAN }).is_err());
        assert!(Store::new(&Destination::Nowhere).unwrap().file_sum().is_err());
    }
}
