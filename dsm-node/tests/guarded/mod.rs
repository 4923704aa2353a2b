//! Runs this program to its end, and ends it when it hangs.

use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(300);

/// Runs `dsm-node ARGS`. Where it hangs it is killed, which a test sees as a wrong status.
pub fn dsm_node(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsm-node"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (ended, guard) = channel::<()>();
    let guard = thread::spawn(move || {
        if guard.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
            kill(pid, Signal::SIGKILL).unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    guard.join().unwrap();
    output
}
