//! The acknowledgement block of a data datagram.

use super::{Reader, WINDOW_FRAGMENTS, WireError};

/// Words of bitmap that cover the whole window.
pub const MAX_WORDS: usize = WINDOW_FRAGMENTS / 64;

/// Which datagram was the newest to arrive, and how long that was ago when this was written.
///
/// Every datagram has a packet number of its own, also when it carries fragments for the second time, so a round-trip
/// sample is never ambiguous; this does the work of timestamps or of an echoed attempt number (RFC 6298 section 3,
/// Karn's algorithm, is not needed).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Echo {
    /// The largest packet number seen.
    pub packet: u64,
    /// Microseconds that it has waited here for this echo; the time that the receiving program took is not the
    /// network's.
    pub waited_us: u32,
}

/// What its sender has received: everything below `next`, and what the bitmap says of the fragments from `next` on.
///
/// Mostly there is no gap and so no bitmap: then it is small, and takes no memory of its own.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AckBlock {
    /// The lowest sequence number that is missing.
    pub next: u64,
    /// For round-trip times and loss detection; none when nothing was received yet.
    pub echo: Option<Echo>,
    words: Vec<u64>,
}

impl AckBlock {
    /// A block; `words` beyond the window are ignored, trailing zero words are not sent. Bit `b` of word `w` speaks of
    /// sequence number `next + 64 w + b`.
    pub fn new(next: u64, echo: Option<Echo>, words: &[u64]) -> Self {
        let words = words.get(..MAX_WORDS).unwrap_or(words);
        let used = words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        AckBlock { next, echo, words: words.get(..used).unwrap_or_default().to_vec() }
    }

    /// The bitmap, without trailing zero words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether it says that this one has arrived.
    pub fn covers(&self, sequence: u64) -> bool {
        let Some(place) = sequence.checked_sub(self.next) else { return true };
        let word = usize::try_from(place / 64).ok().and_then(|word| self.words.get(word));
        word.is_some_and(|word| word & (1 << (place % 64)) != 0)
    }

    /// Keeps at most `limit` words; true when some were cut off.
    pub fn cut(&mut self, limit: usize) -> bool {
        let cut = self.words.len() > limit;
        self.words.truncate(limit);
        cut
    }

    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let echo = self.echo.unwrap_or(Echo { packet: u64::MAX, waited_us: 0 });
        let mut bytes = [0; 8 + 8 + 4 + 1];
        bytes[0..8].copy_from_slice(&self.next.to_be_bytes());
        bytes[8..16].copy_from_slice(&echo.packet.to_be_bytes());
        bytes[16..20].copy_from_slice(&echo.waited_us.to_be_bytes());
        bytes[20] = self.words.len() as u8;
        out.extend_from_slice(&bytes);
        for word in self.words() {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }

    /// Reads it.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let next = reader.u64()?;
        let (packet, waited_us) = (reader.u64()?, reader.u32()?);
        let echo = (packet != u64::MAX).then_some(Echo { packet, waited_us });
        if echo.is_none() && waited_us != 0 {
            return Err(WireError::Value);
        }
        let used = usize::from(reader.u8()?);
        if used > MAX_WORDS {
            return Err(WireError::Value);
        }
        let words = (0..used).map(|_| reader.u64()).collect::<Result<_, _>>()?;
        Ok(AckBlock { next, echo, words })
    }
}
