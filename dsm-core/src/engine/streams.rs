//! Which pages a thread is about to read: sequential and strided streams, recognised by its faults.
//!
//! What is fetched ahead comes in chunks. The first page of each chunk is a *marker*: it is here when the thread comes to it, but
//! not mapped, so that one cheap local fault tells that the chunk before was used; then the next chunk is fetched, twice as long up to a
//! limit (the scheme of Linux's file readahead: Fengguang, Hongsheng and Chenfeng, "On the design of a new Linux readahead framework",
//! ACM SIGOPS Operating Systems Review 42(5), 2008). A stream that ends with pages unused makes the thread's next one begin shorter.

use std::collections::BTreeMap;

use protocol::Page;

/// The longest chunk: two of the largest datagrams.
const CHUNK_MAX: u64 = 30;

/// The first chunk of a thread's first stream.
const CHUNK_MIN: u64 = 4;

/// Streams that one thread may follow at once, as a loop over several arrays does.
const STREAMS_MAX: usize = 4;

/// Pages from one fault to the next in a stream, at most.
const STRIDE_MAX: u64 = 64;

/// Threads that are remembered; beyond that all are forgotten.
const THREADS_MAX: usize = 4096;

/// The streams of all threads of this node.
#[derive(Debug, Default)]
pub(super) struct Streams {
    threads: BTreeMap<u32, Thread>,
    /// How many streams of which thread wait at each marker.
    markers: BTreeMap<Page, u32>,
}

#[derive(Debug)]
struct Thread {
    /// The latest first.
    streams: Vec<Stream>,
    /// How long the first chunk of the next stream is.
    chunk: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    /// Where the thread last faulted.
    last: Page,
    /// Pages to the next fault; 0 while there was only one.
    stride: i64,
    /// How many faults had this stride.
    steps: u32,
    /// The first page of the chunk that was fetched last, how long that is, and how long the next one is to be.
    ahead: Option<(Page, u64)>,
    chunk: u64,
}

/// Pages to be fetched, `stride` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ahead {
    pub(super) first: Page,
    pub(super) stride: i64,
    pub(super) count: u64,
}

impl Ahead {
    /// The pages, as far as there can be such.
    pub(super) fn pages(self) -> impl Iterator<Item = Page> {
        (0..self.count as i64).map_while(move |step| after(self.first, step.checked_mul(self.stride)?))
    }
}

fn after(page: Page, pages: i64) -> Option<Page> {
    page.0.checked_add_signed(pages).map(Page)
}

impl Stream {
    fn new(last: Page, chunk: u64) -> Stream {
        Stream { last, stride: 0, steps: 0, ahead: None, chunk }
    }

    /// Whether a fault on `page` goes on with it.
    fn goes_on_at(&self, page: Page) -> bool {
        if self.stride == 0 {
            return page != self.last && page.0.abs_diff(self.last.0) <= STRIDE_MAX;
        }
        // Up to the end of what was fetched: pages may be taken away again before they are used.
        let reach =
            self.ahead.map_or(1, |(first, count)| first.0.abs_diff(self.last.0) / self.stride.unsigned_abs() + count);
        let way = page.0.wrapping_sub(self.last.0) as i64;
        way != 0 && way % self.stride == 0 && (1..=reach as i64).contains(&(way / self.stride))
    }

    /// Takes a fault that goes on with it; what to fetch now.
    fn advance(&mut self, page: Page) -> Option<Ahead> {
        if self.stride == 0 {
            self.stride = page.0.wrapping_sub(self.last.0) as i64;
        }
        self.steps = self.steps.saturating_add(1);
        self.last = page;
        let first = match self.ahead {
            None if self.steps >= 2 || self.stride == 1 => after(page, self.stride)?,
            Some((first, count)) if !self.is_before(page, first) => {
                self.chunk = (self.chunk * 2).min(CHUNK_MAX);
                after(first, self.stride.checked_mul(count as i64)?)?
            }
            _ => return None,
        };
        self.ahead = Some((first, self.chunk));
        Some(Ahead { first, stride: self.stride, count: self.chunk })
    }

    fn is_before(&self, page: Page, other: Page) -> bool {
        if self.stride > 0 { page < other } else { page > other }
    }
}

impl Thread {
    fn new() -> Thread {
        Thread { streams: Vec::with_capacity(STREAMS_MAX), chunk: CHUNK_MIN }
    }

    /// Begins a stream; gives one that ends for it.
    fn begin(&mut self, page: Page) -> Option<Stream> {
        let ended = if self.streams.len() == STREAMS_MAX { self.streams.pop() } else { None };
        if let Some(ended) = ended.filter(|ended| ended.ahead.is_some()) {
            self.chunk = (ended.chunk / 2).max(CHUNK_MIN);
        }
        self.streams.insert(0, Stream::new(page, self.chunk));
        ended
    }
}

