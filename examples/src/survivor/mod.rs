//! A job during which one of its processes dies: primes are counted, share by share.
//!
//! Over shared memory every node holds pages that nobody else has, so the job cannot go on without it: the nodes that are left notice, name
//! the dead one, and end. Over RPC a worker holds nothing that matters. The call that it was working on goes to another worker, which may
//! do the share once more, because to count twice changes nothing; and the job is done.

pub mod over_dsm;
pub mod over_rpc;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};

/// Shares of the job.
pub const SHARES: u64 = 64;
/// Numbers in a share.
const SHARE: u64 = 10_000;
/// The process that is to die does so in the midst of its share of this number, the first being 1.
const FATAL: u64 = 8;

/// How to start a process of the job: a program and the words that come first.
#[derive(Clone, Debug)]
pub struct Process {
    /// The program.
    pub program: PathBuf,
    /// What it is told.
    pub words: Vec<OsString>,
}

/// How a job ended of which one process had died.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// How many shares had been counted when it ended.
    pub done: u64,
    /// All primes, if all shares were counted.
    pub primes: Option<u64>,
    /// From the death to the end of the job, or until it went on.
    pub pause: Duration,
    /// What was said about it.
    pub said: String,
}

/// Primes in a share: those of the numbers from `share * 10,000` to before the next.
pub fn primes_of(share: u64) -> u64 {
    (share * SHARE..(share + 1) * SHARE).filter(|number| is_prime(*number)).count() as u64
}

fn is_prime(number: u64) -> bool {
    let divides = |divisor: &u64| number.is_multiple_of(*divisor);
    number > 1 && !(2..).take_while(|divisor| divisor * divisor <= number).any(|divisor| divides(&divisor))
}

/// What the job should find: primes below 640,000.
pub const PRIMES: u64 = 52_074;

/// Ends this process as `kill -9` would: nothing is said, and nothing is closed.
fn die() {
    // It fails for no signal that exists.
    let _ = raise(Signal::SIGKILL);
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ending { done, primes, pause, said } = self;
        let seconds = pause.as_secs_f64();
        match primes {
            Some(primes) => write!(
                f,
                "all {done} shares done, {primes} primes found; the job stood still for {seconds:.2} s: {said}"
            ),
            None => write!(
                f,
                "the job ended {seconds:.2} s after the death, with {done} of {SHARES} shares done and no answer: {said}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_primes_is_the_one_of_the_tables() {
        // OEIS A006880: 1,229 below 10,000; 9,592 below 100,000.
        assert_eq!(primes_of(0), 1_229);
        assert_eq!((0..10).map(primes_of).sum::<u64>(), 9_592);
        assert_eq!((0..SHARES).map(primes_of).sum::<u64>(), PRIMES);
    }
}
