//! What is known of each page, and a small lock on each: the ground on which the safety of frame access stands.
//!
//! One byte a page, in memory that the kernel gives when it is first touched. Bits 0 to 2 say what the page is; the upper five
//! are a lock: 0 is free, 1 to 30 count readers of the frame, 31 is one exclusive user.

use super::error::PageError;
use super::page::PageRange;
use memmap2::{Advice, MmapMut, MmapOptions};
use protocol::Page;
use smallvec::SmallVec;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const FRAME: u8 = 1 << 0;
const MAPPED: u8 = 1 << 1;
const WRITABLE: u8 = 1 << 2;
const READER: u8 = 1 << 3;
const LOCK: u8 = 0b1111_1000;
const EXCLUSIVE: u8 = LOCK;
const READERS_MAX: u8 = EXCLUSIVE - READER;

/// A frame is in use for microseconds; who waits this long waits for itself.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(2) };

/// What the program may do with a page that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Loads; a store faults.
    Read,
    /// Loads and stores.
    Write,
}

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The memory file has a frame for it.
    pub frame: bool,
    /// How the program view maps it.
    pub mapped: Option<Access>,
}

impl State {
    fn from_bits(bits: u8) -> State {
        let mapped = match (bits & MAPPED != 0, bits & WRITABLE != 0) {
            (false, _) => None,
            (true, false) => Some(Access::Read),
            (true, true) => Some(Access::Write),
        };
        State { frame: bits & FRAME != 0, mapped }
    }

    fn bits(self) -> u8 {
        let mapped = match self.mapped {
            None => 0,
            Some(Access::Read) => MAPPED,
            Some(Access::Write) => MAPPED | WRITABLE,
        };
        mapped | if self.frame { FRAME } else { 0 }
    }
}

/// The states of all pages of a region.
pub(super) struct States {
    bytes: MmapMut,
    frames: AtomicU64,
}

impl States {
    /// All pages without a frame.
    pub fn new(pages: usize) -> io::Result<States> {
        let bytes = MmapOptions::new().len(pages).no_reserve_swap().map_anon()?;
        bytes.advise(Advice::DontDump)?;
        // Else one byte that is touched may cost two megabytes. A kernel without huge pages knows no such advice.
        let _ = bytes.advise(Advice::NoHugePage);
        Ok(States { bytes, frames: AtomicU64::new(0) })
    }

    /// How many pages there are.
    pub fn pages(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// How many pages have a frame.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// The page's state now; it may change at once unless the caller holds its lock.
    pub fn peek(&self, page: Page) -> Result<State, PageError> {
        Ok(State::from_bits(self.byte(page)?.load(Ordering::Acquire)))
    }

    /// Locks a page against every other user.
    pub fn exclusive(&self, page: Page) -> Result<Exclusive<'_>, PageError> {
        let byte = self.byte(page)?;
        let state = self.acquire(page, byte, |bits| (bits & LOCK == 0).then_some(bits | EXCLUSIVE))?;
        Ok(Exclusive { states: self, byte, before: state, state })
    }

    /// Locks a page against everyone but other readers of its frame.
    pub fn reader(&self, page: Page) -> Result<Reader<'_>, PageError> {
        let byte = self.byte(page)?;
        let state = self.acquire(page, byte, |bits| (bits & LOCK < READERS_MAX).then(|| bits + READER))?;
        Ok(Reader { byte, state })
    }

    /// Locks a range, page by page in rising order, so that two such calls cannot block each other for ever.
    pub fn exclusive_range(&self, range: PageRange) -> Result<SmallVec<[Exclusive<'_>; 32]>, PageError> {
        range.iter().map(|page| self.exclusive(page)).collect()
    }

    fn byte(&self, page: Page) -> Result<&AtomicU8, PageError> {
        let all = self.bytes.as_ptr().cast::<AtomicU8>();
        if page.0 >= self.pages() {
            return Err(PageError::OutOfRange { page: page.0, pages: self.pages() });
        }
        // SAFETY: the index is below the mapping's length; the mapping lives as long as `self` and nobody touches it but
        // through this reference to an atomic, which has the layout of a byte.
        Ok(unsafe { &*all.add(page.0 as usize) })
    }

    fn acquire(&self, page: Page, byte: &AtomicU8, lock: impl Fn(u8) -> Option<u8>) -> Result<State, PageError> {
        let mut give_up = None;
        loop {
            if let Ok(bits) = byte.fetch_update(Ordering::Acquire, Ordering::Relaxed, &lock) {
                return Ok(State::from_bits(bits));
            }
            if Instant::now() > *give_up.get_or_insert_with(|| Instant::now() + PATIENCE) {
                return Err(PageError::Busy { page: page.0 });
            }
            std::thread::yield_now();
        }
    }
}

/// The only user of a page. What `state` holds when this is dropped is the page's new state.
pub(super) struct Exclusive<'s> {
    states: &'s States,
    byte: &'s AtomicU8,
    before: State,
    /// The page's state.
    pub state: State,
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        match (self.before.frame, self.state.frame) {
            (false, true) => self.states.frames.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.states.frames.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
        self.byte.store(self.state.bits(), Ordering::Release);
    }
}

/// One of the readers of a page's frame; none of them changes it, and nobody else may.
pub(super) struct Reader<'s> {
    byte: &'s AtomicU8,
    /// The page's state, which stays.
    pub state: State,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.byte.fetch_sub(READER, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_its_byte() {
        for mapped in [None, Some(Access::Read), Some(Access::Write)] {
            for frame in [false, true] {
                let state = State { frame, mapped };
                assert_eq!(State::from_bits(state.bits()), state);
            }
        }
    }

    #[test]
    fn what_the_exclusive_user_leaves_is_the_new_state() {
        let states = States::new(4).unwrap();
        states.exclusive(Page(2)).unwrap().state.frame = true;
        assert!(states.peek(Page(2)).unwrap().frame);
        assert_eq!(states.frames(), 1);
        states.exclusive(Page(2)).unwrap().state.frame = false;
        assert_eq!(states.frames(), 0);
    }

    #[test]
    fn readers_share_a_page_and_an_exclusive_user_waits_for_them() {
        let states = States::new(1).unwrap();
        let readers: Vec<_> = (0..30).map(|_| states.reader(Page(0)).unwrap()).collect();
        assert_eq!(states.exclusive(Page(0)).err(), Some(PageError::Busy { page: 0 }));
        drop(readers);
        let exclusive = states.exclusive(Page(0)).unwrap();
        assert_eq!(states.reader(Page(0)).err(), Some(PageError::Busy { page: 0 }));
        drop(exclusive);
        assert!(states.reader(Page(0)).is_ok());
    }

    #[test]
    fn a_page_beyond_the_end_is_an_error() {
        let states = States::new(3).unwrap();
        assert_eq!(states.peek(Page(3)), Err(PageError::OutOfRange { page: 3, pages: 3 }));
        assert!(states.exclusive(Page(u64::MAX)).is_err());
    }
}