impl Streams {
    /// `thread` faults on `page` to read it: what to fetch ahead of it.
    pub(super) fn faulted(&mut self, thread: u32, page: Page) -> Option<Ahead> {
        if self.threads.len() >= THREADS_MAX {
            *self = Streams::default();
        }
        let entry = self.threads.entry(thread).or_insert_with(Thread::new);
        // One that has a direction knows better than one that may get any.
        let place = entry.streams.iter().position(|stream| stream.stride != 0 && stream.goes_on_at(page));
        let place = place.or_else(|| entry.streams.iter().position(|stream| stream.goes_on_at(page)));
        let Some(place) = place else {
            if let Some((marker, _)) = entry.begin(page).and_then(|ended| ended.ahead) {
                self.unmark(marker);
            }
            return None;
        };
        entry.streams[..=place].rotate_right(1);
        let stream = &mut entry.streams[0];
        let before = stream.ahead.map(|(marker, _)| marker);
        let ahead = stream.advance(page)?;
        if let Some(marker) = before {
            self.unmark(marker);
        }
        *self.markers.entry(ahead.first).or_default() += 1;
        Some(ahead)
    }

    /// Whether a thread's coming to `page` is to be noticed.
    pub(super) fn is_marker(&self, page: Page) -> bool {
        self.markers.contains_key(&page)
    }

    fn unmark(&mut self, marker: Page) {
        if let Some(count) = self.markers.get_mut(&marker) {
            *count -= 1;
            if *count == 0 {
                self.markers.remove(&marker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(first: u64, stride: i64, count: u64) -> Option<Ahead> {
        Some(Ahead { first: Page(first), stride, count })
    }

    /// A thread that faults where nothing was fetched, and at markers.
    fn read(streams: &mut Streams, pages: impl IntoIterator<Item = u64>) -> Vec<Ahead> {
        let mut here = std::collections::BTreeSet::new();
        let mut fetched = Vec::new();
        for page in pages.into_iter().map(Page) {
            if !here.contains(&page) || streams.is_marker(page) {
                let ahead = streams.faulted(7, page);
                here.extend(ahead.into_iter().flat_map(Ahead::pages));
                fetched.extend(ahead);
            }
        }
        fetched
    }

    #[test]
    fn a_sequential_reader_is_fed_by_chunks_that_grow_to_the_limit() {
        let fetched = read(&mut Streams::default(), 100..400);
        assert_eq!(fetched[..4].iter().map(|ahead| ahead.count).collect::<Vec<_>>(), [4, 8, 16, 30]);
        assert_eq!(fetched[0], ahead(102, 1, 4).unwrap());
        let ends = fetched.iter().map(|ahead| ahead.first.0 + ahead.count);
        let begins = fetched.iter().skip(1).map(|ahead| ahead.first.0);
        assert!(ends.zip(begins).all(|(end, begin)| end == begin), "without gaps: {fetched:?}");
    }

    #[test]
    fn strides_are_recognised_in_both_directions() {
        let mut streams = Streams::default();
        assert_eq!(read(&mut streams, [10, 15, 20])[..], [ahead(25, 5, 4).unwrap()]);
        assert_eq!(read(&mut streams, [900, 899, 898])[..], [ahead(897, -1, 4).unwrap()]);
        assert_eq!(Ahead { first: Page(1), stride: -1, count: 4 }.pages().collect::<Vec<_>>(), [Page(1), Page(0)]);
    }

    #[test]
    fn a_random_reader_is_left_alone() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % 100_000
        };
        let pages: Vec<u64> = std::iter::repeat_with(&mut next).take(10_000).collect();
        assert!(read(&mut Streams::default(), pages).len() < 10);
    }

    #[test]
    fn a_loop_over_several_arrays_is_several_streams() {
        let pages = (0..60).flat_map(|page| [page, 1_000 + page, 2_000 + page]);
        let fetched = read(&mut Streams::default(), pages);
        for array in [0, 1_000, 2_000] {
            let of_array = fetched.iter().filter(|ahead| (array..array + 1_000).contains(&ahead.first.0));
            assert!(of_array.map(|ahead| ahead.count).sum::<u64>() >= 50, "{fetched:?}");
        }
    }

    #[test]
    fn after_a_stream_that_ended_unused_the_next_begins_shorter() {
        let mut streams = Streams::default();
        read(&mut streams, 0..300);
        assert_eq!(streams.threads[&7].chunk, CHUNK_MIN);
        // Four others push it out.
        read(&mut streams, [10_000, 20_000, 30_000, 40_000]);
        assert_eq!(streams.threads[&7].chunk, CHUNK_MAX / 2);
        assert_eq!(read(&mut streams, [50_000, 50_001])[..], [ahead(50_002, 1, CHUNK_MAX / 2).unwrap()]);
    }

    #[test]
    fn markers_of_streams_that_are_over_are_forgotten() {
        let mut streams = Streams::default();
        for start in 0..1_000 {
            read(&mut streams, [1_000 * start, 1_000 * start + 1]);
        }
        assert!(streams.markers.len() <= STREAMS_MAX, "{:?}", streams.markers);
    }
}
