//! Dekker's algorithm (E. W. Dijkstra, "Cooperating sequential processes", 1965), the first that was right.

use dsm_core::{Dsm, Error};

use super::{MutualExclusion, Spread, Words, announce, boundary, until};

/// Two contenders: who wants in says so; if both do, the one whose turn it is not steps back.
pub struct Dekker<'d> {
    /// 0 and 1: whether that contender wants in. 2: whose turn it is to insist.
    words: Words<'d>,
}

const TURN: usize = 2;

impl<'d> MutualExclusion<'d> for Dekker<'d> {
    const CONTENDERS_MAX: usize = 2;

    fn new(dsm: &'d Dsm, _contenders: usize, spread: Spread) -> Result<Self, Error> {
        Ok(Dekker { words: Words::new(dsm, 3, spread)? })
    }

    fn enter(&self, me: usize) {
        let (words, other) = (self.words, 1 - me);
        words.set(me, 1);
        announce();
        while words.get(other) == 1 {
            if words.get(TURN) == me as u64 {
                std::thread::yield_now();
                continue;
            }
            words.set(me, 0);
            until(|| words.get(TURN) == me as u64);
            words.set(me, 1);
            announce();
        }
        boundary();
    }

    fn leave(&self, me: usize) {
        boundary();
        self.words.set(TURN, 1 - me as u64);
        announce();
        self.words.set(me, 0);
    }
}
