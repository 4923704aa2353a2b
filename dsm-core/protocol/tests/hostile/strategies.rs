//! Messages and steps: mostly near to what could be right, with any field wild.

use proptest::prelude::*;
use protocol::message::{
    Access, AtomicMessage, AtomicOperation, BarrierMessage, Contents, Handover, LockMessage, Message, PageMessage,
};
use protocol::{Epoch, LockId, NODES_MAX, NodeId, NodeSet, Page, RequestId};

use crate::machines::{PAGES, Step};

/// Small numbers collide with those of the honest; the largest ones overflow what is careless.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..8u64, 1 => any::<u64>(), 1 => (0..3u64).prop_map(|below| u64::MAX - below)]
}

fn page() -> impl Strategy<Value = Page> {
    prop_oneof![8 => 0..PAGES, 1 => number()].prop_map(Page)
}

fn lock() -> impl Strategy<Value = LockId> {
    prop_oneof![8 => 0..PAGES, 1 => number()].prop_map(LockId)
}

fn node() -> impl Strategy<Value = NodeId> {
    prop_oneof![6 => 0..3usize, 1 => 0..NODES_MAX].prop_map(|rank| NodeId::new(rank).unwrap())
}

fn nodes() -> impl Strategy<Value = NodeSet> {
    prop_oneof![6 => 0..8u64, 1 => any::<u64>()].prop_map(NodeSet::from_bits)
}

fn request() -> impl Strategy<Value = RequestId> {
    number().prop_map(RequestId)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    number().prop_map(Epoch)
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![Just(Access::Read), Just(Access::Write)]
}

fn handover() -> impl Strategy<Value = Handover> {
    prop_oneof![Just(Handover::Share), Just(Handover::Migrate), Just(Handover::Take)]
}

fn contents() -> impl Strategy<Value = Contents> {
    prop_oneof![Just(Contents::Zero), Just(Contents::Keep), Just(Contents::Bytes)]
}

fn page_message() -> impl Strategy<Value = PageMessage> {
    prop_oneof![
        (page(), request(), access()).prop_map(|(page, request, access)| PageMessage::Request {
            page,
            request,
            access
        }),
        (page(), epoch(), node(), request(), handover(), nodes()).prop_map(
            |(page, epoch, requester, request, handover, awaiting)| {
                PageMessage::Forward { page, epoch, requester, request, handover, awaiting }
            }
        ),
        (page(), epoch(), request(), access(), contents(), nodes()).prop_map(
            |(page, epoch, request, access, contents, awaiting)| {
                PageMessage::Grant { page, epoch, request, access, contents, awaiting }
            }
        ),
        (page(), epoch(), node()).prop_map(|(page, epoch, requester)| PageMessage::Invalidate {
            page,
            epoch,
            requester
        }),
        (page(), epoch()).prop_map(|(page, epoch)| PageMessage::Invalidated { page, epoch }),
        (page(), epoch(), access()).prop_map(|(page, epoch, access)| PageMessage::Done { page, epoch, access }),
    ]
}

fn lock_message() -> impl Strategy<Value = LockMessage> {
    prop_oneof![
        (lock(), request()).prop_map(|(lock, request)| LockMessage::Acquire { lock, request }),
        (lock(), request(), node(), request()).prop_map(|(lock, tenure, to, request)| LockMessage::Pass {
            lock,
            tenure,
            to,
            request
        }),
        (lock(), request()).prop_map(|(lock, request)| LockMessage::Token { lock, request }),
    ]
}

fn atomic_message() -> impl Strategy<Value = AtomicMessage> {
    let operation = prop_oneof![
        any::<u64>().prop_map(|value| AtomicOperation::FetchAdd { value }),
        any::<(u64, u64)>().prop_map(|(expect, new)| AtomicOperation::CompareSwap { expect, new }),
    ];
    prop_oneof![
        (request(), any::<u64>(), operation).prop_map(|(request, offset, operation)| AtomicMessage::Perform {
            request,
            offset,
            operation
        }),
        (request(), any::<u64>()).prop_map(|(request, old)| AtomicMessage::Performed { request, old }),
    ]
}

/// Any message.
pub fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        6 => page_message().prop_map(Message::Page),
        4 => lock_message().prop_map(Message::Lock),
        2 => (number(), prop_oneof![0..4u8, any::<u8>()], number()).prop_map(|(generation, round, purpose)| {
            Message::Barrier(BarrierMessage { generation, round, purpose })
        }),
        1 => atomic_message().prop_map(Message::Atomic),
        1 => node().prop_map(Message::Obituary),
    ]
}

/// A sequence of honest steps with hostile messages in between.
pub fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<u8>(), any::<u8>(), access()).prop_map(|(node, page, access)| Step::Fault { node, page, access }),
        2 => any::<(u8, u8)>().prop_map(|(node, page)| Step::Prefetch { node, page }),
        2 => any::<(u8, u8)>().prop_map(|(node, lock)| Step::Lock { node, lock }),
        2 => any::<(u8, u8)>().prop_map(|(node, lock)| Step::Unlock { node, lock }),
        1 => any::<u8>().prop_map(|node| Step::Barrier { node }),
        8 => (any::<u8>(), prop::bool::weighted(0.1)).prop_map(|(pick, again)| Step::Deliver { pick, again }),
        4 => any::<u8>().prop_map(|pick| Step::Expire { pick }),
        8 => (any::<u8>(), any_message()).prop_map(|(to, message)| Step::Wild { to, message }),
    ];
    prop::collection::vec(step, 0..120)
}
