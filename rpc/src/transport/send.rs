//! The sending half of a session: what is queued, what is under way, what was lost. Knows sequence numbers and packet
//! numbers, but no clock.

use std::collections::VecDeque;

use super::lessons::Lessons;
use super::pool::Pool;
use crate::planted::{Bug, Planted};
use crate::time::Time;
use crate::wire::{AckBlock, FRAME_HEADER_BYTES, Fragment, WireError, write_frame_header};

/// A fragment is taken for lost when a datagram that left this many numbers later has arrived (RFC 5681's three
/// duplicate acknowledgements, RFC 9002's packet threshold).
pub const REORDER_THRESHOLD: u64 = 3;

/// What a queued fragment is charged beyond its bytes, so that a queue of empty messages is bounded too.
pub const FRAGMENT_CHARGE: usize = 64;

/// A queue that is empty keeps room for so many fragments.
const KEPT: usize = 64;

/// What bounds a sender.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct SendLimits {
    /// Bytes of a message in one fragment.
    pub fragment_bytes: usize,
    /// Bytes that may be under way (one fragment always may).
    pub window_bytes: usize,
    /// How far sequence numbers may run ahead of the oldest unacknowledged one.
    pub window_fragments: usize,
}

/// Four bytes of a message that say how many microseconds are left, big-endian, as of the moment at which its datagram is expected to
/// arrive: also when it leaves late, or once more. The largest number stands for all that is more.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Countdown {
    /// Where in the message they stand: within its first fragment.
    pub place: usize,
    /// When nothing is left.
    pub until: Time,
}

impl Countdown {
    fn write(self, arrival: Time, bytes: &mut [u8]) {
        if let Some(place) = bytes.get_mut(self.place..self.place + 4) {
            let left = u32::try_from((self.until - arrival).as_micros()).unwrap_or(u32::MAX);
            place.copy_from_slice(&left.to_be_bytes());
        }
    }
}

#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
enum Status {
    /// Never sent.
    Waiting,
    /// Last sent in the datagram of this packet number.
    Flying(u64),
    /// To be sent again.
    Lost,
    /// Arrived; stays only because an older one has not.
    Acked,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Outgoing {
    index: u16,
    count: u16,
    channel: u8,
    status: Status,
    bytes: Vec<u8>,
    countdown: Option<Countdown>,
}

impl Outgoing {
    fn charge(&self) -> usize {
        self.bytes.len() + FRAGMENT_CHARGE
    }
}

/// What [`SendHalf::fill`] wrote.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Filled {
    /// Fragments sent for the first time.
    pub fresh: usize,
    /// Fragments sent again.
    pub again: usize,
}

/// What an acknowledgement changed.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Progress {
    /// Fragments acknowledged for the first time.
    pub acked: usize,
    /// Fragments found lost.
    pub lost: usize,
}

/// The sending half.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SendHalf {
    limits: SendLimits,
    /// Sequence number of the front of `fragments`: all below are acknowledged.
    base: u64,
    /// The lowest sequence number never sent.
    unsent: u64,
    fragments: VecDeque<Outgoing>,
    /// Sequence numbers that were found lost, oldest finding first; those acknowledged since are skipped.
    lost: VecDeque<u64>,
    flying_bytes: usize,
    queued_bytes: usize,
    outstanding: usize,
    flying: usize,
    lessons: Lessons,
    pub(crate) planted: Planted,
}

impl SendHalf {
    /// Nothing queued.
    pub fn new(limits: SendLimits) -> Self {
        SendHalf {
            limits,
            base: 0,
            unsent: 0,
            fragments: VecDeque::new(),
            lost: VecDeque::new(),
            flying_bytes: 0,
            queued_bytes: 0,
            outstanding: 0,
            flying: 0,
            lessons: Lessons::default(),
            planted: Planted::default(),
        }
    }

    /// The same with some rules switched off.
    pub fn teach(self, lessons: Lessons) -> Self {
        SendHalf { lessons, ..self }
    }

    /// Fragments that are not acknowledged, sent or not.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether anything was sent and is neither acknowledged nor found lost.
    pub fn is_flying(&self) -> bool {
        self.flying > 0
    }

