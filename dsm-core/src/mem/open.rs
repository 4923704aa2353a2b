//! Opening a userfaultfd: whichever of three ways is allowed, and the handshake.

use super::error::OpenError;
use super::ioctl;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_file};
use nix::sys::stat::Mode;
use std::fmt;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use userfaultfd::Uffd;
use userfaultfd_sys as sys;

/// The way a userfaultfd was opened, which decides whose faults it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenedBy {
    /// Through `/dev/userfaultfd`: all faults.
    Device,
    /// By the system call: all faults.
    SystemCall,
    /// By the system call, for faults taken in user mode only: `read(2)` and `write(2)` on region pages that are not here, or not
    /// mapped, fail with EFAULT.
    SystemCallUserMode,
}

impl OpenedBy {
    /// Whether faults that the kernel takes on behalf of the program (inside `read(2)`, say) are served as well.
    pub fn serves_kernel_faults(self) -> bool {
        self != OpenedBy::SystemCallUserMode
    }
}

impl fmt::Display for OpenedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OpenedBy::Device => "/dev/userfaultfd",
            OpenedBy::SystemCall => "the system call",
            OpenedBy::SystemCallUserMode => "the system call, for user-mode faults only",
        })
    }
}

/// An open userfaultfd whose handshake is done.
#[derive(Debug)]
pub struct Opened {
    /// The descriptor: non-blocking, closed on exec.
    pub uffd: Uffd,
    /// How it was opened.
    pub by: OpenedBy,
    /// Every feature bit that the kernel has, asked for or not.
    pub features: u64,
}

/// What the runtime uses. The last is not asked for; it came with Linux 6.4, as did mapping a page write-protected in one
/// step, which has no feature bit of its own.
const NEEDED: [(u64, &str); 7] = [
    (sys::UFFD_FEATURE_PAGEFAULT_FLAG_WP, "write protection"),
    (sys::UFFD_FEATURE_MISSING_SHMEM, "missing faults on shared memory"),
    (sys::UFFD_FEATURE_MINOR_SHMEM, "minor faults on shared memory"),
    (sys::UFFD_FEATURE_WP_HUGETLBFS_SHMEM, "write protection of shared memory"),
    (sys::UFFD_FEATURE_THREAD_ID, "thread ids"),
    (sys::UFFD_FEATURE_EXACT_ADDRESS, "exact addresses"),
    (sys::UFFD_FEATURE_WP_UNPOPULATED, "mapping write-protected (Linux 6.4)"),
];

/// Opens a userfaultfd by the first way that is allowed: the device, the system call, the system call for user-mode
/// faults only.
///
/// # Errors
/// [`OpenError`] says which of kernel, permission and sandbox stands in the way.
pub fn open() -> Result<Opened, OpenError> {
    agree(open_descriptor)
}

/// Opens one for user-mode faults only, as an ordinary user gets it.
#[cfg(test)]
pub(super) fn open_for_user_mode() -> Result<Opened, OpenError> {
    agree(|| {
        let refused = |user_mode| OpenError::Refused { device: Errno::EACCES, user_mode };
        Ok((open_by_system_call(sys::UFFD_USER_MODE_ONLY).map_err(refused)?, OpenedBy::SystemCallUserMode))
    })
}

fn agree(new_descriptor: impl Fn() -> Result<(OwnedFd, OpenedBy), OpenError>) -> Result<Opened, OpenError> {
    let (fd, by) = new_descriptor()?;
    let asked = NEEDED.iter().fold(0, |bits, (bit, _)| bits | bit) & !sys::UFFD_FEATURE_WP_UNPOPULATED;
    let features = match handshake(&fd, asked) {
        // A kernel that lacks a feature refuses all of them, and the descriptor is spent: ask another what there is.
        Err(Errno::EINVAL) => handshake(&new_descriptor()?.0, 0).map_err(OpenError::Handshake)?,
        answer => answer.map_err(OpenError::Handshake)?,
    };
    let missing = missing_of(features);
    if !missing.is_empty() {
        return Err(OpenError::Lacks { missing });
    }
    // SAFETY: the descriptor is an open userfaultfd, and its ownership moves.
    let uffd = unsafe { Uffd::from_raw_fd(fd.into_raw_fd()) };
    Ok(Opened { uffd, by, features })
}

fn missing_of(features: u64) -> Vec<&'static str> {
    NEEDED.iter().filter(|(bit, _)| features & bit == 0).map(|&(_, name)| name).collect()
}

fn open_descriptor() -> Result<(OwnedFd, OpenedBy), OpenError> {
    let device = match open_device() {
        Ok(fd) => return Ok((fd, OpenedBy::Device)),
        Err(errno) => errno,
    };
    match open_by_system_call(0) {
        Ok(fd) => return Ok((fd, OpenedBy::SystemCall)),
        Err(Errno::ENOSYS) => return Err(OpenError::NoSystemCall),
        Err(_) => {}
    }
    match open_by_system_call(sys::UFFD_USER_MODE_ONLY) {
        Ok(fd) => Ok((fd, OpenedBy::SystemCallUserMode)),
        // The flag came with 5.11.
        Err(Errno::EINVAL) => Err(OpenError::Handshake(Errno::EINVAL)),
        Err(user_mode) => Err(OpenError::Refused { device, user_mode }),
    }
}

const FLAGS: i32 = OFlag::O_CLOEXEC.bits() | OFlag::O_NONBLOCK.bits();

fn open_device() -> Result<OwnedFd, Errno> {
    let device = open_file("/dev/userfaultfd", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    ioctl::new_from_device(&device, FLAGS)
}

fn open_by_system_call(mode: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: the system call takes flags and touches no memory of ours.
    let answer = unsafe { libc::syscall(libc::SYS_userfaultfd, FLAGS | mode as i32) };
    let fd = Errno::result(answer)? as RawFd;
    // SAFETY: the system call returned a descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Agrees on the interface and on `asked`; the answer is everything that the kernel has.
fn handshake(fd: &OwnedFd, asked: u64) -> Result<u64, Errno> {
    let mut api = sys::uffdio_api { api: sys::UFFD_API, features: asked, ioctls: 0 };
    ioctl::handshake(fd, &mut api)?;
    Ok(api.features)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_lacks_a_feature_is_told_by_its_name() {
        let all = NEEDED.iter().fold(0, |bits, (bit, _)| bits | bit);
        assert!(missing_of(all).is_empty());
        assert_eq!(missing_of(all & !sys::UFFD_FEATURE_MINOR_SHMEM), ["minor faults on shared memory"]);
        let error = OpenError::Lacks { missing: missing_of(0) };
        assert!(error.to_string().contains("write protection of shared memory, thread ids"), "{error}");
    }

    #[test]
    fn a_handshake_for_a_feature_that_no_kernel_has_spends_the_descriptor() {
        let Ok((fd, _)) = open_descriptor() else {
            eprintln!("skipped: no userfaultfd may be opened here");
            return;
        };
        assert_eq!(handshake(&fd, 1 << 63), Err(Errno::EINVAL));
        let (fresh, _) = open_descriptor().unwrap();
        assert!(handshake(&fresh, 0).is_ok());
    }
}
