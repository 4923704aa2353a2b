//! Which signals reach a test.

use nix::sys::signal::Signal;

/// Whether this process, and so what it starts, ignores the signal: as under nohup, or in a shell's background.
pub fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal as u32 - 1) & 1 == 1
}
