//! Pages that are protected before a reader asks for them. Node 0 is their home and has written them; node 1 reads them.

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
    fn store(&mut self, pages: std::ops::Range<u64>, more: u64) {
        let region = self.engine.region;
        let writer = thread::spawn(move || pages.for_each(|page| region.store(first_word(Page(page)), page + more)));
        self.until(|_| writer.is_finished());
        writer.join().unwrap();
    }

    /// Node 1 asks for the page and gets it.
    fn ask(&mut self, page: u64, request: u64) {
        let heard = self.puppets[0].heard.len();
        let (page, request, access) = (Page(page), RequestId(request), Access::Read);
        self.puppet(1).say(&Message::Page(PageMessage::Request { page, request, access }), &[]);
        self.until(|scene| scene.puppets[0].heard.len() > heard);
    }

    fn protected(&self) -> Vec<u64> {
        let is_protected = |page: &u64| self.engine.region.mapped(Page(*page)) == Ok(Some(mem::Access::Read));
        (0..PAGES).filter(is_protected).collect()
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
    let request = |page| PageMessage::Request { page: Page(page), request: RequestId(page + 1), access: Access::Read };
    let requests: Vec<_> = (0..12).map(|page| (Message::Page(request(page)), &[][..])).collect();
    scene.puppet(1).say_together(&requests);
    scene.until(|scene| scene.puppets[0].heard.len() == requests.len());
    // Four alone, the fifth with all the others.
    assert_eq!(scene.engine.protection.credit(), 7);
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
