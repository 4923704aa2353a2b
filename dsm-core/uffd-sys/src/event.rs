//! What `read(2)` on a userfaultfd descriptor returns.

/// A page fault.
pub const UFFD_EVENT_PAGEFAULT: u8 = 0x12;
/// The process forked; the event carries the child's descriptor.
pub const UFFD_EVENT_FORK: u8 = 0x13;
/// A range was moved.
pub const UFFD_EVENT_REMAP: u8 = 0x14;
/// A range was given back with madvise.
pub const UFFD_EVENT_REMOVE: u8 = 0x15;
/// A range was unmapped.
pub const UFFD_EVENT_UNMAP: u8 = 0x16;

/// The fault was a store.
pub const UFFD_PAGEFAULT_FLAG_WRITE: u64 = 1 << 0;
/// The page is mapped, and write-protected.
pub const UFFD_PAGEFAULT_FLAG_WP: u64 = 1 << 1;
/// The page cache has the page, the page table has not.
pub const UFFD_PAGEFAULT_FLAG_MINOR: u64 = 1 << 2;

/// One event. The kernel declares it packed, but each field sits at its natural alignment.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct uffd_msg {
    /// One of `UFFD_EVENT_*`.
    pub event: u8,
    /// Zero.
    pub reserved1: u8,
    /// Zero.
    pub reserved2: u16,
    /// Zero.
    pub reserved3: u32,
    /// What `event` says that it is.
    pub arg: uffd_msg_arg,
}

/// What an event carries, by kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub union uffd_msg_arg {
    /// Of `UFFD_EVENT_PAGEFAULT`.
    pub pagefault: uffd_msg_pagefault,
    /// Of `UFFD_EVENT_FORK`.
    pub fork: uffd_msg_fork,
    /// Of `UFFD_EVENT_REMAP`.
    pub remap: uffd_msg_remap,
    /// Of `UFFD_EVENT_REMOVE` and `UFFD_EVENT_UNMAP`.
    pub remove: uffd_msg_remove,
    /// Makes the size known.
    pub reserved: uffd_msg_reserved,
}

/// A page fault.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct uffd_msg_pagefault {
    /// `UFFD_PAGEFAULT_FLAG_*`.
    pub flags: u64,
    /// Where: the byte with `UFFD_FEATURE_EXACT_ADDRESS`, its page without.
    pub address: u64,
    /// What a feature adds.
    pub feat: uffd_msg_pagefault_feat,
}

/// What features add to a page fault.
#[repr(C)]
#[derive(Clone, Copy)]
pub union uffd_msg_pagefault_feat {
    /// The thread that faulted, with `UFFD_FEATURE_THREAD_ID`.
    pub ptid: u32,
}

/// A fork.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct uffd_msg_fork {
    /// The descriptor for the child's memory.
    pub ufd: u32,
}

/// An mremap.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct uffd_msg_remap {
    /// Old address.
    pub from: u64,
    /// New address.
    pub to: u64,
    /// Bytes.
    pub len: u64,
}

/// A range that was given back or unmapped.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct uffd_msg_remove {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// The size that every kind fits in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct uffd_msg_reserved {
    /// Unused.
    pub reserved1: u64,
    /// Unused.
    pub reserved2: u64,
    /// Unused.
    pub reserved3: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn an_event_is_32_bytes_with_the_kernels_offsets() {
        assert_eq!(size_of::<uffd_msg>(), 32);
        assert_eq!(offset_of!(uffd_msg, arg), 8);
        assert_eq!(size_of::<uffd_msg_arg>(), 24);
        assert_eq!(offset_of!(uffd_msg_pagefault, address), 8);
        assert_eq!(offset_of!(uffd_msg_pagefault, feat), 16);
        assert_eq!(offset_of!(uffd_msg_remap, len), 16);
        assert_eq!(offset_of!(uffd_msg_remove, end), 8);
        assert_eq!(size_of::<uffd_msg_fork>(), 4);
    }
}
