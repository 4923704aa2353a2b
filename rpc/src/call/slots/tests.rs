//! Clients that come and go, and what a server remembers of their calls.

use super::super::message::{How, MethodId, ServiceId};
use super::*;

const CLIENT: BootEpoch = BootEpoch(1);

fn peer(index: u32) -> Peer {
    Peer { index, generation: 0 }
}

fn call(slot: u16, sequence: u64, session: u32, age: u8) -> Call {
    let (id, service, method) =
        (CallId::new(slot, sequence), ServiceId(0), MethodId { number: 0, version: 1, schema: 0 });
    Call { id, how: How::AtMostOnce, session, age, time_left: None, service, method }
}

fn slots(client_bytes: usize, bytes: usize) -> Slots {
    Slots::new(ReplyLimits { client_bytes, bytes, ..ReplyLimits::default() })
}

fn reply(call: CallId, body: &[u8]) -> Reply {
    Reply { call, status: Status::Done, body: body.to_vec().into() }
}

/// What the server sends when this call comes again.
fn answer(slots: &mut Slots, call: CallId) -> (Status, Vec<u8>) {
    let Reply { status, body, .. } = slots.reply(CLIENT, call);
    (status, body.parts().concat())
}

/// A call that came, ran, and was answered.
fn run(slots: &mut Slots, client: BootEpoch, call: &Call, body: &[u8]) {
    assert_eq!(slots.arrive(client, peer(0), call), Arrival::New);
    slots.begin(client, call.id);
    slots.finish(client, &mut reply(call.id, body));
}

#[test]
fn a_call_that_comes_again_is_answered_from_its_slot() {
    let mut slots = slots(1 << 20, 1 << 20);
    let first = call(0, 1, 1, 0);
    assert_eq!(slots.arrive(CLIENT, peer(0), &first), Arrival::New);
    slots.begin(CLIENT, first.id);
    slots.lost(Time::ZERO, CLIENT, peer(0));
    let again = call(0, 1, 2, 1);
    assert_eq!(slots.arrive(CLIENT, peer(1), &again), Arrival::Working);
    assert_eq!(slots.session(CLIENT), Some(peer(1)));
    slots.finish(CLIENT, &mut reply(first.id, b"once"));
    assert_eq!(slots.arrive(CLIENT, peer(1), &again), Arrival::Over);
    assert_eq!(answer(&mut slots, first.id), (Status::Done, b"once".to_vec()));
}

#[test]
fn a_long_reply_is_kept_in_its_buffer_unless_that_is_mostly_empty() {
    let mut slots = slots(1 << 20, 1 << 20);
    for (number, room, moved) in [(1, BUFFER_TAKEN_BYTES, true), (2, 4 * BUFFER_TAKEN_BYTES, false)] {
        let id = CallId::new(0, number);
        slots.arrive(CLIENT, peer(0), &call(0, number, 1, 0));
        slots.begin(CLIENT, id);
        let before = slots.bytes();
        let mut body = Vec::with_capacity(room);
        body.resize(BUFFER_TAKEN_BYTES, 7);
        let mut reply = Reply { call: id, status: Status::Done, body: body.into() };
        slots.finish(CLIENT, &mut reply);
        assert_eq!(reply.body.is_empty(), moved);
        assert_eq!(slots.bytes() - before, BUFFER_TAKEN_BYTES);
        assert_eq!(answer(&mut slots, id), (Status::Done, [7; BUFFER_TAKEN_BYTES].to_vec()));
    }
}

/// A long result stands where its handler had it, in the slot, too; and it counts.
#[test]
fn a_reply_that_was_not_copied_is_kept_and_let_go_like_any_other() {
    let mut slots = slots(1 << 20, 1 << 20);
    let result = crate::Bytes::from(vec![7; BUFFER_TAKEN_BYTES / 2]);
    let mut body = Encoded::default();
    crate::codec::encode_lending(crate::codec::ByteOrder::Network, &result, &mut body).unwrap();
    let first = call(0, 1, 1, 0);
    slots.arrive(CLIENT, peer(0), &first);
    slots.begin(CLIENT, first.id);
    let before = slots.bytes();
    slots.finish(CLIENT, &mut Reply { call: first.id, status: Status::Done, body: body.clone() });
    assert_eq!(slots.bytes() - before, body.len());
    assert_eq!(answer(&mut slots, first.id), (Status::Done, body.parts().concat()));
    assert!(std::ptr::eq(slots.reply(CLIENT, first.id).body.parts()[1], &*result));
    drop(body);
    run(&mut slots, CLIENT, &call(0, 2, 1, 0), b"next");
    assert_eq!(answer(&mut slots, CallId::new(0, 2)), (Status::Done, b"next".to_vec()));
}

#[test]
fn a_later_call_in_the_slot_releases_the_reply_and_makes_the_earlier_one_stale() {
    let mut slots = slots(1 << 20, 1 << 20);
    run(&mut slots, CLIENT, &call(0, 1, 1, 0), &[7; 1000]);
    let before = slots.bytes();
    assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 2, 1, 0)), Arrival::New);
    slots.begin(CLIENT, CallId::new(0, 2));
    assert_eq!(slots.bytes(), before - 1000);
    assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 1, 1, 0)), Arrival::Stale);
}

#[test]
fn what_the_client_has_received_is_let_go_and_never_runs_again() {
    let mut slots = slots(1 << 20, 1 << 20);
    run(&mut slots, CLIENT, &call(0, 1, 1, 0), &[7; 1000]);
    let before = slots.bytes();
    assert!(slots.awaits_confirmation(CLIENT));
    slots.confirm(CLIENT);
    assert_eq!(slots.bytes(), before - 1000);
    assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 1, 1, 0)), Arrival::Over);
    assert_eq!(answer(&mut slots, CallId::new(0, 1)), (Status::NotKept, b"".to_vec()));
}

