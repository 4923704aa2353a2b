//! The bytes of a page, reached by the runtime's own ways: the system view and the memory file.

use super::error::PageError;
use super::install::kernel;
use super::page::{PAGE_BYTES, PageRange};
use super::region::Region;
use super::states::{Access, State};
use memmap2::Advice;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::uio::pwritev;
use protocol::Page;
use smallvec::SmallVec;
use std::io::IoSlice;
use std::sync::atomic::{AtomicU64, Ordering};

impl Region {
    /// Puts a page's worth of bytes into a page that the program view does not map.
    ///
    /// A fresh frame is made by writing to the memory file: cheaper than the fault that a store would take, and a lack of
    /// memory comes back as an error instead of a signal. A frame that exists is stored to.
    ///
    /// # Errors
    /// [`PageError::Mapped`], [`PageError::Length`], or the kernel's (ENOSPC and ENOMEM: no memory left).
    pub fn fill(&self, page: Page, bytes: &[u8]) -> Result<(), PageError> {
        if bytes.len() != PAGE_BYTES {
            return Err(PageError::Length { page: page.0, bytes: bytes.len() });
        }
        let mut lock = self.states.exclusive(page)?;
        unmapped(page, lock.state)?;
        if lock.state.frame {
            // SAFETY: the destination is a page of the system view. No program thread can reach the frame, for the program
            // view does not map it, and no runtime thread, for this one holds the page's exclusive lock. The source
            // is a Rust slice of the same length, and no Rust slice lives in the views but under a reader's lock.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.frame_start(page), PAGE_BYTES) };
        } else {
            self.write_file(page, &[bytes])?;
            lock.state.frame = true;
        }
        Ok(())
    }

    /// [`Region::fill`] for consecutive pages, from `first` on: one step for those beside each other that have no frame.
    ///
    /// # Errors
    /// Those of [`Region::fill`]; then it is not known which of the pages were filled.
    pub fn fill_run(&self, first: Page, pages: &[&[u8]]) -> Result<(), PageError> {
        if let [bytes] = pages {
            return self.fill(first, bytes);
        }
        let numbered: SmallVec<[(Page, &[u8]); 32]> = (first.0..).map(Page).zip(pages.iter().copied()).collect();
        let has_frame = |page: Page| self.has_frame(page).unwrap_or(true);
        for part in numbered.chunk_by(|one, next| !has_frame(one.0) && !has_frame(next.0)) {
            match part {
                [] => {}
                [(page, bytes)] => self.fill(*page, bytes)?,
                [(page, _), ..] => self.fill_fresh(*page, part)?,
            }
        }
        Ok(())
    }

    /// Fills consecutive pages, from `first` on, none of which has a frame.
    fn fill_fresh(&self, first: Page, pages: &[(Page, &[u8])]) -> Result<(), PageError> {
        if let Some((page, bytes)) = pages.iter().find(|(_, bytes)| bytes.len() != PAGE_BYTES) {
            return Err(PageError::Length { page: page.0, bytes: bytes.len() });
        }
        let mut locks = self.states.exclusive_range(PageRange::new(first, pages.len() as u64))?;
        pages.iter().zip(&locks).try_for_each(|((page, _), lock)| unmapped(*page, lock.state))?;
        let bytes: SmallVec<[&[u8]; 32]> = pages.iter().map(|(_, bytes)| *bytes).collect();
        self.write_file(first, &bytes)?;
        locks.iter_mut().for_each(|lock| lock.state.frame = true);
        Ok(())
    }

    /// Gives every page of the range that has no frame one of zeros, so that it can be mapped. Frames that exist stay as
    /// they are.
    ///
    /// # Errors
    /// The kernel's (ENOSPC and ENOMEM: no memory left).
    pub fn make_present(&self, range: impl Into<PageRange>) -> Result<(), PageError> {
        self.pieces(range.into())?.try_for_each(|piece| {
            let mut locks = self.states.exclusive_range(piece)?;
            if locks.iter().all(|lock| lock.state.frame) {
                return Ok(());
            }
            // It allocates what is missing and leaves the rest alone.
            self.allocate(piece, FallocateFlags::empty())?;
            locks.iter_mut().for_each(|lock| lock.state.frame = true);
            Ok(())
        })
    }

