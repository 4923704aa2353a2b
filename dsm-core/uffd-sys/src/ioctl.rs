//! The requests of `ioctl(2)` on a userfaultfd descriptor, and their arguments.

/// Type byte of requests on `/dev/userfaultfd`.
pub const USERFAULTFD_IOC: u8 = 0xAA;
/// Request on `/dev/userfaultfd`: a new descriptor, with the flags of the system call as argument (6.1).
pub const USERFAULTFD_IOC_NEW: u32 = 0xAA00;

/// Type byte of requests on a descriptor.
pub const UFFDIO: u8 = 0xAA;
/// Number of [`UFFDIO_REGISTER`].
pub const _UFFDIO_REGISTER: u8 = 0x00;
/// Number of [`UFFDIO_UNREGISTER`].
pub const _UFFDIO_UNREGISTER: u8 = 0x01;
/// Number of [`UFFDIO_WAKE`].
pub const _UFFDIO_WAKE: u8 = 0x02;
/// Number of [`UFFDIO_COPY`].
pub const _UFFDIO_COPY: u8 = 0x03;
/// Number of [`UFFDIO_ZEROPAGE`].
pub const _UFFDIO_ZEROPAGE: u8 = 0x04;
/// Number of [`UFFDIO_WRITEPROTECT`].
pub const _UFFDIO_WRITEPROTECT: u8 = 0x06;
/// Number of [`UFFDIO_CONTINUE`].
pub const _UFFDIO_CONTINUE: u8 = 0x07;
/// Number of [`UFFDIO_API`].
pub const _UFFDIO_API: u8 = 0x3F;

/// Handshake: which interface and which features.
pub const UFFDIO_API: u32 = 0xC018_AA3F;
/// Serve the faults of a range.
pub const UFFDIO_REGISTER: u32 = 0xC020_AA00;
/// Stop serving a range.
pub const UFFDIO_UNREGISTER: u32 = 0x8010_AA01;
/// Wake the threads that wait on a range.
pub const UFFDIO_WAKE: u32 = 0x8010_AA02;
/// Fill missing pages with bytes.
pub const UFFDIO_COPY: u32 = 0xC028_AA03;
/// Fill missing pages with zeros.
pub const UFFDIO_ZEROPAGE: u32 = 0xC020_AA04;
/// Write-protect a range, or remove the protection (5.7).
pub const UFFDIO_WRITEPROTECT: u32 = 0xC018_AA06;
/// Map the pages that the page cache holds (5.13).
pub const UFFDIO_CONTINUE: u32 = 0xC020_AA07;

/// Serve pages that are not there.
pub const UFFDIO_REGISTER_MODE_MISSING: u64 = 1 << 0;
/// Serve stores to write-protected pages.
pub const UFFDIO_REGISTER_MODE_WP: u64 = 1 << 1;
/// Serve pages that the page cache holds and the page table does not.
pub const UFFDIO_REGISTER_MODE_MINOR: u64 = 1 << 2;

/// Copy without waking anyone.
pub const UFFDIO_COPY_MODE_DONTWAKE: u64 = 1 << 0;
/// Copy and map write-protected, in one step.
pub const UFFDIO_COPY_MODE_WP: u64 = 1 << 1;
/// Fill with zeros without waking anyone.
pub const UFFDIO_ZEROPAGE_MODE_DONTWAKE: u64 = 1 << 0;
/// Protect; without it, remove the protection.
pub const UFFDIO_WRITEPROTECT_MODE_WP: u64 = 1 << 0;
/// Remove the protection without waking anyone.
pub const UFFDIO_WRITEPROTECT_MODE_DONTWAKE: u64 = 1 << 1;
/// Map without waking anyone.
pub const UFFDIO_CONTINUE_MODE_DONTWAKE: u64 = 1 << 0;
/// Map write-protected, in one step (6.4).
pub const UFFDIO_CONTINUE_MODE_WP: u64 = 1 << 1;

/// Argument of [`UFFDIO_API`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct uffdio_api {
    /// In: `UFFD_API`.
    pub api: u64,
    /// In: the features wanted. Out: all that the kernel has.
    pub features: u64,
    /// Out: one bit for each request that the descriptor understands.
    pub ioctls: u64,
}

/// A range of addresses; the argument of [`UFFDIO_WAKE`] and [`UFFDIO_UNREGISTER`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct uffdio_range {
    /// First byte, at a page boundary.
    pub start: u64,
    /// Bytes, whole pages.
    pub len: u64,
}