#[test]
fn a_reply_that_was_sent_on_a_lost_session_is_kept_although_the_next_session_is_quiet() {
    let mut slots = slots(1 << 20, 1 << 20);
    run(&mut slots, CLIENT, &call(0, 1, 1, 0), b"lost");
    slots.lost(Time::ZERO, CLIENT, peer(0));
    assert_eq!(slots.arrive(CLIENT, peer(1), &call(1, 1, 2, 0)), Arrival::New);
    slots.confirm(CLIENT);
    assert_eq!(slots.arrive(CLIENT, peer(1), &call(0, 1, 2, 1)), Arrival::Over);
    assert_eq!(answer(&mut slots, CallId::new(0, 1)), (Status::Done, b"lost".to_vec()));
}

#[test]
fn a_call_that_is_older_than_the_record_may_have_run() {
    let mut slots = slots(1 << 20, 1 << 20);
    run(&mut slots, CLIENT, &call(0, 1, 1, 0), b"");
    slots.lost(Time::ZERO, CLIENT, peer(0));
    slots.expire(Time::ZERO + ReplyLimits::default().remember);
    assert_eq!(slots.bytes(), 0);
    // Also on the session after the one that began the new record.
    assert_eq!(slots.arrive(CLIENT, peer(1), &call(1, 1, 2, 0)), Arrival::New);
    slots.lost(Time::ZERO, CLIENT, peer(1));
    for (session, age) in [(2, 1), (3, 2)] {
        assert_eq!(slots.arrive(CLIENT, peer(session), &call(0, 1, session, age)), Arrival::Forgotten);
    }
    assert_eq!(slots.arrive(CLIENT, peer(3), &call(0, 2, 3, 1)), Arrival::New);
}

#[test]
fn a_client_that_comes_back_in_time_is_remembered() {
    let mut slots = slots(1 << 20, 1 << 20);
    run(&mut slots, CLIENT, &call(0, 1, 1, 0), b"kept");
    slots.lost(Time::ZERO, CLIENT, peer(0));
    assert_eq!(slots.arrive(CLIENT, peer(1), &call(0, 1, 2, 1)), Arrival::Over);
    slots.expire(Time::MAX);
    assert_eq!(slots.arrive(CLIENT, peer(1), &call(0, 1, 2, 1)), Arrival::Over);
}

#[test]
fn a_call_that_was_taken_out_before_it_ran_may_begin_another_time() {
    let mut slots = slots(1 << 20, 1 << 20);
    assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 1, 1, 0)), Arrival::New);
    slots.begin(CLIENT, CallId::new(0, 1));
    slots.unbegin(CLIENT, CallId::new(0, 1));
    assert_eq!(slots.arrive(CLIENT, peer(1), &call(0, 1, 2, 1)), Arrival::New);
}

#[test]
fn a_call_that_was_given_up_before_it_came_does_not_run() {
    let mut slots = slots(1 << 20, 1 << 20);
    run(&mut slots, CLIENT, &call(0, 1, 1, 0), b"one");
    slots.give_up(CLIENT, CallId::new(0, 2));
    assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 2, 1, 0)), Arrival::Over);
    assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 3, 1, 0)), Arrival::New);
    // What nobody has a slot for is not remembered.
    slots.give_up(CLIENT, CallId::new(9, 1));
    assert_eq!(slots.arrive(CLIENT, peer(0), &call(9, 1, 1, 0)), Arrival::New);
}

#[test]
fn a_reply_without_room_is_not_kept_and_its_call_does_not_run_again() {
    let mut slots = slots(1 << 10, 1 << 20);
    run(&mut slots, CLIENT, &call(0, 1, 1, 0), &[0; 1 << 10]);
    assert_eq!(slots.arrive(CLIENT, peer(0), &call(0, 1, 1, 0)), Arrival::Over);
    assert_eq!(slots.reply(CLIENT, CallId::new(0, 1)).status, Status::NotKept);
    assert!(slots.bytes() < 1 << 10);
}

#[test]
fn memory_is_bounded_whatever_slots_and_clients_are_named() {
    let mut slots = slots(1 << 12, 1 << 14);
    for number in 0..1_000u32 {
        let client = BootEpoch(u64::from(number % 50));
        let call = call((number * 37 % 3_000) as u16, u64::from(number) + 1, 1, 0);
        if slots.arrive(client, peer(number % 50), &call) == Arrival::New {
            slots.begin(client, call.id);
            slots.finish(client, &mut reply(call.id, &[0; 100]));
        }
        assert!(slots.bytes() <= 1 << 14);
    }
    assert_eq!(slots.arrive(CLIENT, peer(1), &call(u16::MAX, 1, 1, 0)), Arrival::Full);
    // Clients that are gone make room for others.
    (0..50).for_each(|number| slots.lost(Time::ZERO, BootEpoch(u64::from(number)), peer(number)));
    assert_eq!(slots.arrive(BootEpoch(99), peer(99), &call(0, 1, 1, 0)), Arrival::New);
}

#[test]
fn without_suppression_every_request_is_new() {
    let mut slots = Slots::new(ReplyLimits { suppress_duplicates: false, ..ReplyLimits::default() });
    for _ in 0..2 {
        run(&mut slots, CLIENT, &call(0, 1, 1, 0), b"twice");
    }
    assert_eq!(slots.bytes(), 0);
}
