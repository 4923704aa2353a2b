//! Where the machines keep what they know of pages: a small record for each page, and more for the few that something is under
//! way with.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use crate::ids::Page;

/// Pages in a chunk: a program that touches a page touches its neighbours.
const CHUNK: u64 = 32;

/// Chunks in a section, of which there is one for every 16 MiB below the highest page that was touched.
const SECTION: u64 = 128;

type Chunk<T> = Box<[T; CHUNK as usize]>;

/// A small record for every page; one that was never touched reads as the default. It is looked up several times for each message,
/// of any page: so by its place, and not by a search, whose branches no processor can predict.
#[derive(Clone, Debug)]
pub(crate) struct PageTable<T> {
    /// Each as long as its last chunk needs it; empty where no page was touched.
    sections: Vec<Vec<Option<Chunk<T>>>>,
}

impl<T> Default for PageTable<T> {
    fn default() -> Self {
        PageTable { sections: Vec::new() }
    }
}

/// Where the record of a page is: in which section, in which of its chunks, and there.
fn place(page: Page) -> [usize; 3] {
    let chunk = page.0 / CHUNK;
    [chunk / SECTION, chunk % SECTION, page.0 % CHUNK].map(|place| place as usize)
}

impl<T: Default + PartialEq> PageTable<T> {
    /// The record of `page`, if one of its chunk was ever asked for.
    pub(crate) fn get(&self, page: Page) -> Option<&T> {
        let [section, chunk, record] = place(page);
        self.sections.get(section)?.get(chunk)?.as_ref()?.get(record)
    }

    /// The record of `page`, which is one of the region: the table grows by 24 bytes for each section below it.
    pub(crate) fn entry(&mut self, page: Page) -> &mut T {
        let [section, chunk, record] = place(page);
        let section = at(&mut self.sections, section);
        let chunk = at(section, chunk).get_or_insert_with(|| Box::new(std::array::from_fn(|_| T::default())));
        &mut chunk[record]
    }

    /// Bytes of all chunks and of what leads to them, without what the allocator adds. `elsewhere` gives what a record has outside of it.
    pub(crate) fn bytes(&self, elsewhere: impl Fn(&T) -> usize) -> usize {
        let places: usize =
            self.sections.iter().map(|section| section.capacity() * size_of::<Option<Chunk<T>>>()).sum();
        let places = places + self.sections.capacity() * size_of::<Vec<Option<Chunk<T>>>>();
        let chunks = self
            .chunks()
            .map(|(_, records)| CHUNK as usize * size_of::<T>() + records.iter().map(&elsewhere).sum::<usize>());
        places + chunks.sum::<usize>()
    }

    /// All chunks, each with its first page.
    fn chunks(&self) -> impl Iterator<Item = (u64, &Chunk<T>)> {
        let sections = (0..).step_by((SECTION * CHUNK) as usize).zip(&self.sections);
        let places = sections.flat_map(|(first, section)| (first..).step_by(CHUNK as usize).zip(section));
        places.filter_map(|(first, chunk)| Some((first, chunk.as_ref()?)))
    }

    /// The records that say something.
    fn used(&self) -> impl Iterator<Item = (u64, &T)> {
        let all = self.chunks().flat_map(|(first, records)| (first..).zip(records.iter()));
        all.filter(|(_, record)| **record != T::default())
    }
}

/// What stands at `place`, after as many new ones as are needed for that.
fn at<T: Default>(list: &mut Vec<T>, place: usize) -> &mut T {
    if place >= list.len() {
        list.resize_with(place + 1, T::default);
    }
    &mut list[place]
}

/// Equal when they read the same.
impl<T: Default + PartialEq> PartialEq for PageTable<T> {
    fn eq(&self, other: &Self) -> bool {
        self.used().eq(other.used())
    }
}

impl<T: Default + Eq> Eq for PageTable<T> {}

