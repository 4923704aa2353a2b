//! Pages that nodes read and write in turn.

use super::ahead::Reader;
use super::*;

const BYTES: [u8; PAGE_BYTES] = [7; PAGE_BYTES];

/// The home answers a read of the page with leave to write it.
fn scene() -> Option<Scene> {
    let mut scene = Scene::of(3)?;
    let reader = Reader::of(scene.engine.region);
    reader.begin(PAGE);
    scene.until(|scene| !scene.puppets[0].heard.is_empty());
    let request = RequestId(1);
    assert_eq!(scene.heard(1), [Message::Page(PageMessage::Request { page: PAGE, request, access: Access::Read })]);
    let grant = grant(1, Access::Write);
    scene.puppet(1).say(&grant, &BYTES);
    scene.until(|scene| scene.puppets[0].heard.len() == 2);
    let done = PageMessage::Done { page: PAGE, epoch: Epoch(1), access: Access::Write };
    assert_eq!(scene.heard(1)[1], Message::Page(done));
    assert_eq!(reader.told.recv(), Ok(u64::from_ne_bytes([7; 8])));
    assert_eq!(scene.engine.region.mapped(PAGE), Ok(Some(mem::Access::Read)));
    Some(scene)
}

fn grant(epoch: u64, access: Access) -> Message {
    let (epoch, request, contents, awaiting) = (Epoch(epoch), RequestId(1), Contents::Bytes, NodeSet::EMPTY);
    Message::Page(PageMessage::Grant { page: PAGE, epoch, request, access, contents, awaiting })
}

impl Scene {
    fn heard(&self, rank: usize) -> &[Message] {
        &self.puppets[rank - 1].heard
    }

    /// Node 2 wants to read the page. What it is told.
    fn read_by_node_2(&mut self) -> Message {
        let (epoch, requester, request, awaiting) = (Epoch(2), node(2), RequestId(1), NodeSet::EMPTY);
        let handover = Handover::Migrate;
        let forward = PageMessage::Forward { page: PAGE, epoch, requester, request, handover, awaiting };
        self.puppet(1).say(&Message::Page(forward), &[]);
        self.until(|scene| !scene.heard(2).is_empty());
        self.heard(2)[0]
    }
}

#[test]
fn a_page_that_came_with_leave_to_write_is_stored_to_without_a_word_and_handed_on() {
    let Some(mut scene) = scene() else { return };
    scene.store(0..1, 5);
    assert_eq!(scene.engine.region.mapped(PAGE), Ok(Some(mem::Access::Write)));
    let stats = scene.engine.stats();
    assert_eq!((stats.exclusive_faults, stats.upgrade_faults, stats.write_faults), (1, 0, 0));
    assert_eq!(scene.heard(1).len(), 2);

    assert_eq!(scene.read_by_node_2(), grant(2, Access::Write));
    assert_eq!(scene.engine.region.mapped(PAGE), Ok(None));
    assert_eq!(scene.engine.region.word(PAGE, 0), Ok(5));
}

#[test]
fn a_page_that_came_with_leave_to_write_and_was_only_read_stays_for_reading() {
    let Some(mut scene) = scene() else { return };
    assert_eq!(scene.read_by_node_2(), grant(2, Access::Read));
    assert_eq!(scene.engine.region.mapped(PAGE), Ok(Some(mem::Access::Read)));
    assert!(!scene.engine.pages.is_exclusive(PAGE));
}

#[test]
fn a_page_that_came_with_leave_to_write_and_was_unmapped_since_is_mapped_for_the_store() {
    let Some(mut scene) = scene() else { return };
    scene.engine.region.discard(PAGE).unwrap();
    scene.store(0..1, 5);
    assert_eq!(scene.engine.region.mapped(PAGE), Ok(Some(mem::Access::Write)));
    assert_eq!((scene.engine.stats().exclusive_faults, scene.heard(1).len()), (1, 2));
}

#[test]
fn an_atomic_operation_that_comes_with_a_page_that_migrates_is_performed_on_what_came() {
    let Some(mut scene) = Scene::at_home(2, 1, node(0)) else { return };
    // What the home has itself is not what node 1 has written since.
    scene.store(0..1, 1);
    let request = PageMessage::Request { page: PAGE, request: RequestId(1), access: Access::Write };
    scene.puppet(1).say(&Message::Page(request), &[]);
    scene.until(|scene| scene.heard(1).len() == 1);
    let done = PageMessage::Done { page: PAGE, epoch: Epoch(2), access: Access::Write };
    scene.puppet(1).say(&Message::Page(done), &[]);

    let reader = Reader::of(scene.engine.region);
    reader.begin(PAGE);
    scene.until(|scene| scene.heard(1).len() == 2);
    let Message::Page(PageMessage::Forward { epoch, request, .. }) = scene.heard(1)[1] else { panic!() };
    let (access, contents, awaiting) = (Access::Write, Contents::Bytes, NodeSet::EMPTY);
    let grant = Message::Page(PageMessage::Grant { page: PAGE, epoch, request, access, contents, awaiting });
    let (request, offset, operation) = (RequestId(1), 0, AtomicOperation::FetchAdd { value: 1 });
    let add = Message::Atomic(AtomicMessage::Perform { request, offset, operation });
    scene.puppet(1).say_together(&[(grant, &BYTES), (add, &[])]);
    scene.until(|scene| scene.heard(1).len() == 3);
    let old = u64::from_ne_bytes([7; 8]);
    assert_eq!(scene.heard(1)[2], Message::Atomic(AtomicMessage::Performed { request, old }));
    assert_eq!(scene.engine.region.word(PAGE, 0), Ok(old + 1));
    assert!([old, old + 1].contains(&reader.told.recv().unwrap()));
}
