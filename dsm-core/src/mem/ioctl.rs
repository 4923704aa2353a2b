//! The requests that the `userfaultfd` crate does not make as we need them: the handshake with the features of newer kernels,
//! and mapping or copying write-protected.

use super::page::PAGE_BYTES;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use userfaultfd::Uffd;
use userfaultfd_sys as sys;

/// The handshake. Fails with EINVAL when the kernel lacks one of the features asked for, and spends the descriptor.
pub(super) fn handshake(fd: &OwnedFd, api: &mut sys::uffdio_api) -> Result<(), Errno> {
    // SAFETY: the argument is the structure that this request reads and writes, and it lives through the call.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), sys::UFFDIO_API as libc::Ioctl, api) };
    Errno::result(answer).map(drop)
}

/// Makes a userfaultfd out of an open `/dev/userfaultfd`, with the system call's flags.
pub(super) fn new_from_device(device: &OwnedFd, flags: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: this request takes flags by value and no pointer; on another device it fails.
    let answer = unsafe { libc::ioctl(device.as_raw_fd(), sys::USERFAULTFD_IOC_NEW as libc::Ioctl, flags) };
    let fd = Errno::result(answer)?;
    // SAFETY: the request returned a descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// How far a request over a range came.
pub(super) enum Progress {
    /// The first so many bytes are mapped now; more than none.
    Mapped(usize),
    /// The very first page was mapped already.
    AlreadyMapped,
    /// Nothing happened; ask again.
    Again,
}

/// Maps the frames of a range that the memory file holds, write-protected or not, and wakes who waits for them.
///
/// The kernel stops at the first page that is mapped already: it then answers EAGAIN with the count of bytes done, and EEXIST
/// only when that count is 0.
pub(super) fn continue_range(uffd: &Uffd, start: usize, bytes: usize, protect: bool) -> Result<Progress, Errno> {
    let mode = if protect { sys::UFFDIO_CONTINUE_MODE_WP } else { 0 };
    let range = sys::uffdio_range { start: start as u64, len: bytes as u64 };
    let mut argument = sys::uffdio_continue { range, mode, mapped: 0 };
    // SAFETY: the argument is the structure that this request reads and writes, and it lives through the call. The kernel
    // changes page tables in a range that is registered with this descriptor, or nothing.
    let answer = unsafe { libc::ioctl(uffd.as_raw_fd(), sys::UFFDIO_CONTINUE as libc::Ioctl, &mut argument) };
    match Errno::result(answer) {
        Ok(_) => Ok(Progress::Mapped(bytes)),
        Err(Errno::EAGAIN) if argument.mapped > 0 => Ok(Progress::Mapped(argument.mapped as usize)),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(Progress::Again),
        Err(Errno::EEXIST) => Ok(Progress::AlreadyMapped),
        Err(errno) => Err(errno),
    }
}

/// Makes a fresh frame of a page's bytes and maps it, write-protected or not, in one step; wakes who waits for it. EEXIST when
/// there is a frame.
pub(super) fn copy_page(uffd: &Uffd, start: usize, bytes: &[u8; PAGE_BYTES], protect: bool) -> Result<(), Errno> {
    let mode = if protect { sys::UFFDIO_COPY_MODE_WP } else { 0 };
    let mut argument =
        sys::uffdio_copy { dst: start as u64, src: bytes.as_ptr() as u64, len: PAGE_BYTES as u64, mode, copy: 0 };
    // SAFETY: the argument is the structure that this request reads and writes, and it lives through the call, as does the
    // page's worth of bytes that it points to. The kernel fills a page that had none, in a range that is registered with
    // this descriptor, or does nothing.
    let answer = unsafe { libc::ioctl(uffd.as_raw_fd(), sys::UFFDIO_COPY as libc::Ioctl, &mut argument) };
    Errno::result(answer).map(drop)
}

/// The number behind an error of the `userfaultfd` crate, which speaks of another release of `nix`.
pub(super) fn errno_of(error: userfaultfd::Error) -> Errno {
    match error {
        userfaultfd::Error::SystemError(errno)
        | userfaultfd::Error::CopyFailed(errno)
        | userfaultfd::Error::ZeropageFailed(errno) => Errno::from_raw(errno as i32),
        userfaultfd::Error::OpenDevUserfaultfd(error) => Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        _ => Errno::UnknownErrno,
    }
}
