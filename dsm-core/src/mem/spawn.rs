//! Preparing a child between fork and exec: the one step of starting a process that the standard library calls unsafe.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};

/// Makes the child that `command` starts end with its parent, and lets it inherit these descriptors.
///
/// The kernel kills the child when the *thread* that spawned it ends, so the caller spawns from the thread that then waits for
/// the child. A set-user-id program is exempt, and so are the child's own children: both are left to the lifeline and to process
/// groups. The descriptors keep their close-on-exec flags here and lose them only in the child, so that no other child of this
/// process inherits them.
pub(crate) fn tie_to_parent(command: &mut Command, inherited: Vec<Arc<OwnedFd>>) {
    let parent = getpid();
    let prepare = move || -> io::Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above: then nobody is left to signal us.
        if getppid() != parent {
            return Err(Errno::ESRCH.into());
        }
        for descriptor in &inherited {
            fcntl(&**descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe work is allowed. The closure makes plain system calls
    // (prctl, getppid, fcntl); their errors are stored as an errno inside io::Error, so that nothing is allocated and no lock is
    // taken. The descriptors are open in the child, because the closure keeps them open in the parent until fork.
    unsafe {
        command.pre_exec(prepare);
    }
}