    /// Gives pages that have no frame one of zeros, in the system view's page table, too: what [`Region::fill`] and [`Region::map`]
    /// then have left to do takes less than half the time. To be called while there is nothing better to do. Where the kernel has no
    /// memory for it, nothing changes: whoever needs the frame will be told.
    ///
    /// # Errors
    /// [`PageError::OutOfRange`], [`PageError::Busy`].
    pub fn prepare(&self, range: impl Into<PageRange>) -> Result<(), PageError> {
        self.pieces(range.into())?.try_for_each(|piece| {
            let mut locks = self.states.exclusive_range(piece)?;
            if locks.iter().all(|lock| lock.state.frame) {
                return Ok(());
            }
            let (start, bytes) = (piece.first.0 as usize * PAGE_BYTES, piece.count as usize * PAGE_BYTES);
            // Frames that exist keep their bytes.
            if self.system.advise_range(Advice::PopulateWrite, start, bytes).is_ok() {
                locks.iter_mut().for_each(|lock| lock.state.frame = true);
            }
            Ok(())
        })
    }

    /// Gives the memory of unmapped pages back; each has no frame afterwards, and its bytes are gone.
    ///
    /// # Errors
    /// [`PageError::Mapped`], before anything is done to that page's neighbours in a piece of 256; or the kernel's.
    pub fn punch(&self, range: impl Into<PageRange>) -> Result<(), PageError> {
        self.pieces(range.into())?.try_for_each(|piece| {
            let mut locks = self.states.exclusive_range(piece)?;
            piece.iter().zip(&locks).try_for_each(|(page, lock)| unmapped(page, lock.state))?;
            if locks.iter().any(|lock| lock.state.frame) {
                self.allocate(piece, FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE)?;
                locks.iter_mut().for_each(|lock| lock.state.frame = false);
            }
            Ok(())
        })
    }

    /// Runs `work` on the bytes of a page that the program may not store to. They cannot change meanwhile: whoever wants to
    /// change them waits. So `work` must be short, and must not call methods that change this page.
    ///
    /// # Errors
    /// [`PageError::NoFrame`], [`PageError::Writable`].
    pub fn with_frame<R>(&self, page: Page, work: impl FnOnce(&[u8; PAGE_BYTES]) -> R) -> Result<R, PageError> {
        let lock = self.states.reader(page)?;
        if !lock.state.frame {
            return Err(PageError::NoFrame { page: page.0 });
        }
        if lock.state.mapped == Some(Access::Write) {
            return Err(PageError::Writable { page: page.0 });
        }
        // SAFETY: the pointer is to a page of the system view, which lives as long as `self`, and any byte is a valid u8. The
        // program view does not let the program store to the frame, and a reader's lock keeps it so and keeps the
        // runtime's own writers out (fill, punch and the atomic operations need the exclusive lock) until `work`
        // returns, and the borrow cannot leave it.
        let result = work(unsafe { &*self.frame_start(page).cast::<[u8; PAGE_BYTES]>() });
        drop(lock);
        Ok(result)
    }

    /// Copies the bytes of a page that the program may not store to.
    ///
    /// # Errors
    /// Those of [`Region::with_frame`], and [`PageError::Length`].
    pub fn read_frame(&self, page: Page, into: &mut [u8]) -> Result<(), PageError> {
        if into.len() != PAGE_BYTES {
            return Err(PageError::Length { page: page.0, bytes: into.len() });
        }
        self.with_frame(page, |bytes| into.copy_from_slice(bytes))
    }

