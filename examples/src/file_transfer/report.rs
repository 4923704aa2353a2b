//! What came of a transfer.

use std::fmt;
use std::time::Duration;

use rpc::transport::Counters;
use rpc::wire::Integrity;
use serde::{Deserialize, Serialize};

use super::Plan;

/// What one end of a hop has checked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hop {
    /// Whose datagrams are checked, by whom.
    pub name: String,
    /// Datagrams that came.
    pub datagrams: u64,
    /// Of these, the ones whose check did not match.
    pub damaged: u64,
}

impl Hop {
    pub(super) fn new(name: &str, counters: Counters) -> Hop {
        Hop { name: name.to_owned(), datagrams: counters.datagrams_received, damaged: counters.corrupt_dropped }
    }
}

/// Chunks that were sent, and what the ends then thought of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Round {
    /// How many.
    pub sent: u64,
    /// How many were wrong at the receiver afterwards; none if nobody asked.
    pub wrong: Option<u64>,
}

/// A transfer that came to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The file.
    pub plan: Plan,
    /// The sender's sum.
    pub sum: u32,
    /// What was sent, again and again.
    pub rounds: Vec<Round>,
    /// Chunks of the kept file that differ from the sender's. A real transfer that trusts the hops would never know.
    pub wrong: u64,
    /// What guarded the hops.
    pub integrity: Integrity,
    /// What the checks of the hops have seen.
    pub hops: Vec<Hop>,
    /// Chunks in which the relay has changed a bit.
    pub flipped: u64,
    /// From the first chunk until the file was kept.
    pub elapsed: Duration,
}

impl Report {
    /// Datagrams that the checks of the hops found damaged.
    pub fn damaged(&self) -> u64 {
        self.hops.iter().map(|hop| hop.damaged).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { plan, sum, rounds, wrong, integrity, hops, flipped, elapsed } = self;
        let (length, chunks) = (plan.length, plan.chunks());
        writeln!(f, "{length} bytes in {chunks} chunks, {:.2} s; sum {sum:08x}", elapsed.as_secs_f64())?;
        for (number, round) in (1..).zip(rounds) {
            write!(f, "  round {number}: {} sent", counted(round.sent))?;
            match round.wrong {
                None => writeln!(f, "; nobody compared the ends")?,
                Some(0) => writeln!(f, "; the ends agree")?,
                Some(wrong) => writeln!(f, "; the ends differ in {}", counted(wrong))?,
            }
        }
        writeln!(f, "{:<38} {:>9} {:>8}", format!("checks of the hops ({integrity})"), "datagrams", "damaged")?;
        for Hop { name, datagrams, damaged } in hops {
            writeln!(f, "  {name:<36} {datagrams:>9} {damaged:>8}")?;
        }
        writeln!(f, "bits that the relay changed in its own memory: {flipped}")?;
        match (wrong, rounds.last().and_then(|round| round.wrong)) {
            (0, Some(_)) => f.write_str("the received file is right, and the ends know it"),
            (0, None) => f.write_str("the received file is right, by luck: nobody would have noticed"),
            (wrong, _) => {
                write!(f, "THE RECEIVED FILE IS WRONG in {wrong} of {chunks} chunks, and the transfer did not notice")
            }
        }
    }
}

fn counted(chunks: u64) -> String {
    if chunks == 1 { "1 chunk".to_owned() } else { format!("{chunks} chunks") }
}
