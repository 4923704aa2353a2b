//! Pages and ranges of pages.

use protocol::Page;

/// Bytes of a page: the unit of sharing, and the page size of the machines served.
pub const PAGE_BYTES: usize = 4096;

/// Consecutive pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageRange {
    /// The first page.
    pub first: Page,
    /// How many pages.
    pub count: u64,
}

impl PageRange {
    /// `count` pages from `first` on.
    pub fn new(first: Page, count: u64) -> PageRange {
        PageRange { first, count }
    }

    /// Whether this is one of them.
    pub fn contains(self, page: Page) -> bool {
        page.0.checked_sub(self.first.0).is_some_and(|place| place < self.count)
    }

    /// Its pages in rising order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Page> {
        (self.first.0..self.first.0.saturating_add(self.count)).map(Page)
    }
}

impl From<Page> for PageRange {
    fn from(page: Page) -> PageRange {
        PageRange::new(page, 1)
    }
}
