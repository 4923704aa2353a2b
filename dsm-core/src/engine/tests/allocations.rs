//! What the page path allocates: nothing, once its buffers have their size and the records of a page's neighbours are there.

use allocation_counter::AllocationInfo;

use super::ahead::Reader;
use super::*;

/// Pages that are touched before anything counts. Among them are neighbours of all others: records come in chunks of 32.
const FIRST: u64 = 256;

/// And those that count.
const PAGES: u64 = 2 * FIRST;

const BYTES: [u8; PAGE_BYTES] = [7; PAGE_BYTES];

impl Scene {
    /// Lets all go on until the puppet has heard that many messages; gives what the engine allocated.
    fn allocated_until_heard(&mut self, count: usize) -> u64 {
        let (guard, mut allocated) = (Instant::now(), 0);
        while self.puppets[0].heard.len() < count {
            assert!(guard.elapsed() < Duration::from_secs(60), "{:?}", self.engine.stats());
            allocated += allocations(&mut self.engine);
            self.puppets.iter_mut().for_each(Puppet::listen);
            std::thread::yield_now();
        }
        allocated
    }
}

/// The pages, those first that do not count.
fn order() -> impl Iterator<Item = Page> {
    let every_other = |first| (first..PAGES).step_by(2).map(Page);
    every_other(0).chain(every_other(1))
}

#[track_caller]
fn check(allocated: &[u64]) {
    // Most often it is none at all. A pause of the machine may let a buffer grow to a size that it has not had before, and then keeps.
    assert!(allocated[FIRST as usize..].iter().sum::<u64>() < 8, "{allocated:?}");
}

/// Of one turn.
fn allocations(engine: &mut Engine) -> u64 {
    let AllocationInfo { count_total, .. } = allocation_counter::measure(|| {
        engine.turn(Ready::ALL, rpc::time::now()).unwrap();
    });
    count_total
}

#[test]
fn a_page_that_is_fetched_allocates_nothing() {
    let Some(mut scene) = Scene::with_pages(2, PAGES) else { return };
    let reader = Reader::of(scene.engine.region);
    let mut allocated = Vec::new();
    for (asked, page) in order().enumerate() {
        reader.begin(page);
        let mut count = scene.allocated_until_heard(asked + 1);

        let Some(&Message::Page(PageMessage::Request { page, request, access })) = scene.puppets[0].heard.last() else {
            panic!("{:?}", scene.puppets[0].heard);
        };
        let (epoch, contents, awaiting) = (Epoch(1), Contents::Bytes, NodeSet::EMPTY);
        let grant = PageMessage::Grant { page, epoch, request, access, contents, awaiting };
        scene.puppet(1).say(&Message::Page(grant), &BYTES);
        let found = loop {
            count += allocations(&mut scene.engine);
            if let Ok(found) = reader.told.try_recv() {
                break found;
            }
        };
        assert_eq!(found, u64::from_ne_bytes([7; 8]));
        allocated.push(count);
    }
    check(&allocated);
}

#[test]
fn a_page_that_is_served_allocates_nothing() {
    let Some(mut scene) = Scene::at_home(2, PAGES, node(0)) else { return };
    let region = scene.engine.region;
    let writer = std::thread::spawn(move || (0..PAGES).for_each(|page| region.store(page * PAGE_BYTES as u64, page)));
    scene.until(|_| writer.is_finished());
    let mut allocated = Vec::new();
    for (asked, page) in order().enumerate() {
        let (request, access) = (RequestId(asked as u64 + 1), Access::Read);
        scene.puppet(1).say(&Message::Page(PageMessage::Request { page, request, access }), &[]);
        allocated.push(scene.allocated_until_heard(asked + 1));
    }
    check(&allocated);
}
