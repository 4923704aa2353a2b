//! Fragments in any order and with any fields: nothing is delivered twice, invented, or kept beyond the limit.

use std::collections::BTreeSet;

use rpc::transport::receive::{Accepted, ReceiveHalf};
use rpc::wire::Fragment;

/// Bytes of a full fragment.
pub const FRAGMENT_BYTES: usize = 16;
/// The largest message, bytes.
pub const MESSAGE_MAX: usize = 40 * FRAGMENT_BYTES;
/// Memory for messages that are partly here, bytes.
const RESERVED_MAX: usize = 8 * MESSAGE_MAX;

/// A fragment of `length` bytes, each the lowest byte of its sequence number.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub fragment: Fragment,
    pub length: usize,
}

/// Reads arrivals from bytes that mean nothing, for as far as they go. Sequence numbers go on from the largest before.
pub fn arrivals(mut bytes: &[u8]) -> Vec<Arrival> {
    let (mut arrivals, mut largest) = (Vec::new(), 0u64);
    while let [kind, step, index, count, length, rest @ ..] = bytes {
        let sequence = match kind % 4 {
            0 => largest.saturating_sub(u64::from(*step)),
            1 => largest.saturating_add(u64::from(*step)),
            2 => u64::from(*step),
            _ => u64::MAX - u64::from(*step),
        };
        if kind % 4 < 3 {
            largest = largest.max(sequence);
        }
        let (index, count) = (u16::from(*index), u16::from(*count));
        let full = kind & 0x80 != 0;
        let length = if full { FRAGMENT_BYTES } else { usize::from(*length) };
        arrivals.push(Arrival { fragment: Fragment { sequence, index, count, channel: kind >> 2 & 1 }, length });
        bytes = rest;
    }
    arrivals
}

/// Hands them to a receiver, and then a message of an honest sender that the receiver has room for.
pub fn reassembly(arrivals: &[Arrival]) {
    let mut half = ReceiveHalf::new(FRAGMENT_BYTES, MESSAGE_MAX);
    let mut seen = BTreeSet::new();
    for arrival in arrivals {
        let allowance = RESERVED_MAX - half.reserved();
        accept(&mut half, &mut seen, *arrival, allowance);
    }
    let next = half.ack(None).next;
    let fragment = Fragment { sequence: next, index: 0, count: 1, channel: 0 };
    assert!(accept(&mut half, &mut seen, Arrival { fragment, length: 1 }, 0), "a whole message needs no room");
}

/// Whether it was new.
fn accept(half: &mut ReceiveHalf, seen: &mut BTreeSet<u64>, arrival: Arrival, allowance: usize) -> bool {
    let Arrival { fragment: fragment @ Fragment { sequence, index, count, .. }, length } = arrival;
    let accepted = half.accept(fragment, &vec![sequence as u8; length], allowance);
    assert!(half.reserved() <= RESERVED_MAX);
    match &accepted {
        Accepted::Single => assert!(length <= FRAGMENT_BYTES && count == 1),
        Accepted::Assembled(whole) => {
            let first = sequence - u64::from(index);
            assert!(whole.len() <= MESSAGE_MAX);
            assert_eq!(whole.len().div_ceil(FRAGMENT_BYTES), usize::from(count));
            let expected = |at: usize| (first + (at / FRAGMENT_BYTES) as u64) as u8;
            assert!(whole.iter().enumerate().all(|(at, byte)| *byte == expected(at)), "bytes in the wrong place");
        }
        Accepted::Part => assert!(count > 1),
        Accepted::Duplicate | Accepted::Refused | Accepted::Invalid => return false,
    }
    assert!(seen.insert(sequence), "{sequence} was taken twice");
    let ack = half.ack(None);
    let is_told = |sequence: u64| {
        let Some(offset) = sequence.checked_sub(ack.next) else { return true };
        ack.words().get((offset / 64) as usize).is_some_and(|word| word >> (offset % 64) & 1 == 1)
    };
    assert!(is_told(sequence), "{sequence} was taken, and its sender is not told");
    true
}