    /// What was sent and is neither acknowledged nor found lost, as charged.
    pub fn flying_bytes(&self) -> usize {
        self.flying_bytes
    }

    /// What waits to be sent, for the first time or again, as charged.
    pub fn waiting_bytes(&self) -> usize {
        self.queued_bytes - self.flying_bytes
    }

    /// Whether what is queued next would not wait for the window, but for what is queued with it at most.
    pub fn has_room(&self) -> bool {
        self.queued_bytes < self.limits.window_bytes && self.outstanding < self.limits.window_fragments
    }

    /// So many bytes may be under way from now on (one fragment always may).
    pub fn set_window(&mut self, bytes: usize) {
        self.limits.window_bytes = bytes;
    }

    /// Memory that is charged for what is queued.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Gives back the room that a long queue took, once it is empty.
    pub fn rest(&mut self) {
        if self.fragments.is_empty() && self.fragments.capacity() > KEPT {
            self.fragments.shrink_to(0);
            // What is left in it was acknowledged after it was found lost.
            self.lost = VecDeque::new();
        }
    }

    /// Queues a message: cuts the concatenation of `parts` (`total` bytes) into fragments. The caller has checked that
    /// it does not have more than 65,535 of them.
    pub fn push(
        &mut self,
        channel: u8,
        parts: &[&[u8]],
        total: usize,
        mut countdown: Option<Countdown>,
        pool: &mut Pool,
    ) {
        let size = self.limits.fragment_bytes;
        let count = total.div_ceil(size).max(1) as u16;
        let mut parts = parts.iter().copied();
        let mut part: &[u8] = &[];
        for index in 0..count {
            let length = size.min(total - usize::from(index) * size);
            let mut bytes = pool.take(length);
            while bytes.len() < length {
                if part.is_empty() {
                    let Some(next) = parts.next() else { break };
                    part = next;
                    continue;
                }
                let (now, later) = part.split_at(part.len().min(length - bytes.len()));
                bytes.extend_from_slice(now);
                part = later;
            }
            let outgoing =
                Outgoing { index, count, channel, status: Status::Waiting, bytes, countdown: countdown.take() };
            self.queued_bytes += outgoing.charge();
            self.outstanding += 1;
            self.fragments.push_back(outgoing);
        }
    }

    /// Whether [`Self::fill`] would write something into an empty datagram.
    pub fn can_fill(&self) -> bool {
        if self.lost.iter().any(|sequence| self.is_lost(*sequence)) {
            return self.flying_bytes < self.limits.window_bytes;
        }
        self.fresh().is_some_and(|outgoing| self.fits_window(outgoing))
    }

    fn is_lost(&self, sequence: u64) -> bool {
        self.get(sequence).is_some_and(|outgoing| outgoing.status == Status::Lost)
    }

    fn get(&self, sequence: u64) -> Option<&Outgoing> {
        self.fragments.get(sequence.checked_sub(self.base)? as usize)
    }

    /// The next one never sent, if the window reaches to it.
    fn fresh(&self) -> Option<&Outgoing> {
        if self.unsent - self.base >= self.limits.window_fragments as u64 { None } else { self.get(self.unsent) }
    }

    fn fits_window(&self, outgoing: &Outgoing) -> bool {
        self.flying_bytes == 0 || self.flying_bytes + outgoing.charge() <= self.limits.window_bytes
    }

    /// Appends to `out` the frames that go into the datagram of number `packet`, which should arrive at `arrival`, at most `room` bytes:
    /// first what was lost, then what is new, as far as the window allows.
    pub fn fill(&mut self, arrival: Time, packet: u64, mut room: usize, out: &mut Vec<u8>) -> Filled {
        let mut filled = Filled::default();
        while let Some(&sequence) = self.lost.front() {
            if self.is_lost(sequence) {
                if self.flying > 0 && self.flying_bytes >= self.limits.window_bytes
                    || !self.write(sequence, arrival, packet, &mut room, out)
                {
                    return filled;
                }
                filled.again += 1;
            }
            self.lost.pop_front();
        }
        while self.fresh().is_some_and(|outgoing| self.fits_window(outgoing)) {
            if !self.write(self.unsent, arrival, packet, &mut room, out) {
                break;
            }
            self.unsent += 1;
            filled.fresh += 1;
        }
        filled
    }

