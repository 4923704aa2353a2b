//! Long parts of messages, which are not copied when they are queued.

use bytes::Bytes;
use proptest::prelude::*;

use crate::time::Time;
use crate::transport::pool::Pool;
use crate::transport::send::{Outgoing, SendHalf, SendLimits};
use crate::wire::{AckBlock, Echo, Frames, Reader, WINDOW_FRAGMENTS};

const FRAGMENT: usize = 2_000;

fn sender() -> SendHalf {
    let (window_bytes, window_fragments) = (1 << 30, WINDOW_FRAGMENTS);
    SendHalf::new(SendLimits { fragment_bytes: FRAGMENT, window_bytes, window_fragments })
}

pub fn counted(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

/// All that goes out in one datagram of any size, without what stands around it.
fn sent(send: &mut SendHalf, packet: u64) -> Vec<u8> {
    let mut out = Vec::new();
    send.fill(Time::ZERO, packet, 1 << 30, &mut out, None);
    Frames::new(Reader::new(&out)).flat_map(|frame| frame.unwrap().1.to_vec()).collect()
}

fn acknowledge_all(send: &mut SendHalf, packet: u64, pool: &mut Pool) {
    let next = send.outstanding() as u64;
    send.acked(&AckBlock::new(next, Some(Echo { packet, waited_us: 0 }), &[]), false, pool).unwrap();
}

#[test]
fn a_shared_part_is_held_until_all_of_it_is_acknowledged_and_goes_out_again_when_it_is_lost() {
    let (mut send, mut pool) = (sender(), Pool::default());
    let owner = Bytes::from(counted(10 * FRAGMENT));
    let parts: [&[u8]; 3] = [b"head", &owner, b"tail"];
    send.push(1, Outgoing { owner: Some(&owner), ..Outgoing::of(&parts) }, &mut pool);
    assert!(!owner.is_unique());
    assert_eq!(send.queued_bytes() / parts.concat().len(), 1, "it is charged for");
    assert_eq!(sent(&mut send, 0), parts.concat());
    send.expired(0);
    assert_eq!(sent(&mut send, 1), parts.concat());
    acknowledge_all(&mut send, 1, &mut pool);
    assert!(owner.is_unique());
    assert_eq!(send.queued_bytes(), 0);
}

#[test]
fn what_belongs_to_nobody_or_is_short_is_copied() {
    let (mut send, mut pool) = (sender(), Pool::default());
    let (owner, other) = (Bytes::from(counted(100)), counted(5 * FRAGMENT));
    let parts: [&[u8]; 2] = [&owner, &other];
    send.push(1, Outgoing { owner: Some(&owner), ..Outgoing::of(&parts) }, &mut pool);
    assert!(owner.is_unique());
    assert_eq!(sent(&mut send, 0), parts.concat());
}

proptest! {
    #[test]
    fn whatever_is_shared_the_same_bytes_go_out(head in 0..2 * FRAGMENT, long in 1..9 * FRAGMENT, tail in 0..2 * FRAGMENT) {
        let (mut send, mut pool) = (sender(), Pool::default());
        let (head, owner, tail) = (counted(head), Bytes::from(counted(long)), counted(tail));
        let parts: [&[u8]; 3] = [&head, &owner, &tail];
        send.push(1, Outgoing { owner: Some(&owner), ..Outgoing::of(&parts) }, &mut pool);
        prop_assert_eq!(sent(&mut send, 0), parts.concat());
        acknowledge_all(&mut send, 0, &mut pool);
        prop_assert!(owner.is_unique());
    }
}
