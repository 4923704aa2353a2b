//! Lamport's bakery (L. Lamport, "A new solution of Dijkstra's concurrent programming problem", CACM 17(8), 1974).

use dsm_core::{Dsm, Error};

use super::{MutualExclusion, Spread, Words, announce, boundary, until};

/// Any number of contenders: each draws a number above all that it sees, and the lowest goes first. Two may draw the same
/// number; then the lower contender goes first.
pub struct Bakery<'d> {
    /// Of contender *c*: at 2 *c* whether it is drawing, at 2 *c* + 1 its number, 0 while it does not want in.
    words: Words<'d>,
    contenders: usize,
}

impl Bakery<'_> {
    fn is_drawing(&self, contender: usize) -> bool {
        self.words.get(2 * contender) == 1
    }

    fn number(&self, contender: usize) -> u64 {
        self.words.get(2 * contender + 1)
    }
}

impl<'d> MutualExclusion<'d> for Bakery<'d> {
    const CONTENDERS_MAX: usize = 64;

    fn new(dsm: &'d Dsm, contenders: usize, spread: Spread) -> Result<Self, Error> {
        Ok(Bakery { words: Words::new(dsm, 2 * contenders, spread)?, contenders })
    }

    fn enter(&self, me: usize) {
        self.words.set(2 * me, 1);
        announce();
        let highest = (0..self.contenders).map(|other| self.number(other)).max().unwrap_or_default();
        let mine = highest + 1;
        self.words.set(2 * me + 1, mine);
        announce();
        self.words.set(2 * me, 0);
        announce();
        for other in (0..self.contenders).filter(|&other| other != me) {
            until(|| !self.is_drawing(other));
            announce();
            until(|| match self.number(other) {
                0 => true,
                number => (number, other) > (mine, me),
            });
        }
        boundary();
    }

    fn leave(&self, me: usize) {
        boundary();
        self.words.set(2 * me + 1, 0);
    }
}
