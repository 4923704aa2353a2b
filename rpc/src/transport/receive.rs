//! The receiving half of a session: what has arrived, and messages that are partly here. Knows no time.

use std::collections::BTreeMap;

use super::lessons::Lessons;
use crate::planted::{Bug, Planted};
use crate::wire::{AckBlock, Echo, Fragment, MAX_WORDS, WINDOW_FRAGMENTS};

/// What a message costs beyond its bytes while it is put together.
const PARTIAL_CHARGE: usize = 128;

/// What became of a fragment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Accepted {
    /// It is a whole message.
    Single,
    /// It is part of a message that is not complete.
    Part,
    /// It completed this message.
    Assembled(Vec<u8>),
    /// It was here before.
    Duplicate,
    /// There is no room for it now; its sender will send it again.
    Refused,
    /// It breaks the rules.
    Invalid,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Partial {
    count: u16,
    channel: u8,
    arrived: u16,
    bytes: Vec<u8>,
    reserved: usize,
}

/// The receiving half.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ReceiveHalf {
    fragment_bytes: usize,
    message_max: usize,
    /// The lowest sequence number that is missing.
    next: u64,
    /// Bit `b` of word `w`: `next + 64 w + b` has arrived.
    ahead: [u64; MAX_WORDS],
    ahead_count: usize,
    /// By the sequence number of the first fragment.
    partial: BTreeMap<u64, Partial>,
    reserved: usize,
    lessons: Lessons,
    pub(crate) planted: Planted,
}

impl ReceiveHalf {
    /// Nothing received. Fragments carry `fragment_bytes` each (the last one of a message may carry less), messages at
    /// most `message_max`.
    pub fn new(fragment_bytes: usize, message_max: usize) -> Self {
        ReceiveHalf {
            fragment_bytes,
            message_max,
            next: 0,
            ahead: [0; MAX_WORDS],
            ahead_count: 0,
            partial: BTreeMap::new(),
            reserved: 0,
            lessons: Lessons::default(),
            planted: Planted::default(),
        }
    }

    /// The same with some rules switched off.
    pub fn teach(self, lessons: Lessons) -> Self {
        ReceiveHalf { lessons, ..self }
    }

    /// Reassembly memory that is set aside, bytes.
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// Whether something has arrived ahead of something that is missing.
    pub fn has_gap(&self) -> bool {
        self.ahead_count > 0
    }

    /// What to tell the sender.
    pub fn ack(&self, echo: Option<Echo>) -> AckBlock {
        let too_far = u64::from(self.has_gap() && self.planted.has(Bug::AcknowledgedTooFar));
        AckBlock::new(self.next + too_far, echo, if self.ahead_count == 0 { &[] } else { &self.ahead })
    }

    /// Takes one fragment. A message of several fragments begins only when `allowance`, the memory that may still be
    /// set aside for reassembly, covers it whole: so what has begun can always be completed.
    pub fn accept(&mut self, fragment: Fragment, bytes: &[u8], allowance: usize) -> Accepted {
        let Some(offset) = fragment.sequence.checked_sub(self.next) else { return self.duplicate(fragment) };
        if offset >= WINDOW_FRAGMENTS as u64 {
            return Accepted::Refused;
        }
        let (word, bit) = ((offset / 64) as usize, 1u64 << (offset % 64));
        if self.ahead.get(word).is_some_and(|word| word & bit != 0) {
            return self.duplicate(fragment);
        }
        let accepted = if fragment.count == 1 {
            if fragment.index == 0 && bytes.len() <= self.fragment_bytes.min(self.message_max) {
                Accepted::Single
            } else {
                Accepted::Invalid
            }
        } else {
            self.assemble(fragment, bytes, allowance)
        };
        let is_taken = !matches!(accepted, Accepted::Refused | Accepted::Invalid);
        if is_taken || self.planted.has(Bug::RefusedAcknowledged) {
            self.mark(offset, word, bit);
        }
        accepted
    }

    fn duplicate(&self, fragment: Fragment) -> Accepted {
        let delivered = self.lessons.deliver_duplicates || self.planted.has(Bug::DuplicateDelivered);
        let again = fragment.count == 1 && delivered;
        if again { Accepted::Single } else { Accepted::Duplicate }
    }

    /// Notes an arrival and moves `next` over everything that is complete.
    fn mark(&mut self, offset: u64, word: usize, bit: u64) {
        if offset == 0 && self.ahead_count == 0 {
            self.next += 1;
            return;
        }
        if let Some(word) = self.ahead.get_mut(word) {
            *word |= bit;
            self.ahead_count += 1;
        }
        while let [first, ..] = &self.ahead
            && first & 1 == 1
        {
            let run = first.trailing_ones();
            self.shift(run);
            self.next += u64::from(run);
            self.ahead_count -= run as usize;
        }
    }

    /// Drops the lowest `by` bits (1 to 64).
    fn shift(&mut self, by: u32) {
        for place in 0..MAX_WORDS {
            let above = self.ahead.get(place + 1).copied().unwrap_or(0);
            if let Some(word) = self.ahead.get_mut(place) {
                *word = if by == 64 { above } else { (*word >> by) | (above << (64 - by)) };
            }
        }
    }

    fn assemble(&mut self, fragment: Fragment, bytes: &[u8], allowance: usize) -> Accepted {
        let Fragment { sequence, index, count, channel } = fragment;
        let Some(first) = sequence.checked_sub(u64::from(index)) else { return Accepted::Invalid };
        let offset = usize::from(index) * self.fragment_bytes;
        let is_last = index + 1 == count;
        let length_is_right =
            if is_last { (1..=self.fragment_bytes).contains(&bytes.len()) } else { bytes.len() == self.fragment_bytes };
        let is_within =
            index < count && length_is_right && (usize::from(count) - 1) * self.fragment_bytes < self.message_max;
        let unchecked = self.planted.has(Bug::FragmentBoundsUnchecked);
        if !is_within && !unchecked {
            return Accepted::Invalid;
        }
        let reserve = usize::from(count) * self.fragment_bytes + PARTIAL_CHARGE;
        let is_new = !self.partial.contains_key(&first);
        if is_new && reserve > allowance && !self.planted.has(Bug::ReassemblyUnbounded) {
            return Accepted::Refused;
        }
        self.reserved += if is_new { reserve } else { 0 };
        let partial = self.partial.entry(first).or_insert_with(|| {
            let bytes = Vec::with_capacity(reserve - PARTIAL_CHARGE);
            Partial { count, channel, arrived: 0, bytes, reserved: reserve }
        });
        if (partial.count != count || partial.channel != channel) && !unchecked {
            return Accepted::Invalid;
        }
        let offset = if self.planted.has(Bug::ReassembledAsArrived) { partial.bytes.len() } else { offset };
        place(&mut partial.bytes, offset, bytes);
        partial.arrived += 1;
        if partial.arrived < count {
            return Accepted::Part;
        }
        let Some(whole) = self.partial.remove(&first) else { return Accepted::Invalid };
        self.reserved -= whole.reserved;
        if whole.bytes.len() > self.message_max && !unchecked {
            Accepted::Invalid
        } else {
            Accepted::Assembled(whole.bytes)
        }
    }
}

/// Puts `bytes` at `offset`. What arrives in order, which is nearly all, is appended without clearing memory first.
fn place(buffer: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if buffer.len() <= offset {
        buffer.resize(offset, 0);
        buffer.extend_from_slice(bytes);
    } else if let Some(space) = buffer.get_mut(offset..end) {
        space.copy_from_slice(bytes);
    }
}