/// Argument of [`UFFDIO_REGISTER`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct uffdio_register {
    /// In: what to serve.
    pub range: uffdio_range,
    /// In: `UFFDIO_REGISTER_MODE_*`.
    pub mode: u64,
    /// Out: one bit for each request that the range understands.
    pub ioctls: u64,
}

/// Argument of [`UFFDIO_COPY`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct uffdio_copy {
    /// In: first byte to fill.
    pub dst: u64,
    /// In: first byte to copy.
    pub src: u64,
    /// In: bytes.
    pub len: u64,
    /// In: `UFFDIO_COPY_MODE_*`.
    pub mode: u64,
    /// Out: bytes copied, or a negated error number.
    pub copy: i64,
}

/// Argument of [`UFFDIO_ZEROPAGE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct uffdio_zeropage {
    /// In: what to fill.
    pub range: uffdio_range,
    /// In: `UFFDIO_ZEROPAGE_MODE_*`.
    pub mode: u64,
    /// Out: bytes filled, or a negated error number.
    pub zeropage: i64,
}

/// Argument of [`UFFDIO_WRITEPROTECT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct uffdio_writeprotect {
    /// In: what to protect.
    pub range: uffdio_range,
    /// In: `UFFDIO_WRITEPROTECT_MODE_*`.
    pub mode: u64,
}

/// Argument of [`UFFDIO_CONTINUE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct uffdio_continue {
    /// In: what to map.
    pub range: uffdio_range,
    /// In: `UFFDIO_CONTINUE_MODE_*`.
    pub mode: u64,
    /// Out: bytes mapped, or a negated error number.
    pub mapped: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    /// The kernel's `_IOC`: direction in bits 30 and 31, size from bit 16, type from bit 8, number.
    fn request(direction: u32, number: u8, bytes: usize) -> u32 {
        direction << 30 | (bytes as u32) << 16 | u32::from(UFFDIO) << 8 | u32::from(number)
    }
    const READ: u32 = 2;
    const READ_WRITE: u32 = 3;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<uffdio_api>(), 24);
        assert_eq!(size_of::<uffdio_range>(), 16);
        assert_eq!(size_of::<uffdio_register>(), 32);
        assert_eq!(size_of::<uffdio_copy>(), 40);
        assert_eq!(size_of::<uffdio_zeropage>(), 32);
        assert_eq!(size_of::<uffdio_writeprotect>(), 24);
        assert_eq!(size_of::<uffdio_continue>(), 32);
    }

    #[test]
    fn what_the_kernel_writes_back_is_the_last_field() {
        assert_eq!(offset_of!(uffdio_api, ioctls), 16);
        assert_eq!(offset_of!(uffdio_register, ioctls), 24);
        assert_eq!(offset_of!(uffdio_copy, copy), 32);
        assert_eq!(offset_of!(uffdio_zeropage, zeropage), 24);
        assert_eq!(offset_of!(uffdio_continue, mapped), 24);
    }

    #[test]
    fn request_numbers_are_made_of_direction_size_type_and_number() {
        assert_eq!(UFFDIO_API, request(READ_WRITE, _UFFDIO_API, size_of::<uffdio_api>()));
        assert_eq!(UFFDIO_REGISTER, request(READ_WRITE, _UFFDIO_REGISTER, size_of::<uffdio_register>()));
        assert_eq!(UFFDIO_UNREGISTER, request(READ, _UFFDIO_UNREGISTER, size_of::<uffdio_range>()));
        assert_eq!(UFFDIO_WAKE, request(READ, _UFFDIO_WAKE, size_of::<uffdio_range>()));
        assert_eq!(UFFDIO_COPY, request(READ_WRITE, _UFFDIO_COPY, size_of::<uffdio_copy>()));
        assert_eq!(UFFDIO_ZEROPAGE, request(READ_WRITE, _UFFDIO_ZEROPAGE, size_of::<uffdio_zeropage>()));
        assert_eq!(UFFDIO_WRITEPROTECT, request(READ_WRITE, _UFFDIO_WRITEPROTECT, size_of::<uffdio_writeprotect>()));
        assert_eq!(UFFDIO_CONTINUE, request(READ_WRITE, _UFFDIO_CONTINUE, size_of::<uffdio_continue>()));
        assert_eq!(USERFAULTFD_IOC_NEW, u32::from(USERFAULTFD_IOC) << 8);
    }
}
