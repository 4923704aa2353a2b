//! Reading fault events.

use super::error::FaultError;
use super::region::Region;
use protocol::Page;
use userfaultfd::{Event, EventBuffer, FaultKind as RawKind, ReadWrite};

/// Why a thread of the program stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The page has no frame.
    Missing,
    /// The page has a frame and is not mapped.
    Minor,
    /// The page is mapped for reading, and the thread wants to store to it.
    WriteProtect,
}

/// A thread of the program touched a page that it may not touch so, and waits. It goes on when the page is mapped, upgraded
/// or woken.
///
/// The kernel may send the same fault again (after a signal, say), and sends one for each thread that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The page touched.
    pub page: Page,
    /// The address touched, in the program view.
    pub address: usize,
    /// Why it faulted.
    pub kind: FaultKind,
    /// Whether it was a store.
    pub write: bool,
    /// The thread that waits, by the number the kernel knows it by.
    pub thread: Option<u32>,
}

/// Reads faults in batches. Give each thread that serves faults one of its own.
pub struct FaultReader {
    buffer: EventBuffer,
}

impl FaultReader {
    /// A reader that takes up to `batch` faults at a time, at least one.
    pub fn new(batch: usize) -> FaultReader {
        FaultReader { buffer: EventBuffer::new(batch.max(1)) }
    }

    /// Appends the faults that wait to be read, a batch at most, and returns how many those are. Never blocks: poll the
    /// region ([`std::os::fd::AsFd`]) to wait.
    ///
    /// # Errors
    /// [`FaultError`]: the region can no longer be served.
    pub fn read(&mut self, region: &Region, faults: &mut Vec<Fault>) -> Result<usize, FaultError> {
        let before = faults.len();
        let events = region.uffd.read_events(&mut self.buffer).map_err(|error| FaultError::Read(describe(error)))?;
        for event in events {
            let event = event.map_err(|error| FaultError::Unexpected(describe(error)))?;
            faults.push(fault_of(region, event)?);
        }
        Ok(faults.len() - before)
    }
}

fn fault_of(region: &Region, event: Event) -> Result<Fault, FaultError> {
    let Event::Pagefault { kind, rw, addr, thread_id } = event else {
        return Err(FaultError::Unexpected(format!("{event:?}")));
    };
    let address = addr as usize;
    let page = region.page_of(address).ok_or(FaultError::Outside { address })?;
    let kind = match kind {
        RawKind::Missing => FaultKind::Missing,
        RawKind::Minor => FaultKind::Minor,
        RawKind::WriteProtected => FaultKind::WriteProtect,
    };
    let thread = u32::try_from(thread_id.as_raw()).ok().filter(|&thread| thread != 0);
    Ok(Fault { page, address, kind, write: rw == ReadWrite::Write, thread })
}

fn describe(error: userfaultfd::Error) -> String {
    match error {
        userfaultfd::Error::SystemError(errno) => errno.to_string(),
        other => other.to_string(),
    }
}
