//! What hostile messages once did.

use protocol::barrier::Barrier;
use protocol::locks::{LOCKS_MAX, Locks, TooManyLocks, Waiter};
use protocol::message::{Access, Contents, Handover, LockMessage, PageMessage};
use protocol::sequential::{Effect, Pages};
use protocol::{Epoch, LockId, NodeId, NodeSet, Page, Placement, RequestId};

const PAGE: Page = Page(0);

fn node(rank: usize) -> NodeId {
    NodeId::new(rank).unwrap()
}

/// The pages of node `me` of three; the only page is at home at node 1.
fn pages(me: usize) -> Pages {
    let mut pages = Pages::new(node(me), 3);
    pages.extend(1, Placement::Node(node(1)));
    pages
}

/// Node 0 with a copy that it may write, after its hold.
fn holder() -> Pages {
    let (mut pages, mut out) = (pages(0), Vec::new());
    pages.fault(PAGE, Access::Write, &mut out).unwrap();
    let grant = PageMessage::Grant {
        page: PAGE,
        epoch: Epoch(1),
        request: RequestId(1),
        access: Access::Write,
        contents: Contents::Zero,
        awaiting: NodeSet::EMPTY,
    };
    pages.receive(node(1), grant, &mut out);
    pages.hold_expired(PAGE, Epoch(1), &mut out);
    assert_eq!(pages.access(PAGE), Some(Access::Write));
    pages
}

fn received(pages: &mut Pages, from: usize, message: PageMessage) -> Vec<Effect> {
    let mut out = Vec::new();
    pages.receive(node(from), message, &mut out);
    out
}

fn forward(requester: usize, request: u64) -> PageMessage {
    PageMessage::Forward {
        page: PAGE,
        epoch: Epoch(2),
        requester: node(requester),
        request: RequestId(request),
        handover: Handover::Take,
        awaiting: NodeSet::EMPTY,
    }
}

#[test]
fn only_the_home_can_take_a_page_away() {
    let mut pages = holder();
    let invalidate = PageMessage::Invalidate { page: PAGE, epoch: Epoch(2), requester: node(2) };
    assert_eq!(received(&mut pages, 2, forward(2, 1)), []);
    assert_eq!(received(&mut pages, 2, invalidate), []);
    assert_eq!(pages.access(PAGE), Some(Access::Write));
    assert_eq!(received(&mut pages, 1, invalidate).len(), 2);
}

#[test]
fn a_page_is_never_handed_to_the_node_that_has_it() {
    let mut pages = holder();
    assert_eq!(received(&mut pages, 1, forward(0, 2)), []);
    assert_eq!(pages.access(PAGE), Some(Access::Write));
}

#[test]
fn a_node_that_asks_again_and_again_for_a_page_waits_once() {
    let mut home = pages(1);
    let request = |number| PageMessage::Request { page: PAGE, request: RequestId(number), access: Access::Write };
    for number in 1..10_000 {
        received(&mut home, 2, request(number));
    }
    let mut served = 0;
    for epoch in 1..10_000 {
        let out = received(&mut home, 2, PageMessage::Done { page: PAGE, epoch: Epoch(epoch), access: Access::Write });
        served += out.len();
    }
    assert_eq!(served, 1, "one ran, and one waited");
}

#[test]
fn messages_about_locks_that_nobody_asked_for_leave_nothing_behind() {
    let mut locks = Locks::new(node(0), 3);
    let untouched = locks.clone();
    let (request, mut out) = (RequestId(1), Vec::new());
    for number in 0..10_000 {
        let lock = LockId(number);
        for from in [1, 2] {
            let pass = LockMessage::Pass { lock, tenure: RequestId(0), to: node(from), request };
            locks.receive(node(from), &pass, &mut out);
            locks.receive(node(from), &LockMessage::Token { lock, request }, &mut out);
        }
        locks.release(lock, &mut out);
    }
    assert_eq!((locks, out), (untouched, Vec::new()));
}

#[test]
fn a_node_cannot_make_the_home_keep_more_locks_than_it_may_use() {
    let mut home = Locks::new(node(0), 2);
    let mut out = Vec::new();
    let mut acquire = |home: &mut Locks, from: usize, number: usize| {
        let lock = LockId(2 * number as u64);
        out.clear();
        home.receive(node(from), &LockMessage::Acquire { lock, request: RequestId(1 + number as u64) }, &mut out);
        out.len()
    };
    assert!((0..LOCKS_MAX).all(|number| acquire(&mut home, 1, number) == 1));
    let full = home.clone();
    assert!((LOCKS_MAX..2 * LOCKS_MAX).all(|number| acquire(&mut home, 1, number) == 0));
    assert!(home == full);
}

#[test]
fn a_program_that_uses_too_many_locks_is_told() {
    let mut locks = Locks::new(node(0), 1);
    let mut out = Vec::new();
    for number in 0..LOCKS_MAX as u64 {
        assert_eq!(locks.admit(LockId(number)), Ok(()));
        locks.acquire(LockId(number), Waiter(number), &mut out);
    }
    assert_eq!(locks.admit(LockId(7)), Ok(()), "one that it uses already");
    assert_eq!(locks.admit(LockId(u64::MAX)), Err(TooManyLocks));
}

#[test]
fn each_round_of_the_barrier_is_one_nodes_to_tell() {
    for nodes in 1..=17 {
        for rank in 0..nodes {
            let barrier = Barrier::new(node(rank), nodes);
            for round in 0..=u8::MAX {
                let teller = (0..nodes).find(|&other| {
                    let places = 1usize.checked_shl(round.into()).filter(|&places| places < nodes);
                    places.is_some_and(|places| (other + places) % nodes == rank)
                });
                assert_eq!(barrier.predecessor(round), teller.map(node));
            }
        }
    }
}

#[test]
fn one_nodes_word_that_its_copy_is_gone_does_not_drown_anothers() {
    let (mut pages, mut out) = (pages(0), Vec::new());
    pages.fault(PAGE, Access::Write, &mut out).unwrap();
    let grant = PageMessage::Grant {
        page: PAGE,
        epoch: Epoch(3),
        request: RequestId(1),
        access: Access::Write,
        contents: Contents::Bytes,
        awaiting: NodeSet::of(node(1)),
    };
    received(&mut pages, 2, PageMessage::Invalidated { page: PAGE, epoch: Epoch(u64::MAX) });
    received(&mut pages, 1, PageMessage::Invalidated { page: PAGE, epoch: Epoch(3) });
    received(&mut pages, 2, PageMessage::Invalidated { page: PAGE, epoch: Epoch(4) });
    received(&mut pages, 1, grant);
    assert_eq!(pages.access(PAGE), Some(Access::Write));
}
