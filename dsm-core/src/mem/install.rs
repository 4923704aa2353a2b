//! What the program sees of a page: mapping, protecting, discarding, waking.

use super::error::PageError;
use super::ioctl::{Progress, continue_range, copy_page, errno_of};
use super::page::{PAGE_BYTES, PageRange};
use super::region::Region;
use super::states::{Access, Exclusive, State};
use nix::errno::Errno;
use protocol::Page;
use std::ffi::c_void;

/// The kernel asks to be asked again while the process's mappings change. That ends soon; this bounds how often.
const TRIES_MAX: u32 = 10_000;

impl Region {
    /// Lets the program load from the pages, or load and store, and wakes the threads that wait for them.
    ///
    /// Every page must have a frame. A page that is mapped already keeps what it allows and gains what is asked for.
    ///
    /// # Errors
    /// [`PageError`]; the pages before the one it names are mapped.
    pub fn map(&self, range: impl Into<PageRange>, access: Access) -> Result<(), PageError> {
        self.pieces(range.into())?.try_for_each(|piece| match piece.count {
            1 => self.map_locked(piece.first, &mut [self.states.exclusive(piece.first)?], access),
            _ => self.map_locked(piece.first, &mut self.states.exclusive_range(piece)?, access),
        })
    }

    /// Puts a page's worth of bytes into a page that the program view does not map, maps it and wakes the threads that wait
    /// for it: [`Region::fill`] and [`Region::map`], but one step of the kernel's where the page has no frame yet.
    ///
    /// # Errors
    /// Those of [`Region::fill`] and [`Region::map`].
    pub fn install(&self, page: Page, bytes: &[u8], access: Access) -> Result<(), PageError> {
        let length = || PageError::Length { page: page.0, bytes: bytes.len() };
        let bytes: &[u8; PAGE_BYTES] = bytes.try_into().map_err(|_| length())?;
        let mut lock = self.states.exclusive(page)?;
        if !lock.state.frame {
            let copied = insist(|| copy_page(&self.uffd, self.start_of(page) as usize, bytes, access == Access::Read));
            match copied {
                Ok(()) => {
                    lock.state = State { frame: true, mapped: Some(access) };
                    return Ok(());
                }
                // A kernel that keeps memory files in huge pages gives neighbours their frames together.
                Err(Errno::EEXIST) => lock.state.frame = true,
                Err(errno) => return Err(kernel(page, "UFFDIO_COPY")(errno)),
            }
        }
        drop(lock);
        self.fill(page, bytes)?;
        self.map(page, access)
    }

    /// Lets the program store to a page that it may load from, and wakes the threads that wait to do so.
    ///
    /// # Errors
    /// [`PageError::NotMapped`] when the program view does not map it; else the kernel's.
    pub fn upgrade(&self, page: Page) -> Result<(), PageError> {
        let mut lock = self.states.exclusive(page)?;
        if lock.state.mapped.is_none() {
            return Err(PageError::NotMapped { page: page.0 });
        }
        self.unprotect(page)?;
        lock.state.mapped = Some(Access::Write);
        Ok(())
    }

    /// Takes from the program the right to store to the pages. When this returns, every store that went through is in its frame
    /// and the next one faults. Nothing happens to a page that the program may not store to.
    ///
    /// Pages that something has pinned for writing (fixed buffers of io_uring, say) can be written through the pin.
    ///
    /// # Errors
    /// The kernel's; the pages from the one that it names on stay as they were.
    pub fn downgrade(&self, range: impl Into<PageRange>) -> Result<(), PageError> {
        self.pieces(range.into())?.try_for_each(|piece| match piece.count {
            1 => self.downgrade_locked(piece.first, &mut [self.states.exclusive(piece.first)?]),
            _ => self.downgrade_locked(piece.first, &mut self.states.exclusive_range(piece)?),
        })
    }

    /// Takes the pages from the program: the next touch of each faults. Their frames stay, with their bytes.
    ///
    /// # Errors
    /// The kernel's; the pages then count as mapped.
    pub fn discard(&self, range: impl Into<PageRange>) -> Result<(), PageError> {
        self.pieces(range.into())?.try_for_each(|piece| {
            let mut locks = self.states.exclusive_range(piece)?;
            if locks.iter().all(|lock| lock.state.mapped.is_none()) {
                return Ok(());
            }
            self.program
                .unmap_pages(piece.first.0 as usize * PAGE_BYTES, locks.len() * PAGE_BYTES)
                .map_err(kernel(piece.first, "madvise(MADV_DONTNEED)"))?;
            locks.iter_mut().for_each(|lock| lock.state.mapped = None);
            Ok(())
        })
    }