    fn write(&mut self, sequence: u64, arrival: Time, packet: u64, room: &mut usize, out: &mut Vec<u8>) -> bool {
        let Some(outgoing) = self.fragments.get_mut((sequence - self.base) as usize) else { return false };
        let needed = FRAME_HEADER_BYTES + outgoing.bytes.len();
        if needed > *room {
            return false;
        }
        *room -= needed;
        let Outgoing { index, count, channel, .. } = *outgoing;
        write_frame_header(Fragment { sequence, index, count, channel }, outgoing.bytes.len(), out);
        let start = out.len();
        out.extend_from_slice(&outgoing.bytes);
        if let Some(countdown) = outgoing.countdown {
            countdown.write(arrival, out.get_mut(start..).unwrap_or_default());
        }
        outgoing.status = Status::Flying(packet);
        self.flying_bytes += outgoing.charge();
        self.flying += 1;
        true
    }

    /// Takes an acknowledgement; `cut` says that its bitmap does not reach as far as its sender knows. An impossible
    /// one changes nothing.
    pub fn acked(&mut self, ack: &AckBlock, cut: bool, pool: &mut Pool) -> Result<Progress, WireError> {
        if ack.next > self.unsent {
            return Err(WireError::Value);
        }
        let mut progress = Progress::default();
        for sequence in self.base..ack.next {
            progress.acked += usize::from(self.settle(sequence, pool));
        }
        for (place, word) in ack.words().iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let sequence = ack.next.saturating_add(64 * place as u64 + u64::from(word.trailing_zeros()));
                word &= word - 1;
                progress.acked += usize::from(sequence < self.unsent && self.settle(sequence, pool));
            }
        }
        while self.fragments.front().is_some_and(|outgoing| outgoing.status == Status::Acked) {
            self.fragments.pop_front();
            self.base += 1;
        }
        if let Some(newest) = ack.echo.and_then(|echo| echo.packet.checked_sub(REORDER_THRESHOLD)) {
            let covered = if cut { ack.next.saturating_add(64 * ack.words().len() as u64) } else { u64::MAX };
            progress.lost = self.lose(newest, covered);
        }
        Ok(progress)
    }

    /// Marks one as arrived; false when it was already.
    fn settle(&mut self, sequence: u64, pool: &mut Pool) -> bool {
        let Some(place) = sequence.checked_sub(self.base) else { return false };
        let Some(outgoing) = self.fragments.get_mut(place as usize) else { return false };
        let charge = outgoing.charge();
        match outgoing.status {
            Status::Flying(_) => {
                self.flying_bytes -= charge;
                self.flying -= 1;
            }
            Status::Lost => {}
            Status::Waiting | Status::Acked => return false,
        }
        outgoing.status = Status::Acked;
        pool.give(std::mem::take(&mut outgoing.bytes));
        self.queued_bytes -= charge;
        self.outstanding -= 1;
        true
    }

    /// The timer ran out: whatever last left in a datagram up to this number is to be sent again. Returns how many.
    pub fn expired(&mut self, newest_packet: u64) -> usize {
        if self.planted.has(Bug::TimerIgnored) { 0 } else { self.lose(newest_packet, u64::MAX) }
    }

    /// Finds lost what left in datagrams up to `newest` and has a sequence number below `covered`.
    fn lose(&mut self, newest: u64, covered: u64) -> usize {
        if self.flying == 0 {
            return 0;
        }
        let mut count = 0;
        let end = self.unsent.min(covered);
        for (sequence, outgoing) in (self.base..end).zip(self.fragments.iter_mut()) {
            if matches!(outgoing.status, Status::Flying(packet) if packet <= newest) {
                outgoing.status = Status::Lost;
                self.flying_bytes -= outgoing.charge();
                self.flying -= 1;
                if !self.lessons.no_retransmission && !self.planted.has(Bug::LostForgotten) {
                    self.lost.push_back(sequence);
                }
                count += 1;
            }
        }
        count
    }
}
