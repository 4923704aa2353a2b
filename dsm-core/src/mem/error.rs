//! What can go wrong with memory, and what to do about it.

use super::page::PAGE_BYTES;
use nix::errno::Errno;
use thiserror::Error;

/// A userfaultfd could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The kernel has no such system call.
    #[error("this kernel has no userfaultfd; use Linux 6.4 or later built with CONFIG_USERFAULTFD")]
    NoSystemCall,
    /// Every way to open one was refused.
    #[error(
        "userfaultfd is refused, even for faults in user mode ({user_mode}); /dev/userfaultfd: {device}. A container's seccomp \
         filter is the usual reason: allow userfaultfd in its profile, or grant access to /dev/userfaultfd"
    )]
    Refused {
        /// What opening `/dev/userfaultfd` said.
        device: Errno,
        /// What the system call said when only user-mode faults were asked for.
        user_mode: Errno,
    },
    /// The kernel does not know the interface.
    #[error("the userfaultfd handshake failed: {0}; use Linux 6.4 or later")]
    Handshake(Errno),
    /// The kernel is too old or too small.
    #[error("this kernel's userfaultfd lacks {}; use Linux 6.4 or later, on x86-64 or arm64", missing.join(", "))]
    Lacks {
        /// Names of the features that are not there.
        missing: Vec<&'static str>,
    },
}

/// A region could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegionError {
    /// No userfaultfd.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The size is no number of pages, or none at all, or more than an address can say.
    #[error(
        "a region of {bytes} bytes cannot be: it must be a multiple of {PAGE_BYTES}, not 0, and fit the address space"
    )]
    Size {
        /// What was asked for.
        bytes: u64,
    },
    /// The base is no page's address.
    #[error("a region cannot begin at {base:#x}: the address must be a multiple of {PAGE_BYTES} and not 0")]
    Base {
        /// What was asked for.
        base: usize,
    },
    /// The machine's pages have another size.
    #[error("this machine's pages have {found} bytes; pages of {PAGE_BYTES} bytes are needed")]
    PageSize {
        /// Bytes of the machine's pages.
        found: i64,
    },
    /// Something else lives where the region must go.
    #[error(
        "the addresses {base:#x}..{end:#x} are taken in this process; the region must sit at the same address on every \
         node: make it smaller, or keep other mappings away from there"
    )]
    Taken {
        /// First address wanted.
        base: usize,
        /// One past the last.
        end: usize,
    },
    /// The process may not make files as large; memory files count.
    #[error(
        "a region of {bytes} bytes is larger than this process may make a file ({limit} bytes): `ulimit -f unlimited`"
    )]
    FileLimit {
        /// What was asked for.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// Not enough addresses: a limit or the processor forbids it.
    #[error(
        "no room for {bytes} bytes of address space ({step}: {errno}); make the region smaller, or lift the limit: `ulimit -v \
         unlimited`, `sysctl vm.overcommit_memory=0`"
    )]
    NoRoom {
        /// What was asked for.
        bytes: u64,
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// Another step failed.
    #[error("the region could not be made ({step}: {errno})")]
    Step {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
}

/// An operation on a page failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PageError {
    /// The kernel refused it.
    #[error("page {page}: {operation} failed: {errno}")]
    Kernel {
        /// The page, or the first of the range that was left to do.
        page: u64,
        /// What was being done.
        operation: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// There is no such page.
    #[error("page {page} is outside the region of {pages} pages")]
    OutOfRange {
        /// The page.
        page: u64,
        /// Pages of the region.
        pages: u64,
    },
    /// The page has no frame yet.
    #[error("page {page} has no frame: fill it first")]
    NoFrame {
        /// The page.
        page: u64,
    },
    /// The program view maps the page, and the operation needs it unmapped.
    #[error("page {page} is mapped: discard it first")]
    Mapped {
        /// The page.
        page: u64,
    },
    /// The program view does not map the page, and the operation needs it mapped.
    #[error("page {page} is not mapped")]
    NotMapped {
        /// The page.
        page: u64,
    },
    /// The program may write the page, and the operation needs that it may not.
    #[error("page {page} is mapped for writing: downgrade it first")]
    Writable {
        /// The page.
        page: u64,
    },
    /// Another thread, or a closure further up on this thread, works on the page's frame for longer than is sane.
    #[error("page {page} is in use by another operation")]
    Busy {
        /// The page.
        page: u64,
    },
    /// Not a page's worth of bytes.
    #[error("page {page}: {bytes} bytes given, a page has {PAGE_BYTES}")]
    Length {
        /// The page.
        page: u64,
        /// Bytes given.
        bytes: usize,
    },
    /// No 8-byte word of the page begins there.
    #[error("page {page}: no aligned 8-byte word begins at byte {offset}")]
    Misaligned {
        /// The page.
        page: u64,
        /// Offset within the page, in bytes.
        offset: usize,
    },
}

/// Fault events could not be read. None of these is expected: the caller ends the process.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FaultError {
    /// Reading failed.
    #[error("reading fault events failed: {0}")]
    Read(String),
    /// An event that was never asked for.
    #[error("the kernel sent an event that was not asked for: {0}")]
    Unexpected(String),
    /// A fault outside the region.
    #[error("the kernel sent a fault at {address:#x}, outside the region")]
    Outside {
        /// Where.
        address: usize,
    },
}
