//! The sending half of a session: what is queued, what is under way, what was lost. Knows sequence numbers and packet
//! numbers, but no clock.

use std::collections::VecDeque;

use bytes::Bytes;

use super::lessons::Lessons;
use super::pool::Pool;
use crate::planted::{Bug, Planted};
use crate::shared::part_of;
use crate::time::Time;
use crate::wire::{AckBlock, FRAME_HEADER_BYTES, Fragment, WireError, write_frame_header};

/// A fragment is taken for lost when a datagram that left this many numbers later has arrived (RFC 5681's three
/// duplicate acknowledgements, RFC 9002's packet threshold).
pub const REORDER_THRESHOLD: u64 = 3;

/// What a queued fragment is charged beyond its bytes, so that a queue of empty messages is bounded too.
pub const FRAGMENT_CHARGE: usize = 64;

/// So many bytes in a row are worth sharing: it takes about as long as to copy them.
const SHARED_MIN: usize = 1 << 10;

/// So many bytes in a row are worth lending, where nothing else fits behind them: the kernel takes longer to put pieces together than
/// it takes to copy less.
pub(crate) const LENT_MIN: usize = 1 << 15;

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

/// A message that is to be queued.
#[derive(Copy, Clone, Debug)]
pub struct Outgoing<'a> {
    /// It is the concatenation of these.
    pub parts: &'a [&'a [u8]],
    /// A number in it that counts down until it leaves.
    pub countdown: Option<Countdown>,
    /// The memory in which one of the parts stands: what is long of that is not copied when it is queued.
    pub owner: Option<&'a Bytes>,
}

impl<'a> Outgoing<'a> {
    /// These parts, to be copied.
    pub fn of(parts: &'a [&'a [u8]]) -> Self {
        Outgoing { parts, countdown: None, owner: None }
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

/// The rest of a message that is being cut.
#[derive(Clone)]
struct Rest<'a> {
    parts: std::slice::Iter<'a, &'a [u8]>,
    part: &'a [u8],
    owner: Option<&'a Bytes>,
}