    /// Wakes the threads that wait for the pages; each tries again, and faults again if it still must.
    ///
    /// # Errors
    /// [`PageError::OutOfRange`], or the kernel's.
    pub fn wake(&self, range: impl Into<PageRange>) -> Result<(), PageError> {
        let range = range.into();
        self.check_range(range)?;
        if range.count == 0 {
            return Ok(());
        }
        let bytes = range.count as usize * PAGE_BYTES;
        self.uffd
            .wake(self.start_of(range.first), bytes)
            .map_err(|error| kernel(range.first, "UFFDIO_WAKE")(errno_of(error)))
    }

    /// Maps consecutive pages from `first` on, whose locks these are.
    fn map_locked(&self, first: Page, locks: &mut [Exclusive<'_>], access: Access) -> Result<(), PageError> {
        if let Some(at) = locks.iter().position(|lock| !lock.state.frame) {
            return Err(PageError::NoFrame { page: first.0 + at as u64 });
        }
        let (mut done, mut tries) = (0, 0);
        while done < locks.len() {
            let page = Page(first.0 + done as u64);
            let bytes = (locks.len() - done) * PAGE_BYTES;
            let protect = access == Access::Read;
            match continue_range(&self.uffd, self.start_of(page) as usize, bytes, protect) {
                Ok(Progress::Mapped(bytes)) => {
                    let pages = bytes / PAGE_BYTES;
                    locks.iter_mut().skip(done).take(pages).for_each(|lock| lock.state.mapped = Some(access));
                    done += pages;
                }
                Ok(Progress::AlreadyMapped) => {
                    locks.get_mut(done).map_or(Ok(()), |lock| self.widen(page, lock, access))?;
                    done += 1;
                }
                Ok(Progress::Again) if tries < TRIES_MAX => {
                    tries += 1;
                    std::thread::yield_now();
                }
                Ok(Progress::Again) => return Err(kernel(page, "UFFDIO_CONTINUE")(Errno::EAGAIN)),
                Err(errno) => return Err(kernel(page, "UFFDIO_CONTINUE")(errno)),
            }
        }
        Ok(())
    }

    /// Protects those of consecutive pages from `first` on, whose locks these are, that the program may store to.
    fn downgrade_locked(&self, first: Page, locks: &mut [Exclusive<'_>]) -> Result<(), PageError> {
        let mut page = first;
        for run in locks.chunk_by_mut(|one, next| one.state.mapped == next.state.mapped) {
            let count = run.len() as u64;
            if run.first().is_some_and(|lock| lock.state.mapped == Some(Access::Write)) {
                self.protect(PageRange::new(page, count))?;
                run.iter_mut().for_each(|lock| lock.state.mapped = Some(Access::Read));
            }
            page = Page(page.0 + count);
        }
        Ok(())
    }

    /// Adds `access` to a page that turned out to be mapped. Whoever waits for it is woken in every case: its event was
    /// answered by an earlier one, and nothing else will wake it.
    fn widen(&self, page: Page, lock: &mut Exclusive<'_>, access: Access) -> Result<(), PageError> {
        match (access, lock.state.mapped) {
            (Access::Read, Some(_)) | (Access::Write, Some(Access::Write)) => self.wake(page),
            (Access::Write, _) => {
                self.unprotect(page)?;
                lock.state.mapped = Some(Access::Write);
                Ok(())
            }
            (Access::Read, None) => {
                self.protect(page)?;
                lock.state.mapped = Some(Access::Read);
                self.wake(page)
            }
        }
    }

    fn protect(&self, range: impl Into<PageRange>) -> Result<(), PageError> {
        let PageRange { first, count } = range.into();
        let bytes = count as usize * PAGE_BYTES;
        let result = insist(|| self.uffd.write_protect(self.start_of(first), bytes).map_err(errno_of));
        result.map_err(kernel(first, "UFFDIO_WRITEPROTECT"))
    }

    fn unprotect(&self, page: Page) -> Result<(), PageError> {
        let result =
            insist(|| self.uffd.remove_write_protection(self.start_of(page), PAGE_BYTES, true).map_err(errno_of));
        result.map_err(kernel(page, "UFFDIO_WRITEPROTECT"))
    }

    fn start_of(&self, page: Page) -> *mut c_void {
        self.program.at(page.0 as usize * PAGE_BYTES)
    }
}

/// Repeats a request while the kernel says EAGAIN.
fn insist(mut request: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    for _ in 0..TRIES_MAX {
        match request() {
            Err(Errno::EAGAIN | Errno::EINTR) => std::thread::yield_now(),
            answer => return answer,
        }
    }
    Err(Errno::EAGAIN)
}

pub(super) fn kernel(page: Page, operation: &'static str) -> impl Fn(Errno) -> PageError {
    move |errno| PageError::Kernel { page: page.0, operation, errno }
}
