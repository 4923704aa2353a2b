//! The two halves by themselves: no clock, no network.

use crate::time::Time;
use crate::transport::Countdown;
use crate::transport::pool::Pool;
use crate::transport::random::Random;
use crate::transport::receive::{Accepted, ReceiveHalf};
use crate::transport::send::{Filled, Outgoing, Progress, SendHalf, SendLimits};
use crate::wire::{AckBlock, Echo, FRAME_HEADER_BYTES, Fragment, Frames, Reader, WINDOW_FRAGMENTS, WireError};

const LIMITS: SendLimits = SendLimits { fragment_bytes: 10, window_bytes: 1_000, window_fragments: 4 };

fn sender(messages: &[usize]) -> (SendHalf, Pool) {
    let (mut send, mut pool) = (SendHalf::new(LIMITS), Pool::default());
    messages.iter().for_each(|length| send.push(1, Outgoing::of(&[&vec![7; *length]]), &mut pool));
    (send, pool)
}

#[test]
fn a_countdown_is_true_each_time_that_its_message_leaves() {
    const US: u64 = 1_000;
    let (mut send, mut pool) = sender(&[]);
    let countdown = Some(Countdown { place: 4, until: Time(900 * US) });
    send.push(1, Outgoing { countdown, ..Outgoing::of(&[&[9; 4], &[0; 4], &[9; 7]]) }, &mut pool);
    let leave = |send: &mut SendHalf, at: u64, packet| {
        let mut out = Vec::new();
        send.fill(Time(at), packet, 1_000, &mut out, None);
        out[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + 10].to_vec()
    };
    assert_eq!(leave(&mut send, 300 * US, 0), [9, 9, 9, 9, 0, 0, 2, 88, 9, 9]);
    send.expired(0);
    assert_eq!(leave(&mut send, 899 * US, 1), [9, 9, 9, 9, 0, 0, 0, 1, 9, 9]);
    send.expired(1);
    assert_eq!(leave(&mut send, 5_000 * US, 2), [9, 9, 9, 9, 0, 0, 0, 0, 9, 9]);
}

/// The sequence numbers in the next datagram.
fn fill(send: &mut SendHalf, packet: u64, room: usize) -> Vec<u64> {
    let mut out = Vec::new();
    let can = send.can_fill();
    let Filled { fresh, again } = send.fill(Time::ZERO, packet, room, &mut out, None);
    let sequences: Vec<u64> = Frames::new(Reader::new(&out)).map(|frame| frame.unwrap().0.sequence).collect();
    assert_eq!(sequences.len(), fresh + again);
    assert_eq!(can, !sequences.is_empty() || room == 0);
    sequences
}

fn ack(next: u64, bits: u64, packet: u64) -> AckBlock {
    AckBlock::new(next, Some(Echo { packet, waited_us: 0 }), &[bits])
}

fn part(sequence: u64, index: u16, count: u16) -> Fragment {
    Fragment { sequence, index, count, channel: 1 }
}

#[test]
fn the_window_and_the_room_bound_what_is_sent() {
    let (mut send, mut pool) = sender(&[35, 0, 5]);
    assert_eq!(send.outstanding(), 6);
    assert_eq!(fill(&mut send, 0, 3 * (FRAME_HEADER_BYTES + 10)), [0, 1, 2]);
    assert_eq!(fill(&mut send, 1, 1_000), [3]);
    assert_eq!(fill(&mut send, 2, 1_000), [0; 0]);
    assert_eq!(send.acked(&ack(2, 0, 0), false, &mut pool), Ok(Progress { acked: 2, lost: 0 }));
    assert_eq!(fill(&mut send, 2, 1_000), [4, 5]);
    assert_eq!(send.acked(&ack(6, 0, 2), false, &mut pool), Ok(Progress { acked: 4, lost: 0 }));
    assert_eq!((send.outstanding(), send.queued_bytes(), send.is_flying()), (0, 0, false));
}

#[test]
fn a_fragment_is_lost_when_three_later_datagrams_have_passed_it() {
    let (mut send, mut pool) = sender(&[1, 1, 1, 1]);
    (0..4).for_each(|packet| drop(fill(&mut send, packet, FRAME_HEADER_BYTES + 1)));
    assert_eq!(send.acked(&ack(0, 0b0110, 2), false, &mut pool), Ok(Progress { acked: 2, lost: 0 }));
    assert_eq!(send.acked(&ack(0, 0b1110, 3), false, &mut pool), Ok(Progress { acked: 1, lost: 1 }));
    assert_eq!(fill(&mut send, 4, 1_000), [0]);
    assert_eq!(send.acked(&ack(0, 0b1110, 6), true, &mut pool), Ok(Progress { acked: 0, lost: 0 }));
    assert_eq!(send.acked(&ack(0, 0b1110, 7), false, &mut pool), Ok(Progress { acked: 0, lost: 1 }));
    assert_eq!(send.acked(&ack(4, 0, 7), false, &mut pool), Ok(Progress { acked: 1, lost: 0 }));
    assert_eq!(fill(&mut send, 8, 1_000), [0; 0]);
}