impl<'a> Rest<'a> {
    /// The next bytes that stand in a row, `most` at most; none when there are no more.
    fn next(&mut self, most: usize) -> &'a [u8] {
        while self.part.is_empty() {
            let Some(next) = self.parts.next() else { return &[] };
            self.part = next;
        }
        let (now, later) = self.part.split_at(self.part.len().min(most));
        self.part = later;
        now
    }

    /// The next fragment: a copy of what comes first, and the owned part if it lasts to the end.
    fn cut(&mut self, length: usize, pool: &mut Pool) -> (Vec<u8>, Bytes) {
        let (copied, shared) = match self.owner {
            Some(owner) => self.clone().split(length, owner),
            None => (length, Bytes::new()),
        };
        let mut bytes = if copied > 0 { pool.take(copied) } else { Vec::new() };
        while bytes.len() < copied {
            let piece = self.next(copied - bytes.len());
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(piece);
        }
        self.next(shared.len());
        (bytes, shared)
    }

    /// How many of the next `length` bytes are to be copied, and the owned part behind them, which lasts to their end.
    fn split(mut self, length: usize, owner: &Bytes) -> (usize, Bytes) {
        let mut place = 0;
        while place < length {
            let piece = self.next(length - place);
            if piece.is_empty() {
                break;
            }
            if place + piece.len() == length
                && piece.len() >= SHARED_MIN
                && let Some(shared) = part_of(owner, piece)
            {
                return (place, shared);
            }
            place += piece.len();
        }
        (length, Bytes::new())
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
struct Queued {
    index: u16,
    count: u16,
    channel: u8,
    status: Status,
    /// Its bytes are these, and then those of `shared`.
    bytes: Vec<u8>,
    shared: Bytes,
    countdown: Option<Countdown>,
}

impl Queued {
    fn len(&self) -> usize {
        self.bytes.len() + self.shared.len()
    }

    fn charge(&self) -> usize {
        self.len() + FRAGMENT_CHARGE
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
    fragments: VecDeque<Queued>,
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

    /// Whether an acknowledgement can be true: nothing is in it that was never sent.
    pub fn is_possible(&self, ack: &AckBlock) -> bool {
        ack.next <= self.unsent
    }

    /// What [`Self::outstanding`] will be once this acknowledgement is taken.
    pub fn outstanding_after(&self, ack: &AckBlock) -> usize {
        let left = (self.base..).zip(&self.fragments).filter(|(sequence, queued)| match queued.status {
            Status::Waiting => true,
            Status::Flying(_) | Status::Lost => !ack.covers(*sequence),
            Status::Acked => false,
        });
        left.count()
    }

    /// Whether a possible acknowledgement may as well be taken later: all that was sent has arrived, nothing waits for the room that
    /// makes, and it gives no memory back that is worth it.
    pub fn is_in_no_hurry(&self, ack: &AckBlock) -> bool {
        let is_whole = ack.next == self.unsent && ack.words().is_empty();
        is_whole && self.waiting_bytes() == 0 && self.has_room() && self.fragments.capacity() <= KEPT
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

    /// Queues a message: cuts it into fragments. The caller has checked that it does not have more than 65,535 of them.
    pub fn push(&mut self, channel: u8, message: Outgoing<'_>, pool: &mut Pool) {
        let Outgoing { parts, mut countdown, owner } = message;
        let (size, total) = (self.limits.fragment_bytes, message.len());
        let count = if total <= size { 1 } else { total.div_ceil(size) as u16 };
        let mut rest = Rest { parts: parts.iter(), part: &[], owner };
        for index in 0..count {
            let (bytes, shared) = rest.cut(size.min(total - usize::from(index) * size), pool);
            let countdown = countdown.take();
            let queued = Queued { index, count, channel, status: Status::Waiting, bytes, shared, countdown };
            self.queued_bytes += queued.charge();
            self.outstanding += 1;
            self.fragments.push_back(queued);
        }
    }

    /// Whether [`Self::fill`] would write something into an empty datagram.
    pub fn can_fill(&self) -> bool {
        if self.waiting_bytes() == 0 {
            return false;
        }
        if self.lost.iter().any(|sequence| self.is_lost(*sequence)) {
            return self.flying_bytes < self.limits.window_bytes;
        }
        self.fresh().is_some_and(|queued| self.fits_window(queued))
    }

    fn is_lost(&self, sequence: u64) -> bool {
        self.get(sequence).is_some_and(|queued| queued.status == Status::Lost)
    }

    fn get(&self, sequence: u64) -> Option<&Queued> {
        self.fragments.get(sequence.checked_sub(self.base)? as usize)
    }

    /// The next one never sent, if the window reaches to it.
    fn fresh(&self) -> Option<&Queued> {
        if self.unsent - self.base >= self.limits.window_fragments as u64 { None } else { self.get(self.unsent) }
    }

    fn fits_window(&self, queued: &Queued) -> bool {
        self.flying_bytes == 0 || self.flying_bytes + queued.charge() <= self.limits.window_bytes
    }

    /// Appends to `out` the frames that go into the datagram of number `packet`, which should arrive at `arrival`, at most `room` bytes:
    /// first what was lost, then what is new, as far as the window allows. Where `lent` is given, the last frame may end with that, which
    /// is not in `out`.
    pub fn fill(
        &mut self,
        arrival: Time,
        packet: u64,
        mut room: usize,
        out: &mut Vec<u8>,
        mut lent: Option<&mut Bytes>,
    ) -> Filled {
        let mut filled = Filled::default();
        while let Some(&sequence) = self.lost.front() {
            if self.is_lost(sequence) {
                if self.flying > 0 && self.flying_bytes >= self.limits.window_bytes
                    || !self.write(sequence, arrival, packet, &mut room, out, lent.as_deref_mut())
                {
                    return filled;
                }
                filled.again += 1;
            }
            self.lost.pop_front();
        }
        while self.fresh().is_some_and(|queued| self.fits_window(queued)) {
            if !self.write(self.unsent, arrival, packet, &mut room, out, lent.as_deref_mut()) {
                break;
            }
            self.unsent += 1;
            filled.fresh += 1;
        }
        filled
    }

    fn write(
        &mut self,
        sequence: u64,
        arrival: Time,
        packet: u64,
        room: &mut usize,
        out: &mut Vec<u8>,
        lent: Option<&mut Bytes>,
    ) -> bool {
        let Some(queued) = self.fragments.get_mut((sequence - self.base) as usize) else { return false };
        let needed = FRAME_HEADER_BYTES + queued.len();
        if needed > *room {
            return false;
        }
        *room -= needed;
        // Nothing can follow what is lent: only what fills the datagram is. And a countdown can be written only to a copy.
        let is_full = *room < SHARED_MIN && queued.shared.len() >= LENT_MIN;
        let is_still = queued.countdown.is_none_or(|countdown| countdown.place + 4 <= queued.bytes.len());
        let lent = lent.filter(|_| is_full && is_still);
        if lent.is_some() {
            *room = 0;
        }
        let Queued { index, count, channel, .. } = *queued;
        write_frame_header(Fragment { sequence, index, count, channel }, queued.len(), out);
        let start = out.len();
        out.extend_from_slice(&queued.bytes);
        match lent {
            Some(lent) => *lent = queued.shared.clone(),
            None => out.extend_from_slice(&queued.shared),
        }
        if let Some(countdown) = queued.countdown {
            countdown.write(arrival, out.get_mut(start..).unwrap_or_default());
        }
        queued.status = Status::Flying(packet);
        self.flying_bytes += queued.charge();
        self.flying += 1;
        true
    }

    /// Takes an acknowledgement; `cut` says that its bitmap does not reach as far as its sender knows. An impossible
    /// one changes nothing.
    pub fn acked(&mut self, ack: &AckBlock, cut: bool, pool: &mut Pool) -> Result<Progress, WireError> {
        if !self.is_possible(ack) {
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
        while self.fragments.front().is_some_and(|queued| queued.status == Status::Acked) {
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
        let Some(queued) = self.fragments.get_mut(place as usize) else { return false };
        let charge = queued.charge();
        match queued.status {
            Status::Flying(_) => {
                self.flying_bytes -= charge;
                self.flying -= 1;
            }
            Status::Lost => {}
            Status::Waiting | Status::Acked => return false,
        }
        queued.status = Status::Acked;
        pool.give(std::mem::take(&mut queued.bytes));
        queued.shared = Bytes::new();
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
        for (sequence, queued) in (self.base..end).zip(self.fragments.iter_mut()) {
            if matches!(queued.status, Status::Flying(packet) if packet <= newest) {
                queued.status = Status::Lost;
                self.flying_bytes -= queued.charge();
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
