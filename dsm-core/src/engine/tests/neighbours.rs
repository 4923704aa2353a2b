//! Pages that are protected before a reader asks for them, or taken from the program before a writer does. Node 0 is their home and has
//! written them; node 1 reads or writes them.

use std::thread;

use super::*;

const PAGES: u64 = 64;

fn first_word(page: Page) -> u64 {
    page.0 * PAGE_BYTES as u64
}

impl Scene {
    /// All pages hold their own number.
    fn written() -> Option<Scene> {
        let mut scene = Scene::at_home(2, PAGES, node(0))?;
        scene.store(0..PAGES, 0);
        Some(scene)
    }

    /// A thread of the program stores to the pages.
    pub(super) fn store(&mut self, pages: std::ops::Range<u64>, more: u64) {
        let region = self.engine.region;
        let writer = thread::spawn(move || pages.for_each(|page| region.store(first_word(Page(page)), page + more)));
        self.until(|_| writer.is_finished());
        writer.join().unwrap();
    }

    /// Node 1 asks for the page to read it, and gets it.
    fn ask(&mut self, page: u64, request: u64) {
        self.ask_to(Access::Read, page, request);
    }

    fn ask_to(&mut self, access: Access, page: u64, request: u64) {
        let heard = self.puppets[0].heard.len();
        let (page, request) = (Page(page), RequestId(request));
        self.puppet(1).say(&Message::Page(PageMessage::Request { page, request, access }), &[]);
        self.until(|scene| scene.puppets[0].heard.len() > heard);
    }

    /// Node 1 asks for pages 0 to 11 in one datagram, and gets them.
    fn ask_for_twelve_to(&mut self, access: Access) {
        let request = |page| PageMessage::Request { page: Page(page), request: RequestId(page + 1), access };
        let requests: Vec<_> = (0..12).map(|page| (Message::Page(request(page)), &[][..])).collect();
        self.puppet(1).say_together(&requests);
        self.until(|scene| scene.puppets[0].heard.len() == requests.len());
    }

    /// A thread of the program stores to a page that node 1 reads: node 0 waits for that copy to go.
    fn begin_to_store(&mut self, page: u64) -> JoinHandle<()> {
        let region = self.engine.region;
        let writer = thread::spawn(move || region.store(first_word(Page(page)), 5u64));
        self.until(|scene| scene.invalidated(page).is_some());
        writer
    }

    /// Node 1's copy is gone: the store goes through.
    fn let_go(&mut self, page: u64, writer: JoinHandle<()>) {
        let epoch = self.invalidated(page).unwrap();
        self.puppet(1).say(&Message::Page(PageMessage::Invalidated { page: Page(page), epoch }), &[]);
        self.until(|_| writer.is_finished());
        writer.join().unwrap();
        assert_eq!(self.engine.region.word(Page(page), 0), Ok(5));
    }

    /// Node 1 was told in this transaction that its copy is to go.
    fn invalidated(&self, page: u64) -> Option<Epoch> {
        self.puppets[0].heard.iter().find_map(|message| match message {
            Message::Page(PageMessage::Invalidate { page: it, epoch, .. }) if it.0 == page => Some(*epoch),
            _ => None,
        })
    }

    /// Node 1 asks for pages 0 to 3 to write them, one after the other.
    fn give_up_four(&mut self) {
        (0..4).for_each(|page| self.ask_to(Access::Write, page, page + 1));
    }

    fn mapped_as(&self, access: Option<mem::Access>) -> Vec<u64> {
        (0..PAGES).filter(|page| self.engine.region.mapped(Page(*page)) == Ok(access)).collect()
    }

    fn protected(&self) -> Vec<u64> {
        self.mapped_as(Some(mem::Access::Read))
    }

    fn unmapped(&self) -> Vec<u64> {
        self.mapped_as(None)
    }
}

#[test]
fn pages_around_those_that_are_read_are_protected_and_still_written_without_a_message() {
    let Some(mut scene) = Scene::written() else { return };
    for (request, page) in [3, 30, 17].into_iter().enumerate() {
        scene.ask(page, request as u64 + 1);
    }
    assert_eq!(scene.protected(), [3, 17, 30]);
    scene.ask(9, 4);
    assert_eq!(scene.protected(), (0..32).collect::<Vec<_>>());

    let sent = scene.engine.stats().messages_sent;
    scene.store(20..22, 1000);
    assert_eq!(scene.engine.stats().messages_sent, sent);
    assert!(scene.protected().iter().eq((0..20).chain(22..32).collect::<Vec<_>>().iter()));
}

#[test]
fn of_pages_that_are_asked_for_together_only_the_first_are_protected_one_by_one() {
    let Some(mut scene) = Scene::written() else { return };
    scene.ask_for_twelve_to(Access::Read);
    // Four alone, the fifth with all the others.
    assert_eq!(scene.engine.readers.credit(), 7);
    assert_eq!(scene.protected(), (0..32).collect::<Vec<_>>());
}

