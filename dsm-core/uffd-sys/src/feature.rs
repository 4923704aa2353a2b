//! What a kernel can be asked for in the `UFFDIO_API` handshake.

/// The version of the interface that this crate describes; the only one that exists.
pub const UFFD_API: u64 = 0xAA;

/// Flag of the system call: serve faults taken in user mode only. Ordinary users may always ask for that (Linux 5.11).
pub const UFFD_USER_MODE_ONLY: u32 = 1;

/// Faults on write-protected anonymous memory are told apart (5.7).
pub const UFFD_FEATURE_PAGEFAULT_FLAG_WP: u64 = 1 << 0;
/// Events for fork (4.11).
pub const UFFD_FEATURE_EVENT_FORK: u64 = 1 << 1;
/// Events for mremap (4.11).
pub const UFFD_FEATURE_EVENT_REMAP: u64 = 1 << 2;
/// Events for madvise with DONTNEED or REMOVE (4.11).
pub const UFFD_FEATURE_EVENT_REMOVE: u64 = 1 << 3;
/// Missing pages of hugetlbfs can be served (4.11).
pub const UFFD_FEATURE_MISSING_HUGETLBFS: u64 = 1 << 4;
/// Missing pages of shared memory can be served (4.11).
pub const UFFD_FEATURE_MISSING_SHMEM: u64 = 1 << 5;
/// Events for munmap (4.11).
pub const UFFD_FEATURE_EVENT_UNMAP: u64 = 1 << 6;
/// The faulting thread gets SIGBUS and no event is sent (4.14).
pub const UFFD_FEATURE_SIGBUS: u64 = 1 << 7;
/// Events name the thread that faulted (4.14).
pub const UFFD_FEATURE_THREAD_ID: u64 = 1 << 8;
/// Minor faults of hugetlbfs can be served (5.13).
pub const UFFD_FEATURE_MINOR_HUGETLBFS: u64 = 1 << 9;
/// Minor faults of shared memory can be served (5.14).
pub const UFFD_FEATURE_MINOR_SHMEM: u64 = 1 << 10;
/// Events carry the faulting address itself, not its page's (5.18).
pub const UFFD_FEATURE_EXACT_ADDRESS: u64 = 1 << 11;
/// Shared memory and hugetlbfs can be write-protected (5.19).
pub const UFFD_FEATURE_WP_HUGETLBFS_SHMEM: u64 = 1 << 12;
/// Pages that are not there can be write-protected (6.4).
pub const UFFD_FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
