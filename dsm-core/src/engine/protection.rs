//! Which pages other nodes are about to read: neighbours of those that they have just read.
//!
//! Before a page that this node may write goes to a reader, stores to it must be forbidden, by a system call that costs about as much
//! for many pages in a row as for one. So when several pages of a block have been asked for, all of the block are protected, while
//! the answer is on its way, or at once if another of them was asked for together with those; the protocol knows nothing of it, and
//! lets stores through again when they come. Each of those costs a small local fault that would not have been: when they are more
//! than what was spared, it stops for a while.

use protocol::Page;

use crate::mem::PageRange;

/// Pages that are protected together.
const BLOCK: u64 = 32;

/// So many pages of a block must have been protected for readers one by one.
const ENOUGH: u32 = 4;

/// Blocks that are remembered at a time.
const BLOCKS: usize = 1024;

/// What a store to a page that was protected for nothing costs, in system calls spared.
const REGRET: i32 = 4;

/// How far the account goes up and down.
const CREDIT_MAX: i32 = 64;

/// What is known of readers.
#[derive(Debug)]
pub(super) struct Protection {
    /// Which block a slot speaks of, and which of its pages were protected one by one since the whole was.
    blocks: Vec<(u64, u32)>,
    credit: i32,
}

impl Default for Protection {
    fn default() -> Self {
        Protection { blocks: vec![(0, 0); BLOCKS], credit: 0 }
    }
}

impl Protection {
    fn slot(&mut self, block: u64) -> Option<&mut (u64, u32)> {
        self.blocks.get_mut((block % BLOCKS as u64) as usize)
    }

    /// A page goes to a reader and was protected for it. Gives the pages to protect with it.
    pub(super) fn alone(&mut self, page: Page) -> Option<PageRange> {
        let block = page.0 / BLOCK;
        let slot = self.slot(block)?;
        if slot.0 != block {
            *slot = (block, 0);
        }
        slot.1 |= 1 << (page.0 % BLOCK);
        if slot.1.count_ones() < ENOUGH {
            return None;
        }
        slot.1 = 0;
        if self.credit < 0 {
            self.credit += 1;
            return None;
        }
        Some(PageRange::new(Page(block * BLOCK), BLOCK))
    }

    /// A page goes to a reader and was protected already.
    pub(super) fn spared(&mut self) {
        self.credit = (self.credit + 1).min(CREDIT_MAX);
    }

    /// How many system calls were spared, without those that were regretted.
    #[cfg(test)]
    pub(super) fn credit(&self) -> i32 {
        self.credit
    }

    /// This node stores to a page that was protected, and that nobody has read.
    pub(super) fn regretted(&mut self, page: Page) {
        self.credit = (self.credit - REGRET).max(-CREDIT_MAX);
        let block = page.0 / BLOCK;
        if let Some(slot) = self.slot(block).filter(|slot| slot.0 == block) {
            slot.1 = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers ask for the first pages of a block, one after the other.
    fn read(protection: &mut Protection, block: u64) -> Option<PageRange> {
        let first = Page(block * BLOCK);
        assert!((0..3).all(|page| protection.alone(Page(first.0 + page)).is_none()));
        protection.alone(Page(first.0 + 3))
    }

    #[test]
    fn a_block_of_which_four_pages_were_read_is_protected_whole() {
        let mut protection = Protection::default();
        assert_eq!(read(&mut protection, 7), Some(PageRange::new(Page(7 * BLOCK), BLOCK)));
        // And again when this node has written it and others read it again.
        assert_eq!(read(&mut protection, 7), Some(PageRange::new(Page(7 * BLOCK), BLOCK)));
    }

    #[test]
    fn one_page_that_is_read_over_and_over_says_nothing_of_its_neighbours() {
        let mut protection = Protection::default();
        assert!((0..100).all(|_| protection.alone(Page(5)).is_none()));
    }

    #[test]
    fn a_block_that_takes_the_place_of_another_begins_anew() {
        let mut protection = Protection::default();
        for page in 0..3 {
            assert_eq!(protection.alone(Page(page)), None);
        }
        assert_eq!(protection.alone(Page(BLOCKS as u64 * BLOCK + 3)), None);
        assert_eq!(protection.alone(Page(3)), None);
    }

    #[test]
    fn who_regrets_stops_and_tries_again_later() {
        let mut protection = Protection::default();
        assert!(read(&mut protection, 0).is_some());
        protection.regretted(Page(20));
        for _ in 0..REGRET {
            assert_eq!(read(&mut protection, 0), None);
        }
        assert!(read(&mut protection, 0).is_some());
    }

    #[test]
    fn what_was_spared_outweighs_a_few_regrets() {
        let mut protection = Protection::default();
        (0..2 * REGRET).for_each(|_| protection.spared());
        protection.regretted(Page(0));
        protection.regretted(Page(1));
        assert!(read(&mut protection, 0).is_some());
        protection.regretted(Page(2));
        assert!(read(&mut protection, 0).is_none());
    }
}
