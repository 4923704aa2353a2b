//! Peterson's algorithm (G. L. Peterson, "Myths about the mutual exclusion problem", 1981).

use dsm_core::{Dsm, Error};

use super::{MutualExclusion, Spread, Words, announce, boundary, until};

/// Two contenders: who wants in says so and lets the other go first; the last to be polite waits.
pub struct Peterson<'d> {
    /// 0 and 1: whether that contender wants in. 2: who goes first.
    words: Words<'d>,
}

const FIRST: usize = 2;

impl<'d> MutualExclusion<'d> for Peterson<'d> {
    const CONTENDERS_MAX: usize = 2;

    fn new(dsm: &'d Dsm, _contenders: usize, spread: Spread) -> Result<Self, Error> {
        Ok(Peterson { words: Words::new(dsm, 3, spread)? })
    }

    fn enter(&self, me: usize) {
        let (words, other) = (self.words, 1 - me);
        words.set(me, 1);
        announce();
        words.set(FIRST, other as u64);
        announce();
        until(|| words.get(other) == 0 || words.get(FIRST) == me as u64);
        boundary();
    }

    fn leave(&self, me: usize) {
        boundary();
        self.words.set(me, 0);
    }
}
