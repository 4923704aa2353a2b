//! Making a region, and where it is.

use super::error::{PageError, RegionError};
use super::ioctl::errno_of;
use super::open::{Opened, OpenedBy, open};
use super::page::{PAGE_BYTES, PageRange};
use super::states::{Access, States};
use super::view::{ProgramView, system_view};
use memmap2::MmapRaw;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{SysconfVar, ftruncate, sysconf};
use protocol::Page;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use userfaultfd::{RegisterMode, Uffd};

/// Where the region begins unless the job says otherwise: far from where Linux puts programs, heaps, libraries and stacks on
/// x86-64 and arm64, and from where sanitizers keep their shadows.
pub const BASE_DEFAULT: usize = 0x2000_0000_0000;

/// A region of memory whose faults are ours to serve. See the [module](super) for the states of its pages.
///
/// Methods that change a page lock it for that moment, so threads may share a region freely. They wait for a page that another
/// one is working on; a closure given to [`Region::with_frame`] must not call them for the same page.
///
/// Memory is used for what is touched: 4 KiB for each frame, and a byte for each page.
pub struct Region {
    // Fields are dropped in this order. The program view goes before the descriptor that guards it.
    pub(super) program: ProgramView,
    pub(super) system: MmapRaw,
    pub(super) uffd: Uffd,
    pub(super) file: OwnedFd,
    pub(super) states: States,
    opened_by: OpenedBy,
}

impl Region {
    /// Makes a region of `bytes` bytes, a multiple of [`PAGE_BYTES`], at the address `base`. No page has a frame yet.
    ///
    /// # Errors
    /// [`RegionError`]: no userfaultfd to be had, the addresses are taken, a limit forbids so many of them.
    pub fn new(bytes: u64, base: usize) -> Result<Region, RegionError> {
        check(bytes, base)?;
        Region::over(open()?, bytes, base)
    }

    /// [`Region::new`] with a userfaultfd at hand.
    pub(super) fn over(opened: Opened, bytes: u64, base: usize) -> Result<Region, RegionError> {
        let size = check(bytes, base)?;
        let Opened { uffd, by, .. } = opened;
        let file = memory_file(bytes)?;
        let program = ProgramView::new(&file, base, size)?;
        let system = system_view(&file, size)?;
        let states = States::new(size / PAGE_BYTES).map_err(|error| RegionError::NoRoom {
            bytes,
            step: "reserving a byte for each page",
            errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        })?;
        let modes = RegisterMode::MISSING | RegisterMode::MINOR | RegisterMode::WRITE_PROTECT;
        uffd.register_with_mode(program.start(), size, modes).map_err(|error| RegionError::Step {
            step: "registering the program view with userfaultfd",
            errno: errno_of(error),
        })?;
        Ok(Region { program, system, uffd, file, states, opened_by: by })
    }

    /// The address of its first byte.
    pub fn base(&self) -> usize {
        self.program.start() as usize
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.system.len() as u64
    }

    /// Its size in pages.
    pub fn pages(&self) -> u64 {
        self.states.pages()
    }

    /// How its userfaultfd was opened.
    pub fn opened_by(&self) -> OpenedBy {
        self.opened_by
    }

    /// How many pages have a frame now: what the region costs in memory, in units of [`PAGE_BYTES`].
    pub fn frames(&self) -> u64 {
        self.states.frames()
    }

    /// The page that an address of the program view lies in, or `None` for an address outside.
    pub fn page_of(&self, address: usize) -> Option<Page> {
        let offset = address.checked_sub(self.base())? as u64;
        (offset < self.bytes()).then_some(Page(offset / PAGE_BYTES as u64))
    }

    /// The address of a page in the program view.
    ///
    /// # Errors
    /// [`PageError::OutOfRange`].
    pub fn address_of(&self, page: Page) -> Result<usize, PageError> {
        self.check_range(page.into())?;
        Ok(self.base() + page.0 as usize * PAGE_BYTES)
    }

    /// Whether the page has a frame.
    ///
    /// # Errors
    /// [`PageError::OutOfRange`].
    pub fn has_frame(&self, page: Page) -> Result<bool, PageError> {
        Ok(self.states.peek(page)?.frame)
    }

    /// How the program view maps the page, or `None` when any touch of it faults.
    ///
    /// # Errors
    /// [`PageError::OutOfRange`].
    pub fn mapped(&self, page: Page) -> Result<Option<Access>, PageError> {
        Ok(self.states.peek(page)?.mapped)
    }

    /// Ends the program's use of the region: any touch of it is a segmentation fault from now on, and threads that wait for a
    /// page find that, too. The runtime may still read frames.
    ///
    /// # Errors
    /// [`PageError::Kernel`].
    pub fn retire(&self) -> Result<(), PageError> {
        let all = PageRange::new(Page(0), self.pages());
        self.program.forbid().map_err(|errno| PageError::Kernel { page: 0, operation: "mprotect", errno })?;
        self.wake(all)
    }

    pub(super) fn check_range(&self, range: PageRange) -> Result<(), PageError> {
        match range.first.0.checked_add(range.count) {
            Some(end) if end <= self.pages() => Ok(()),
            _ => {
                let last = range.first.0.saturating_add(range.count.saturating_sub(1));
                Err(PageError::OutOfRange { page: last, pages: self.pages() })
            }
        }
    }

    /// The range in pieces small enough that the locks on one fit in little memory. Checks the range first.
    pub(super) fn pieces(&self, range: PageRange) -> Result<impl Iterator<Item = PageRange> + use<>, PageError> {
        const PIECE: u64 = 256;
        self.check_range(range)?;
        let end = range.first.0 + range.count;
        let first_pages = (range.first.0..end).step_by(PIECE as usize);
        Ok(first_pages.map(move |first| PageRange::new(Page(first), PIECE.min(end - first))))
    }
}

/// To poll for faults.
impl AsFd for Region {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.uffd.as_fd()
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region {{ base: {:#x}, bytes: {}, frames: {} }}", self.base(), self.bytes(), self.frames())
    }
}

fn check(bytes: u64, base: usize) -> Result<usize, RegionError> {
    let page_bytes = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(0);
    if page_bytes != PAGE_BYTES as i64 {
        return Err(RegionError::PageSize { found: page_bytes });
    }
    let size = usize::try_from(bytes).map_err(|_| RegionError::Size { bytes })?;
    if size == 0
        || !size.is_multiple_of(PAGE_BYTES)
        || isize::try_from(size).is_err()
        || base.checked_add(size).is_none()
    {
        return Err(RegionError::Size { bytes });
    }
    if base == 0 || !base.is_multiple_of(PAGE_BYTES) {
        return Err(RegionError::Base { base });
    }
    Ok(size)
}

/// A memory file of a fixed size. It is sealed against resizing, so that no access to a view can ever find it shorter.
fn memory_file(bytes: u64) -> Result<OwnedFd, RegionError> {
    let step = |step| move |errno| RegionError::Step { step, errno };
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING | MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let file = memfd_create("dsm-region", flags).map_err(step("making the memory file"))?;
    let size = i64::try_from(bytes).map_err(|_| RegionError::Size { bytes })?;
    // Beyond this limit the kernel sends a signal that kills us before it returns an error.
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE).map_err(step("asking for the limit on file sizes"))?;
    if bytes > limit {
        return Err(RegionError::FileLimit { bytes, limit });
    }
    ftruncate(&file, size).map_err(step("sizing the memory file"))?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(step("sealing the memory file"))?;
    Ok(file)
}
