//! Pages that were fetched before anybody needed them. Node 1 is their home, node 2 wants them, too.

use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::super::pages::PREFETCH_MAX;
use super::*;
use crate::mem::PageRange;

const BYTES: [u8; PAGE_BYTES] = [7; PAGE_BYTES];
const SEVENS: u64 = u64::from_ne_bytes([7; 8]);

/// The word in the middle of a page.
fn word(page: Page) -> u64 {
    page.0 * PAGE_BYTES as u64 + PAGE_BYTES as u64 / 2
}

/// A thread of the program that reads the pages that it is told to, one after the other.
pub(super) struct Reader {
    tell: Sender<Page>,
    pub(super) told: Receiver<u64>,
}

impl Reader {
    pub(super) fn of(region: &'static Region) -> Reader {
        let (tell, pages) = channel();
        let (answer, told) = channel();
        thread::spawn(move || pages.iter().try_for_each(|page| answer.send(region.load::<u64>(word(page)))));
        Reader { tell, told }
    }

    pub(super) fn begin(&self, page: Page) {
        self.tell.send(page).unwrap();
    }
}

fn grant(page: Page, epoch: u64, request: RequestId, access: Access, contents: Contents) -> Message {
    let (epoch, awaiting) = (Epoch(epoch), NodeSet::EMPTY);
    Message::Page(PageMessage::Grant { page, epoch, request, access, contents, awaiting })
}

/// Node 2 wants to write the page.
fn invalidate(page: Page, epoch: u64) -> Message {
    Message::Page(PageMessage::Invalidate { page, epoch: Epoch(epoch), requester: node(2) })
}

fn invalidated(page: Page, epoch: u64) -> Message {
    Message::Page(PageMessage::Invalidated { page, epoch: Epoch(epoch) })
}

impl Scene {
    /// What the engine has asked the home for, in order.
    fn asked(&self) -> Vec<(Page, RequestId, Access)> {
        let requests = self.puppets[0].heard.iter().filter_map(|message| match *message {
            Message::Page(PageMessage::Request { page, request, access }) => Some((page, request, access)),
            _ => None,
        });
        requests.collect()
    }

    /// A hint for these pages, until the home has heard all that follows from it.
    fn hint(&mut self, pages: PageRange) {
        self.engine.prefetch(pages).unwrap();
        self.engine.flush();
        self.until(|scene| scene.asked().len() as u64 == pages.count);
    }

    /// The home answers those of the questions to it, at once and in one datagram, and says `after` with it.
    fn answer(&mut self, questions: Range<usize>, after: &[Message]) {
        let received = self.engine.stats().pages_received + questions.len() as u64;
        let asked = self.asked();
        let answers = asked[questions].iter();
        let answers = answers
            .map(|&(page, request, access)| grant(page, 1, request, access, Contents::Bytes))
            .map(|answer| (answer, &BYTES[..]));
        let after = after.iter().map(|message| (*message, &[][..]));
        self.puppet(1).say_together(&answers.chain(after).collect::<Vec<_>>());
        self.until(|scene| scene.engine.stats().pages_received == received);
    }

    /// With eight more pages, and those from 0 to 5 granted, of which page 2 is a marker: a thread read pages 0 and 1 in order, and
    /// the engine fetched what follows.
    fn of_a_stream() -> Option<(Scene, Reader)> {
        let mut scene = Scene::with_pages(3, 14)?;
        scene.engine.fetch_ahead();
        let reader = Reader::of(scene.engine.region);
        for (page, answered) in [(Page(0), 0..1), (Page(1), 1..6)] {
            reader.begin(page);
            scene.until(|scene| scene.asked().len() == answered.end);
            scene.answer(answered, &[]);
            assert_eq!(scene.read(&reader), SEVENS);
        }
        scene.until(|scene| scene.engine.holds.next().is_none());
        Some((scene, reader))
    }

    /// What the reader has found.
    fn read(&mut self, reader: &Reader) -> u64 {
        let found = std::cell::Cell::new(None);
        self.until(|_| {
            found.set(reader.told.try_recv().ok());
            found.get().is_some()
        });
        found.get().unwrap()
    }

    fn mapped(&self, page: Page) -> Option<mem::Access> {
        self.engine.region.mapped(page).unwrap()
    }
}

#[test]
fn the_first_of_the_pages_that_follow_a_reader_is_here_and_not_mapped() {
    let Some((scene, _)) = Scene::of_a_stream() else { return };
    assert_eq!((scene.mapped(Page(2)), scene.engine.pages.access(Page(2))), (None, Some(Access::Read)));
    for page in [0, 1, 3, 4, 5].map(Page) {
        assert_eq!(scene.mapped(page), Some(mem::Access::Read), "{page:?}");
    }
}

#[test]
fn who_comes_to_the_page_that_is_not_mapped_gets_it_without_a_message_and_the_next_ones_are_fetched() {
    let Some((mut scene, reader)) = Scene::of_a_stream() else { return };
    reader.begin(Page(2));
    assert_eq!((scene.read(&reader), scene.mapped(Page(2))), (SEVENS, Some(mem::Access::Read)));
    scene.until(|scene| scene.asked().len() == 14);
    let next = scene.asked()[6..].iter().map(|(page, ..)| page.0).collect::<Vec<_>>();
    assert_eq!(next, [6, 7, 8, 9, 10, 11, 12, 13]);

    // Nobody waits for these: what the thread earned for its page does not hold them.
    scene.answer(6..14, &[]);
    assert_eq!(scene.engine.holds.next(), None);
    assert_eq!((scene.mapped(Page(6)), scene.mapped(Page(7))), (None, Some(mem::Access::Read)));
}

