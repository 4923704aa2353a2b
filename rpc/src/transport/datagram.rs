//! A datagram that is about to leave.

use bytes::Bytes;

use crate::wire::LENT_TRAILER_BYTES;

/// A datagram as [`super::Transport::transmit_lending`] makes it: the kernel puts its pieces together, which spares a copy of what is long.
#[derive(Clone, Debug, Default)]
pub struct Datagram {
    pub(super) bytes: Vec<u8>,
    /// What stands before the trailer, in the memory of the message that it is a part of; empty if all is in `bytes`.
    pub(super) lent: Bytes,
}

impl Datagram {
    /// How long it is, bytes.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.lent.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Room for a datagram in one piece. What was lent before is given back.
    pub fn in_one_piece(&mut self) -> &mut Vec<u8> {
        self.lent = Bytes::new();
        &mut self.bytes
    }

    /// It has left: what was lent is given back.
    pub fn give_back(&mut self) {
        if !self.lent.is_empty() {
            self.lent = Bytes::new();
        }
    }

    /// All of it, where it is in one piece.
    pub fn whole(&self) -> Option<&[u8]> {
        self.lent.is_empty().then_some(&self.bytes)
    }

    /// It is these, one after the other.
    pub fn pieces(&self) -> [&[u8]; 3] {
        let trailer = if self.lent.is_empty() { 0 } else { LENT_TRAILER_BYTES };
        let (before, behind) = self.bytes.split_at(self.bytes.len().saturating_sub(trailer));
        [before, &self.lent, behind]
    }
}
