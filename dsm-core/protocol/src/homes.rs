//! Which node is the home of which page.
//!
//! The home keeps a page's directory entry for the whole job ("fixed distributed manager", Li and Hudak 1989, section 3.2).
//! Allocations are collective and come in the same order with the same arguments on every node, so every node computes the
//! same map and no message is spent on it.

use crate::ids::{NodeId, Page};

/// How the pages of one allocation are dealt out to homes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Placement {
    /// Equal contiguous shares, the first to node 0.
    Block,
    /// Blocks of this many pages go round the nodes, the first to node 0.
    Cyclic {
        /// Pages in a block, at least 1.
        block_pages: u64,
    },
    /// All pages to one node.
    Node(NodeId),
}

impl Placement {
    /// Two numbers that differ whenever two placements differ.
    pub fn words(self) -> [u64; 2] {
        match self {
            Placement::Block => [0, 0],
            Placement::Cyclic { block_pages } => [1, block_pages],
            Placement::Node(node) => [2, node.rank() as u64],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Segment {
    first: u64,
    pages: u64,
    placement: Placement,
}

/// The map from page to home, extended by each collective allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Homes {
    nodes: u64,
    segments: Vec<Segment>,
    end: u64,
}

impl Homes {
    /// A map for a job of `nodes` nodes, with no page allocated yet.
    pub fn new(nodes: usize) -> Homes {
        Homes { nodes: nodes.max(1) as u64, segments: Vec::new(), end: 0 }
    }

    /// How many pages have been allocated: the first free page.
    pub fn end(&self) -> Page {
        Page(self.end)
    }

    /// Allocates the next `pages` pages and returns the first.
    pub fn extend(&mut self, pages: u64, placement: Placement) -> Page {
        let first = self.end;
        if pages > 0 {
            self.segments.push(Segment { first, pages, placement });
            self.end += pages;
        }
        Page(first)
    }

    /// The pages of the allocation that `page` belongs to; none where no allocation covers it.
    pub fn allocation(&self, page: Page) -> std::ops::Range<u64> {
        let segment = self.segment(page);
        segment.map_or(0..0, |Segment { first, pages, .. }| *first..first + pages)
    }

    fn segment(&self, page: Page) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.first <= page.0);
        self.segments.get(after.checked_sub(1)?).filter(|_| page.0 < self.end)
    }

    /// The home of `page`, or `None` when no allocation covers it.
    pub fn home(&self, page: Page) -> Option<NodeId> {
        let segment = self.segment(page)?;
        let offset = page.0 - segment.first;
        match segment.placement {
            Placement::Block => NodeId::new((offset / segment.pages.div_ceil(self.nodes)) as usize),
            Placement::Cyclic { block_pages } => NodeId::new((offset / block_pages.max(1) % self.nodes) as usize),
            Placement::Node(node) => Some(node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn homes_of(homes: &Homes, pages: std::ops::Range<u64>) -> Vec<usize> {
        pages.map(|page| homes.home(Page(page)).unwrap().rank()).collect()
    }

    #[test]
    fn blocks_are_equal_contiguous_shares() {
        let mut homes = Homes::new(3);
        homes.extend(7, Placement::Block);
        assert_eq!(homes_of(&homes, 0..7), [0, 0, 0, 1, 1, 1, 2]);
    }

    #[test]
    fn a_share_never_falls_to_a_node_that_does_not_exist() {
        for nodes in 1..=64 {
            for pages in 1..200 {
                let mut homes = Homes::new(nodes);
                homes.extend(pages, Placement::Block);
                assert!(homes_of(&homes, 0..pages).iter().all(|&home| home < nodes));
            }
        }
    }

    #[test]
    fn cyclic_blocks_go_round_the_nodes() {
        let mut homes = Homes::new(2);
        homes.extend(3, Placement::Block);
        homes.extend(6, Placement::Cyclic { block_pages: 2 });
        assert_eq!(homes_of(&homes, 3..9), [0, 0, 1, 1, 0, 0]);
    }

    #[test]
    fn a_page_that_nobody_allocated_has_no_home() {
        let mut homes = Homes::new(2);
        assert_eq!(homes.home(Page(0)), None);
        homes.extend(4, Placement::Node(NodeId::new(1).unwrap()));
        assert_eq!(homes.home(Page(3)), NodeId::new(1));
        assert_eq!(homes.home(Page(4)), None);
        assert_eq!(homes.home(Page(u64::MAX)), None);
    }

    #[test]
    fn pages_know_their_allocation() {
        let mut homes = Homes::new(2);
        homes.extend(3, Placement::Block);
        homes.extend(6, Placement::Cyclic { block_pages: 2 });
        assert_eq!([0, 2, 3, 8, 9].map(|page| homes.allocation(Page(page))), [0..3, 0..3, 3..9, 3..9, 0..0]);
    }
}