#[test]
fn a_page_that_is_here_and_not_mapped_can_be_taken_away_and_is_asked_for_again() {
    let Some((mut scene, reader)) = Scene::of_a_stream() else { return };
    scene.puppet(1).say(&invalidate(Page(2), 2), &[]);
    scene.until(|scene| scene.puppets[1].heard == [invalidated(Page(2), 2)]);
    assert_eq!((scene.mapped(Page(2)), scene.engine.pages.access(Page(2))), (None, None));

    reader.begin(Page(2));
    // The thread also goes on with its stream.
    scene.until(|scene| scene.asked().len() == 15);
    let (page, request, access) = scene.asked()[6];
    assert_eq!((page, access), (Page(2), Access::Read));
    scene.puppet(1).say(&grant(page, 3, request, access, Contents::Bytes), &[9; PAGE_BYTES]);
    assert_eq!(scene.read(&reader), u64::from_ne_bytes([9; 8]));
}

#[test]
fn a_page_that_is_here_and_not_mapped_is_upgraded_by_a_store_and_handed_on_with_it() {
    let Some((mut scene, _)) = Scene::of_a_stream() else { return };
    let region = scene.engine.region;
    let writer = thread::spawn(move || region.store(word(Page(2)), 5u64));
    scene.until(|scene| scene.asked().len() == 7);
    let (page, request, access) = scene.asked()[6];
    assert_eq!((page, access), (Page(2), Access::Write));
    scene.puppet(1).say(&grant(page, 2, request, access, Contents::Keep), &[]);
    scene.until(|_| writer.is_finished());
    writer.join().unwrap();
    assert_eq!(scene.mapped(page), Some(mem::Access::Write));

    // Node 2 reads it: the copy is protected before its bytes leave.
    let (epoch, requester, request, awaiting) = (Epoch(3), node(2), RequestId(1), NodeSet::EMPTY);
    let handover = Handover::Share;
    let forward = Message::Page(PageMessage::Forward { page, epoch, requester, request, handover, awaiting });
    scene.puppet(1).say(&forward, &[]);
    let granted = grant(page, 3, request, Access::Read, Contents::Bytes);
    scene.until(|scene| scene.puppets[1].heard == [granted]);
    assert_eq!(scene.mapped(page), Some(mem::Access::Read));
    assert_eq!(region.word(page, PAGE_BYTES / 2), Ok(5));
    assert_eq!(region.word(page, 0), Ok(SEVENS), "what was fetched is still there around it");
}

#[test]
fn pages_that_come_in_one_datagram_are_mapped_in_one_turn() {
    let Some(mut scene) = Scene::with_pages(2, 8) else { return };
    scene.hint(PageRange::new(Page(0), 8));
    assert!(scene.asked().iter().all(|(.., access)| *access == Access::Read));
    let before = scene.engine.stats().pages_received;
    scene.answer(0..8, &[]);
    assert_eq!((before, scene.engine.stats().pages_prefetched), (0, 8));
    for page in (0..8).map(Page) {
        assert_eq!(scene.mapped(page), Some(mem::Access::Read), "{page:?}");
        assert_eq!(scene.engine.region.with_frame(page, |frame| *frame), Ok(BYTES), "{page:?}");
    }
}

#[test]
fn what_comes_behind_pages_in_their_datagram_finds_them_mapped() {
    let Some(mut scene) = Scene::with_pages(3, 4) else { return };
    scene.hint(PageRange::new(Page(0), 4));
    scene.answer(0..4, &[invalidate(Page(1), 2)]);
    scene.until(|scene| scene.puppets[1].heard == [invalidated(Page(1), 2)]);
    let here = [0, 1, 2, 3].map(|page| scene.mapped(Page(page)).is_some());
    assert_eq!(here, [true, false, true, true]);
}

#[test]
fn a_page_that_was_fetched_ahead_is_given_up_as_soon_as_another_node_wants_it() {
    let Some(mut scene) = Scene::with_pages(3, 2) else { return };
    scene.hint(PageRange::new(Page(0), 2));
    // One that the invalidation overtakes, and one that is here.
    scene.puppet(1).say(&invalidate(Page(1), 2), &[]);
    scene.until_messages(1);
    assert!(scene.engine.pages.has_deferred() && scene.puppet(2).heard.is_empty());
    scene.answer(0..2, &[]);
    assert_eq!(scene.engine.holds.next(), None, "nobody waits for it, so nobody is to get to it first");
    scene.puppet(1).say(&invalidate(Page(0), 2), &[]);
    scene.until(|scene| scene.puppets[1].heard == [invalidated(Page(1), 2), invalidated(Page(0), 2)]);
    assert_eq!((scene.mapped(Page(0)), scene.mapped(Page(1))), (None, None));
}

#[test]
fn hints_ask_for_no_more_at_a_time_than_the_home_can_queue() {
    let Some(mut scene) = Scene::with_pages(2, 5_000) else { return };
    for first in (0..5_000).step_by(100) {
        scene.engine.prefetch(PageRange::new(Page(first), 100)).unwrap();
    }
    scene.engine.flush();
    scene.until(|scene| scene.asked().len() >= PREFETCH_MAX);
    assert_eq!(scene.engine.stats().pages_prefetched, PREFETCH_MAX as u64);
}