impl<T: Default + PartialEq + Hash> Hash for PageTable<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.used().for_each(|record| record.hash(state));
    }
}

/// Records of a few pages, in order of their numbers. Streams of pages come at one end and go at the other, and nothing is allocated
/// when the number of records does not grow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Few<T> {
    records: VecDeque<(Page, T)>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few { records: VecDeque::new() }
    }
}

impl<T: Default> Few<T> {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    fn place(&self, page: Page) -> Result<usize, usize> {
        let (Some((first, _)), Some((last, _))) = (self.records.front(), self.records.back()) else { return Err(0) };
        // What is searched for stands at one of the ends, nearly always.
        match page {
            _ if page == *first => Ok(0),
            _ if page < *first => Err(0),
            _ if page > *last => Err(self.records.len()),
            _ => self.records.binary_search_by_key(&page, |(page, _)| *page),
        }
    }

    pub(crate) fn get(&self, page: Page) -> Option<&T> {
        self.records.get(self.place(page).ok()?).map(|(_, record)| record)
    }

    pub(crate) fn get_mut(&mut self, page: Page) -> Option<&mut T> {
        let place = self.place(page).ok()?;
        self.records.get_mut(place).map(|(_, record)| record)
    }

    /// The record of `page`, the default where there was none.
    pub(crate) fn entry(&mut self, page: Page) -> &mut T {
        let place = self.place(page).unwrap_or_else(|place| {
            self.records.insert(place, (page, T::default()));
            place
        });
        &mut self.records[place].1
    }

    pub(crate) fn remove(&mut self, page: Page) {
        if let Ok(place) = self.place(page) {
            self.records.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_what_was_written_to_it_and_not_what_was_looked_at() {
        let (mut one, mut other) = (PageTable::<u64>::default(), PageTable::default());
        *one.entry(Page(77)) = 5;
        assert_eq!((one.get(Page(77)), one.get(Page(78)), one.get(Page(1 << 40))), (Some(&5), Some(&0), None));
        other.entry(Page(3));
        assert_ne!(one, other);
        *other.entry(Page(77)) = 5;
        assert_eq!(one, other);
    }

    #[test]
    fn records_are_told_apart_wherever_their_pages_are_and_come_in_order() {
        const SECTION_PAGES: u64 = SECTION * CHUNK;
        let pages = [0, CHUNK - 1, CHUNK, SECTION_PAGES - 1, SECTION_PAGES, 3 * SECTION_PAGES + CHUNK, 1 << 28];
        let mut table = PageTable::<u64>::default();
        for page in pages.into_iter().rev() {
            *table.entry(Page(page)) = page + 1;
        }
        assert!(pages.iter().all(|page| table.get(Page(*page)) == Some(&(page + 1))));
        assert!(table.used().map(|(page, record)| (page, *record)).eq(pages.map(|page| (page, page + 1))));
        assert_eq!(table.get(Page(2 * SECTION_PAGES)), None);
    }

    #[test]
    fn a_few_records_are_found_in_whatever_order_they_came() {
        let mut few = Few::<u64>::default();
        for page in [5, 9, 1, 7, 3] {
            *few.entry(Page(page)) = 10 * page;
        }
        assert_eq!(few.records.iter().map(|(page, _)| page.0).collect::<Vec<_>>(), [1, 3, 5, 7, 9]);
        few.remove(Page(5));
        few.remove(Page(6));
        assert_eq!([5, 7, 11].map(|page| few.get(Page(page)).copied()), [None, Some(70), None]);
        // At the ends, and before and behind them.
        assert_eq!([0, 1, 9, 10].map(|page| few.get(Page(page)).copied()), [None, Some(10), Some(90), None]);
        few.remove(Page(1));
        *few.entry(Page(0)) = 4;
        assert_eq!([0, 1, 3].map(|page| few.get(Page(page)).copied()), [Some(4), None, Some(30)]);
    }
}
