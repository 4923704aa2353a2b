//! Signals that ask this program to end are passed on to the job.

use std::fs;
use std::io;
use std::thread;

use dsm_core::launch::Control;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Signals that have arrived and those to come go to `control`, from a thread of their own.
pub fn pass_on(mut signals: Signals, control: Control) -> io::Result<()> {
    let forward = move || signals.forever().for_each(|signal| control.signal(signal));
    thread::Builder::new().name("signals".to_string()).spawn(forward).map(drop)
}

/// Begins to collect the signals that ask a program to end.
///
/// A signal that is ignored stays ignored: that is how `nohup`, and a shell that starts something in the background, say that
/// it is not meant for us.
pub fn collect() -> io::Result<Signals> {
    let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    Signals::new([SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0))
}

/// The set of ignored signals, bit n - 1 for signal n, from the text of `/proc/self/status`.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::ignored;

    #[test]
    fn the_ignored_signals_are_read_from_the_status_text() {
        assert_eq!(ignored("Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\n"), 0x1003);
    }

    #[test]
    fn a_status_text_of_another_form_ignores_nothing() {
        for text in ["", "SigIgn:", "SigIgn:\tzz", "SigIgn:\t11111111111111111"] {
            assert_eq!(ignored(text), 0);
        }
    }
}