#[test]
fn who_reads_a_page_that_was_protected_and_written_again_gets_what_was_written_last() {
    let Some(mut scene) = Scene::written() else { return };
    for (request, page) in [0, 1, 2, 3].into_iter().enumerate() {
        scene.ask(page, request as u64 + 1);
    }
    scene.store(8..9, 1000);
    scene.ask(8, 5);
    assert_eq!(scene.engine.region.mapped(Page(8)), Ok(Some(mem::Access::Read)));
    assert_eq!(scene.engine.region.word(Page(8), 0), Ok(1008));
    let grants = scene.puppets[0].heard.iter();
    let bytes = grants.filter(|m| matches!(m, Message::Page(PageMessage::Grant { contents: Contents::Bytes, .. })));
    assert_eq!(bytes.count(), 5);
}

#[test]
fn pages_around_those_that_are_written_elsewhere_are_unmapped_and_still_used_without_a_message() {
    let Some(mut scene) = Scene::written() else { return };
    for (request, page) in [3, 30, 17].into_iter().enumerate() {
        scene.ask_to(Access::Write, page, request as u64 + 1);
    }
    assert_eq!(scene.unmapped(), [3, 17, 30]);
    scene.ask_to(Access::Write, 9, 4);
    assert_eq!(scene.unmapped(), (0..32).collect::<Vec<_>>());

    // Its bytes are where they were.
    let sent = scene.engine.stats().messages_sent;
    let region = scene.engine.region;
    let reader = thread::spawn(move || region.load::<u64>(first_word(Page(20))));
    scene.until(|_| reader.is_finished());
    assert_eq!(reader.join().unwrap(), 20);
    scene.store(21..22, 1000);
    assert_eq!(region.word(Page(21), 0), Ok(1021));
    assert_eq!(scene.engine.stats().messages_sent, sent);
    assert!(scene.unmapped().iter().eq((0..20).chain(22..32).collect::<Vec<_>>().iter()));
}

#[test]
fn of_pages_that_are_wanted_together_only_the_first_are_unmapped_one_by_one() {
    let Some(mut scene) = Scene::written() else { return };
    scene.ask_for_twelve_to(Access::Write);
    // Four alone, the fifth with all the others.
    assert_eq!(scene.engine.writers.credit(), 7);
    assert_eq!(scene.unmapped(), (0..32).collect::<Vec<_>>());
    assert_eq!(scene.engine.stats().invalidations, 12);
}

#[test]
fn who_writes_a_page_that_was_unmapped_and_written_again_gets_what_was_written_last() {
    let Some(mut scene) = Scene::written() else { return };
    scene.give_up_four();
    scene.store(8..9, 1000);
    scene.ask_to(Access::Write, 8, 5);
    assert_eq!(scene.engine.region.mapped(Page(8)), Ok(None));
    assert_eq!(scene.engine.region.word(Page(8), 0), Ok(1008));
    let with_bytes = |message: &&Message| matches!(message, Message::Page(message) if message.carries_bytes());
    assert_eq!(scene.puppets[0].heard.iter().filter(with_bytes).count(), 5);
}

#[test]
fn a_program_that_comes_back_to_what_was_unmapped_ends_that_for_a_while() {
    let Some(mut scene) = Scene::written() else { return };
    scene.give_up_four();
    assert_eq!((scene.engine.writers.credit(), scene.unmapped().len()), (0, 32));
    scene.store(10..11, 1000);
    assert!(scene.engine.writers.credit() < 0);
    // That it would have had to ask for the page all the same, is no loss.
    let before = scene.engine.writers.credit();
    scene.ask(40, 5);
    scene.engine.region.discard(Page(40)).unwrap();
    let writer = scene.begin_to_store(40);
    scene.let_go(40, writer);
    assert_eq!(scene.engine.writers.credit(), before);
}

#[test]
fn a_page_that_something_is_under_way_with_stays_mapped() {
    let Some(mut scene) = Scene::written() else { return };
    scene.ask(5, 9);
    let writer = scene.begin_to_store(5);
    scene.give_up_four();
    assert_eq!(scene.engine.region.mapped(Page(5)), Ok(Some(mem::Access::Read)));
    assert_eq!(scene.unmapped(), (0..5).chain(6..32).collect::<Vec<_>>());
    scene.let_go(5, writer);
}

#[test]
fn the_block_of_a_page_ends_where_its_allocation_does() {
    let Some(mut scene) = Scene::at_home(2, 10, node(0)) else { return };
    scene.store(0..10, 0);
    scene.give_up_four();
    assert!((0..10).all(|page| scene.engine.region.mapped(Page(page)) == Ok(None)));
}

#[test]
fn a_store_to_a_page_that_is_here_counts_as_an_upgrade_mapped_or_not() {
    let Some(mut scene) = Scene::written() else { return };
    let faults = |scene: &Scene| (scene.engine.stats().write_faults, scene.engine.stats().upgrade_faults);
    let (write, upgrade) = faults(&scene);
    scene.give_up_four();
    scene.store(10..12, 1000);
    assert_eq!(faults(&scene), (write, upgrade + 2));
}