    /// Adds to the word `offset` bytes into the page, wrapping around, whatever the program may do with it; returns the old
    /// value. One atomic step, also against atomic operations of the program.
    ///
    /// # Errors
    /// [`PageError::NoFrame`], [`PageError::Misaligned`].
    pub fn fetch_add(&self, page: Page, offset: usize, value: u64) -> Result<u64, PageError> {
        self.with_word(page, offset, |word| word.fetch_add(value, Ordering::SeqCst))
    }

    /// Stores `new` in the word `offset` bytes into the page if it holds `expect`; returns what it held. One atomic step,
    /// as [`Region::fetch_add`] is.
    ///
    /// # Errors
    /// [`PageError::NoFrame`], [`PageError::Misaligned`].
    pub fn compare_swap(&self, page: Page, offset: usize, expect: u64, new: u64) -> Result<u64, PageError> {
        self.with_word(page, offset, |word| {
            word.compare_exchange(expect, new, Ordering::SeqCst, Ordering::SeqCst).unwrap_or_else(|old| old)
        })
    }

    /// The word `offset` bytes into the page, whatever the program may do with it.
    ///
    /// # Errors
    /// [`PageError::NoFrame`], [`PageError::Misaligned`].
    pub fn word(&self, page: Page, offset: usize) -> Result<u64, PageError> {
        self.with_word(page, offset, |word| word.load(Ordering::Relaxed))
    }

    fn with_word(&self, page: Page, offset: usize, work: impl FnOnce(&AtomicU64) -> u64) -> Result<u64, PageError> {
        if !offset.is_multiple_of(8) || offset > PAGE_BYTES - 8 {
            return Err(PageError::Misaligned { page: page.0, offset });
        }
        let lock = self.states.exclusive(page)?;
        if !lock.state.frame {
            return Err(PageError::NoFrame { page: page.0 });
        }
        // SAFETY: the word lies within a page of the system view and is aligned, for pages are. The exclusive lock keeps every
        // borrow of the frame out. The program may reach the same word; the program view is not a Rust object, and
        // safe code reaches it by atomic accesses only.
        let old = work(unsafe { &*self.frame_start(page).add(offset).cast::<AtomicU64>() });
        drop(lock);
        Ok(old)
    }

    /// Where a page that exists lies in the system view. The caller has its lock, so the page is in range.
    fn frame_start(&self, page: Page) -> *mut u8 {
        self.system.as_mut_ptr().wrapping_add(page.0 as usize * PAGE_BYTES)
    }

    /// Writes pages' worths of bytes to the memory file.
    fn write_file(&self, page: Page, bytes: &[&[u8]]) -> Result<(), PageError> {
        let failed = kernel(page, "writing fresh frames");
        let slices: SmallVec<[IoSlice<'_>; 32]> = bytes.iter().map(|bytes| IoSlice::new(bytes)).collect();
        let start = page.0 as i64 * PAGE_BYTES as i64;
        loop {
            match pwritev(&self.file, &slices, start) {
                Ok(written) if written == bytes.len() * PAGE_BYTES => return Ok(()),
                Err(Errno::EINTR) => {}
                // The memory file writes a page whole or not at all; fewer pages than asked for means that memory ran out.
                Ok(_) => return Err(failed(Errno::ENOSPC)),
                Err(errno) => return Err(failed(errno)),
            }
        }
    }

    fn allocate(&self, piece: PageRange, mode: FallocateFlags) -> Result<(), PageError> {
        let (start, bytes) = (piece.first.0 as i64 * PAGE_BYTES as i64, piece.count as i64 * PAGE_BYTES as i64);
        loop {
            match fallocate(&self.file, mode, start, bytes) {
                Err(Errno::EINTR) => {}
                answer => return answer.map_err(kernel(piece.first, "fallocate")),
            }
        }
    }
}

fn unmapped(page: Page, state: State) -> Result<(), PageError> {
    match state.mapped {
        None => Ok(()),
        Some(_) => Err(PageError::Mapped { page: page.0 }),
    }
}
