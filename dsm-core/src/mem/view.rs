//! The two mappings of the memory file.

use super::error::RegionError;
use memmap2::{Advice, MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mprotect, munmap};
use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

/// The mapping that the program uses, at a fixed address.
pub(super) struct ProgramView {
    start: NonNull<c_void>,
    bytes: usize,
}

// SAFETY: the value is an address range; which threads may touch the memory behind it is not this type's business.
unsafe impl Send for ProgramView {}
// SAFETY: as above; `&ProgramView` gives out addresses only.
unsafe impl Sync for ProgramView {}

impl ProgramView {
    /// Maps all of `file` at `base`, which must be free.
    pub fn new(file: &OwnedFd, base: usize, bytes: usize) -> Result<ProgramView, RegionError> {
        let address = NonZeroUsize::new(base).ok_or(RegionError::Base { base })?;
        let length = NonZeroUsize::new(bytes).ok_or(RegionError::Size { bytes: bytes as u64 })?;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED_NOREPLACE;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: MAP_FIXED_NOREPLACE maps over nothing that exists.
        let start =
            unsafe { mmap(Some(address), length, protection, flags, file, 0) }.map_err(|errno| match errno {
                Errno::EEXIST => RegionError::Taken { base, end: base.saturating_add(bytes) },
                Errno::ENOMEM => RegionError::NoRoom { bytes: bytes as u64, step: "mapping the program view", errno },
                errno => RegionError::Step { step: "mapping the program view", errno },
            })?;
        let view = ProgramView { start, bytes };
        for advice in [MmapAdvise::MADV_DONTFORK, MmapAdvise::MADV_NOHUGEPAGE, MmapAdvise::MADV_DONTDUMP] {
            // SAFETY: the range is the mapping made above; none of these advices changes its bytes.
            unsafe { madvise(start, bytes, advice) }
                .or_else(|errno| if optional(advice, errno) { Ok(()) } else { Err(errno) })
                .map_err(|errno| RegionError::Step { step: "advising on the program view", errno })?;
        }
        Ok(view)
    }

    /// The address of its first byte.
    pub fn start(&self) -> *mut c_void {
        self.start.as_ptr()
    }

    /// The address `offset` bytes in, which must be at most its length.
    pub fn at(&self, offset: usize) -> *mut c_void {
        debug_assert!(offset <= self.bytes);
        self.start.as_ptr().wrapping_byte_add(offset)
    }

    /// Takes pages out of the program's page table; their frames stay. The caller vouches for the range.
    pub fn unmap_pages(&self, offset: usize, bytes: usize) -> Result<(), Errno> {
        assert!(offset <= self.bytes && bytes <= self.bytes - offset, "a range outside the view");
        let start = NonNull::new(self.at(offset)).ok_or(Errno::EFAULT)?;
        // SAFETY: the range lies in a shared mapping of a file: MADV_DONTNEED drops page table entries and no byte. The
        // mapping is not part of any Rust object.
        unsafe { madvise(start, bytes, MmapAdvise::MADV_DONTNEED) }
    }

    /// From now on, any touch is a segmentation fault. The addresses stay ours, so nothing else can come to lie there.
    pub fn forbid(&self) -> Result<(), Errno> {
        // SAFETY: the range is our mapping. It loses rights and keeps its bytes; code that touches it, which safe code cannot
        // while it holds no region, is ended by the kernel.
        unsafe { mprotect(self.start, self.bytes, ProtFlags::PROT_NONE) }
    }
}

/// A kernel without huge pages does not know that advice, and does not need it.
fn optional(advice: MmapAdvise, errno: Errno) -> bool {
    advice == MmapAdvise::MADV_NOHUGEPAGE && errno == Errno::EINVAL
}

impl Drop for ProgramView {
    fn drop(&mut self) {
        // SAFETY: the range is our mapping. Addresses in it that were given out are plain numbers, or belong to unsafe code
        // that promised not to outlive the region. A failure leaves the range mapped, which harms nobody.
        let _ = unsafe { munmap(self.start, self.bytes) };
    }
}

/// Maps all of `file` for the runtime, wherever there is room.
///
/// Neither view goes into core dumps: writing a dump would give every page of the region a frame.
pub(super) fn system_view(file: &OwnedFd, bytes: usize) -> Result<MmapRaw, RegionError> {
    let no_room = |error: io::Error| RegionError::NoRoom {
        bytes: bytes as u64,
        step: "mapping the system view",
        errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
    };
    let view = MmapOptions::new().len(bytes).no_reserve_swap().map_raw(file).map_err(no_room)?;
    for advice in [Advice::DontFork, Advice::NoHugePage, Advice::DontDump] {
        match view.advise(advice) {
            Err(error) if advice != Advice::NoHugePage => return Err(no_room(error)),
            _ => {}
        }
    }
    Ok(view)
}
