//! A measured process: where it may run, what it used, how a server says where it is and when it ends.

use std::fs;
use std::io::{self, Read, Write};
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::contents;

/// Which half of the processors a process gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    Caller,
    /// The second.
    Server,
}

/// Binds this process, with the threads that it will start, to one half of the processors that it may use; with a single one there
/// is nothing to bind. On a virtual machine, waking a thread on another, idle processor costs several times a datagram, and
/// where threads happen to be would decide more than the stack does.
///
/// # Errors
///
/// The system refuses.
pub fn pin(side: Side) -> io::Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let processors: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    let (first, second) = processors.split_at(processors.len() / 2);
    let mine = match side {
        Side::Caller if !first.is_empty() => first,
        _ => second,
    };
    let mut set = CpuSet::new();
    mine.iter().try_for_each(|cpu| set.set(*cpu))?;
    Ok(sched_setaffinity(this, &set)?)
}

/// Processor time of all threads of a process that live: the first number of their scheduler statistics, in nanoseconds.
///
/// # Errors
///
/// There is no such process, or the kernel keeps no such statistics.
pub fn processor_time(process: u32) -> io::Result<Duration> {
    let mut total = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{process}/task"))?.flatten() {
        // A thread may have ended since.
        let Ok(statistics) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        let nanoseconds = statistics.split(' ').next().and_then(|word| word.parse().ok());
        total += Duration::from_nanos(nanoseconds.ok_or_else(|| io::Error::other("no scheduler statistics"))?);
    }
    Ok(total)
}

/// Of this process and another one together; zero where the kernel does not say.
pub(crate) fn processor_time_with(other: u32) -> Duration {
    let time = |process| processor_time(process).unwrap_or_default();
    time(std::process::id()) + time(other)
}

/// What a server prints when it listens.
const LISTENING: &str = "listening ";

/// A server says where it is, once: an address, and whatever else its callers need to know, in one word. Makes the large results
/// first, so that nobody waits for that later.
///
/// # Errors
///
/// Nobody reads.
pub fn announce(place: &str) -> io::Result<()> {
    contents::expected(0);
    let mut out = io::stdout().lock();
    writeln!(out, "{LISTENING}{place}")?;
    out.flush()
}

/// Reads what [`announce`] wrote.
pub fn announced(line: &str) -> Option<&str> {
    line.trim().strip_prefix(LISTENING)
}

/// Blocks until whoever started this process closes its standard input, or is gone.
pub fn until_dismissed() {
    let mut byte = [0];
    while io::stdin().read(&mut byte).is_ok_and(|count| count > 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_read_back() {
        assert_eq!(announced(&format!("{LISTENING}127.0.0.1:4000\n")), Some("127.0.0.1:4000"));
        assert_eq!(announced("127.0.0.1:4000"), None);
    }

    #[test]
    fn processor_time_grows_with_work() {
        let me = std::process::id();
        let before = processor_time(me).unwrap();
        while processor_time(me).unwrap() == before {
            std::hint::black_box((0..100_000u64).fold(1, u64::wrapping_mul));
        }
    }
}
