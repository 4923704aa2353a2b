//! Ending the process without waiting for anything.

use std::io;

use nix::unistd::write;

/// Writes `text` to the standard error output, as far as it goes, and ends the process with `status`.
///
/// Neither takes a lock nor runs exit handlers: threads that sleep in a page fault for ever may hold any of them.
pub(crate) fn exit_now(text: &str, status: i32) -> ! {
    // One call, so that the line is not torn; what the terminal does not take is lost with us.
    let _ = write(io::stderr(), text.as_bytes());
    // SAFETY: _exit has no precondition; it ends every thread of the process.
    unsafe { libc::_exit(status) }
}
