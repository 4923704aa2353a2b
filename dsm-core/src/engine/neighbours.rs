//! Which pages other nodes are about to ask for: neighbours of those that they have just asked for.
//!
//! Before a page goes to a reader, this node's stores to it must be forbidden, and before it goes to a writer, it must be taken from this
//! node's program. Either is a system call that costs about as much for many pages in a row as for one, and after which the
//! processor finds its way to memory more slowly for a while. So when several pages of a block have been asked for, it is done to all
//! of the block, while the answer is on its way, or at once if another of them was asked for together with those. The protocol knows
//! nothing of it: the pages are still this node's, and when its program comes to one, it is let through again. Each of those costs a
//! small local fault that would not have been: when they are more than what was spared, it stops for a while.

use protocol::Page;

use crate::mem::PageRange;

/// Pages that are dealt with together.
const BLOCK: u64 = 32;

/// So many pages of a block must have been asked for one by one.
const ENOUGH: u32 = 4;

/// Blocks that are remembered at a time.
const BLOCKS: usize = 1024;

/// What a local fault for nothing costs, in system calls spared.
const REGRET: i32 = 4;

/// How far the account goes up and down.
const CREDIT_MAX: i32 = 64;

/// What is known of those who ask.
#[derive(Debug)]
pub(super) struct Neighbours {
    blocks: Vec<Block>,
    credit: i32,
}

/// What a slot knows of one block; a bit for each of its pages.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    number: u64,
    /// Dealt with one by one since the whole was.
    asked: u32,
    /// Dealt with before anybody asked, and nobody has since.
    ahead: u32,
}

impl Default for Neighbours {
    fn default() -> Self {
        Neighbours { blocks: vec![Block::default(); BLOCKS], credit: 0 }
    }
}

impl Neighbours {
    fn slot(&mut self, page: Page) -> Option<&mut Block> {
        self.blocks.get_mut((page.0 / BLOCK % BLOCKS as u64) as usize)
    }

    /// A page was asked for, and dealt with for that. Gives the pages to deal with, too.
    pub(super) fn alone(&mut self, page: Page) -> Option<PageRange> {
        let number = page.0 / BLOCK;
        let slot = self.slot(page)?;
        if slot.number != number {
            *slot = Block { number, ..Block::default() };
        }
        slot.asked |= bit(page);
        slot.ahead &= !bit(page);
        if slot.asked.count_ones() < ENOUGH {
            return None;
        }
        let asked = std::mem::take(&mut slot.asked);
        if self.credit < 0 {
            self.credit += 1;
            return None;
        }
        if let Some(slot) = self.slot(page) {
            slot.ahead = !asked;
        }
        Some(PageRange::new(Page(number * BLOCK), BLOCK))
    }

    /// A page was asked for, and nothing had to be done.
    pub(super) fn spared(&mut self, page: Page) {
        if self.was_ahead(page) {
            self.credit = (self.credit + 1).min(CREDIT_MAX);
        }
    }

    /// This node's program has come to a page that it could use, were it not for what was done ahead. Says whether it was.
    pub(super) fn regretted(&mut self, page: Page) -> bool {
        let was_ahead = self.was_ahead(page);
        if was_ahead {
            self.credit = (self.credit - REGRET).max(-CREDIT_MAX);
            self.slot(page).into_iter().for_each(|slot| slot.asked = 0);
        }
        was_ahead
    }

    /// Whether the page was dealt with before anybody asked. Once.
    fn was_ahead(&mut self, page: Page) -> bool {
        let slot = self.slot(page).filter(|slot| slot.number == page.0 / BLOCK && slot.ahead & bit(page) != 0);
        slot.map(|slot| slot.ahead &= !bit(page)).is_some()
    }

    /// How many system calls were spared, without those that were regretted.
    #[cfg(test)]
    pub(super) fn credit(&self) -> i32 {
        self.credit
    }
}

fn bit(page: Page) -> u32 {
    1 << (page.0 % BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Others ask for the first pages of a block, one after the other.
    fn ask(neighbours: &mut Neighbours, block: u64) -> Option<PageRange> {
        let first = Page(block * BLOCK);
        assert!((0..3).all(|page| neighbours.alone(Page(first.0 + page)).is_none()));
        neighbours.alone(Page(first.0 + 3))
    }

    #[test]
    fn a_block_of_which_four_pages_were_asked_for_is_dealt_with_whole() {
        let mut neighbours = Neighbours::default();
        assert_eq!(ask(&mut neighbours, 7), Some(PageRange::new(Page(7 * BLOCK), BLOCK)));
        // And again when this node has had it back and others ask again.
        assert_eq!(ask(&mut neighbours, 7), Some(PageRange::new(Page(7 * BLOCK), BLOCK)));
    }

    #[test]
    fn one_page_that_is_asked_for_over_and_over_says_nothing_of_its_neighbours() {
        let mut neighbours = Neighbours::default();
        assert!((0..100).all(|_| neighbours.alone(Page(5)).is_none()));
    }

    #[test]
    fn a_block_that_takes_the_place_of_another_begins_anew() {
        let mut neighbours = Neighbours::default();
        for page in 0..3 {
            assert_eq!(neighbours.alone(Page(page)), None);
        }
        assert_eq!(neighbours.alone(Page(BLOCKS as u64 * BLOCK + 3)), None);
        assert_eq!(neighbours.alone(Page(3)), None);
    }

    #[test]
    fn who_regrets_stops_and_tries_again_later() {
        let mut neighbours = Neighbours::default();
        assert!(ask(&mut neighbours, 0).is_some());
        assert!(neighbours.regretted(Page(20)));
        for _ in 0..REGRET {
            assert_eq!(ask(&mut neighbours, 0), None);
        }
        assert!(ask(&mut neighbours, 0).is_some());
    }

    #[test]
    fn what_was_spared_outweighs_a_few_regrets() {
        let mut neighbours = Neighbours::default();
        assert!(ask(&mut neighbours, 0).is_some());
        (4..4 + 2 * REGRET as u64).for_each(|page| neighbours.spared(Page(page)));
        assert!((20..22).all(|page| neighbours.regretted(Page(page))));
        assert!(ask(&mut neighbours, 1).is_some());
        assert!(neighbours.regretted(Page(22)));
        assert!(ask(&mut neighbours, 2).is_none());
    }

    #[test]
    fn only_what_was_done_ahead_is_spared_or_regretted_and_once() {
        let mut neighbours = Neighbours::default();
        // Nothing was, at first.
        neighbours.spared(Page(40));
        assert!(!neighbours.regretted(Page(41)) && neighbours.credit() == 0);
        assert!(ask(&mut neighbours, 1).is_some());
        // This one was asked for before, and these are of another block.
        neighbours.spared(Page(33));
        neighbours.spared(Page(BLOCK * BLOCKS as u64 + 40));
        assert!(!neighbours.regretted(Page(8)));
        assert_eq!(neighbours.credit(), 0);
        (0..2).for_each(|_| neighbours.spared(Page(40)));
        assert_eq!(neighbours.credit(), 1);
        // The program has had this one back meanwhile.
        assert_eq!(neighbours.alone(Page(42)), None);
        neighbours.spared(Page(42));
        assert_eq!(neighbours.credit(), 1);
        assert!(neighbours.regretted(Page(41)) && !neighbours.regretted(Page(41)));
        assert_eq!(neighbours.credit(), 1 - REGRET);
    }
}