#[test]
fn old_and_repeated_acknowledgements_change_nothing() {
    let (mut send, mut pool) = sender(&[1, 1, 1]);
    assert_eq!(fill(&mut send, 0, 1_000), [0, 1, 2]);
    send.acked(&ack(2, 0, 0), false, &mut pool).unwrap();
    let before = send.clone();
    for stale in [ack(0, 0, 0), ack(1, 1, 0), ack(2, 0, 0), ack(0, 3, 0)] {
        assert_eq!(send.acked(&stale, false, &mut pool), Ok(Progress::default()));
    }
    assert_eq!(send, before);
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_refused() {
    let (mut send, mut pool) = sender(&[1, 1]);
    assert_eq!(fill(&mut send, 0, FRAME_HEADER_BYTES + 1), [0]);
    let before = send.clone();
    assert_eq!(send.acked(&ack(2, 0, 0), false, &mut pool), Err(WireError::Value));
    assert_eq!(send.acked(&ack(u64::MAX, u64::MAX, 0), false, &mut pool), Err(WireError::Value));
    assert_eq!(send, before);
    // A bit beyond what was sent is ignored.
    assert_eq!(send.acked(&ack(0, u64::MAX, 0), false, &mut pool), Ok(Progress { acked: 1, lost: 0 }));
    assert_eq!(send.outstanding(), 1);
}

#[test]
fn what_will_be_outstanding_is_known_before_an_acknowledgement_is_taken() {
    let mut random = Random::new(7);
    for _ in 0..2_000 {
        let (mut send, mut pool) = sender(&[1; 6]);
        (0..random.below(4)).for_each(|packet| drop(fill(&mut send, packet, FRAME_HEADER_BYTES + 1)));
        for _ in 0..3 {
            let block = ack(random.below(3), random.below(16), random.below(4));
            if !send.is_possible(&block) {
                assert_eq!(send.acked(&block, false, &mut pool), Err(WireError::Value));
                continue;
            }
            let expected = send.outstanding_after(&block);
            send.acked(&block, false, &mut pool).unwrap();
            assert_eq!((send.outstanding(), send.outstanding_after(&block)), (expected, expected), "{block:?}");
        }
    }
}

#[test]
fn a_timeout_sends_again_what_is_old_enough_and_only_that() {
    let (mut send, mut pool) = sender(&[1, 1, 1]);
    (0..3).for_each(|packet| drop(fill(&mut send, packet, FRAME_HEADER_BYTES + 1)));
    assert_eq!(send.expired(1), 2);
    assert_eq!(send.acked(&ack(1, 0, 2), false, &mut pool).unwrap().acked, 1);
    assert_eq!(fill(&mut send, 3, 1_000), [1]);
}

#[test]
fn a_duplicate_is_known_in_and_out_of_order() {
    let mut receive = ReceiveHalf::new(10, 100);
    assert_eq!(receive.accept(part(1, 0, 1), b"b", 0), Accepted::Single);
    assert!(receive.has_gap());
    assert_eq!(receive.accept(part(1, 0, 1), b"b", 0), Accepted::Duplicate);
    assert_eq!(receive.accept(part(0, 0, 1), b"a", 0), Accepted::Single);
    assert_eq!(receive.accept(part(0, 0, 1), b"a", 0), Accepted::Duplicate);
    assert_eq!(receive.accept(part(1, 0, 1), b"b", 0), Accepted::Duplicate);
    assert!(!receive.has_gap());
    assert_eq!(receive.ack(None), AckBlock::new(2, None, &[]));
}

#[test]
fn the_bitmap_reaches_over_the_whole_window_and_no_further() {
    let mut receive = ReceiveHalf::new(10, 100);
    let window = WINDOW_FRAGMENTS as u64;
    assert_eq!(receive.accept(part(window, 0, 1), b"", 0), Accepted::Refused);
    for sequence in (1..window).rev() {
        assert_eq!(receive.accept(part(sequence, 0, 1), b"", 0), Accepted::Single);
    }
    assert_eq!(receive.accept(part(0, 0, 1), b"", 0), Accepted::Single);
    assert_eq!(receive.ack(None).next, window);
    assert_eq!(receive.accept(part(window, 0, 1), b"", 0), Accepted::Single);
}

#[test]
fn fragments_in_any_order_make_the_message() {
    let pieces: [&[u8]; 3] = [b"0123456789", b"abcdefghij", b"xyz"];
    for order in [[0u16, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2]] {
        let mut receive = ReceiveHalf::new(10, 100);
        let accepted =
            order.map(|index| receive.accept(part(u64::from(index), index, 3), pieces[usize::from(index)], 1_000));
        assert_eq!(accepted, [Accepted::Part, Accepted::Part, Accepted::Assembled(pieces.concat())]);
        assert_eq!((receive.reserved(), receive.ack(None).next), (0, 3));
    }
}

#[test]
fn a_message_begins_only_when_there_is_room_for_all_of_it() {
    let mut receive = ReceiveHalf::new(10, 100);
    assert_eq!(receive.accept(part(0, 0, 2), &[0; 10], 10), Accepted::Refused);
    assert_eq!(receive.accept(part(0, 0, 2), &[0; 10], 200), Accepted::Part);
    assert!((20..=200).contains(&receive.reserved()));
    assert_eq!(receive.accept(part(1, 1, 2), &[0; 3], 0), Accepted::Assembled(vec![0; 13]));
}

#[test]
fn fragments_that_contradict_the_rules_are_refused() {
    let mut receive = ReceiveHalf::new(10, 100);
    for (fragment, length) in [
        (part(0, 0, 0), 0),
        (part(0, 0, 1), 11),
        (part(0, 0, 2), 9),
        (part(1, 1, 2), 0),
        (part(1, 1, 2), 11),
        (part(5, 6, 7), 10),
        (part(900, 0, u16::MAX), 10),
        (part(0, 0, 12), 10),
    ] {
        assert_eq!(receive.accept(fragment, &vec![0; length], usize::MAX), Accepted::Invalid, "{fragment:?}");
    }
    assert_eq!(receive.accept(part(0, 0, 3), &[0; 10], usize::MAX), Accepted::Part);
    assert_eq!(receive.accept(part(1, 1, 4), &[0; 10], usize::MAX), Accepted::Invalid);
    assert_eq!(receive.accept(Fragment { channel: 2, ..part(1, 1, 3) }, &[0; 10], 999), Accepted::Invalid);
}
