//! What guards the datagrams of one open session: a checksum, or its keys and its replay window.

use crate::planted::{Bug, Planted};
use crate::security::data::{OpenKey, SealKey};
use crate::security::noise::{Keys, Role};
use crate::security::replay::ReplayWindow;
use crate::wire::{Flags, Integrity, Protection, SEAL_BYTES, SEALED_HEADER_BYTES, WireError, seal_lent};

/// What AES encrypts at a time.
const BLOCK_BYTES: usize = 16;

/// One session's guard.
#[derive(Debug)]
pub(super) enum Guard {
    /// A checksum; the same for all sessions, and checked before it is known which one a datagram is for.
    Plain(Integrity),
    /// Keys.
    Sealed(Box<Seals>),
}

/// The keys of one session. When hellos cross there are two handshakes, and each side may have finished another one first: each
/// seals with the keys of its own first, says which in its flags, and opens with both.
#[derive(Debug)]
pub(super) struct Seals {
    role: Role,
    seal: SealKey,
    /// Of the handshake that the other side began, and of the one that this side did.
    open: [Option<OpenKey>; 2],
    window: ReplayWindow,
}

/// The place of the keys whose handshake the sender of a datagram began, or did not.
fn place(sender_is_initiator: bool) -> usize {
    usize::from(!sender_is_initiator)
}

impl Guard {
    /// With the keys of a finished handshake.
    pub fn sealed(keys: Keys) -> Guard {
        let mut open = [None, None];
        open[place(keys.role == Role::Responder)] = Some(keys.open);
        Guard::Sealed(Box::new(Seals { role: keys.role, seal: keys.seal, open, window: ReplayWindow::default() }))
    }

    /// Opens with the keys of the other handshake, too.
    pub fn open_also(&mut self, keys: Keys) {
        if let Guard::Sealed(seals) = self {
            seals.open[place(keys.role == Role::Responder)].get_or_insert(keys.open);
        }
    }

    pub fn protection(&self) -> Protection {
        match self {
            Guard::Plain(integrity) => Protection::Plain(*integrity),
            Guard::Sealed(_) => Protection::Sealed,
        }
    }

    /// What the flags of a datagram say of it.
    pub fn flags(&self) -> Flags {
        match self {
            Guard::Sealed(seals) if seals.role == Role::Initiator => Flags::INITIATOR,
            _ => Flags::NONE,
        }
    }

    /// Pads a datagram so that what is to be encrypted consists of whole blocks, unless it became longer than `limit`: a last block that
    /// is not whole makes sealing a small message half as dear again (0.13 us, 0.09 us with the padding), and opening it, too.
    pub fn pad(&self, datagram: &mut Vec<u8>, limit: usize) {
        let missing = datagram.len().wrapping_sub(SEALED_HEADER_BYTES).wrapping_neg() % BLOCK_BYTES;
        let padded = datagram.len() + missing;
        if matches!(self, Guard::Sealed(_)) && padded + SEAL_BYTES <= limit {
            datagram.resize(padded, 0);
        }
    }

    /// Whether it can finish a datagram a part of which stands elsewhere.
    pub fn lends(&self) -> bool {
        matches!(self, Guard::Plain(Integrity::Crc32))
    }

    /// Finishes a datagram of this number, of which `lent` is to stand before the trailer: empty, unless it [`Self::lends`].
    pub fn seal(&mut self, packet: u64, datagram: &mut Vec<u8>, lent: &[u8]) {
        match self {
            Guard::Plain(integrity) if lent.is_empty() => integrity.seal(datagram),
            Guard::Plain(_) => seal_lent(datagram, lent),
            Guard::Sealed(seals) => seals.seal.seal(packet, SEALED_HEADER_BYTES, datagram),
        }
    }

    /// Opens a sealed datagram in place and notes its number; gives its length without the tag. One that was here before is not
    /// even looked at.
    pub fn open(
        &mut self,
        flags: Flags,
        packet: u64,
        datagram: &mut [u8],
        planted: Planted,
    ) -> Result<usize, WireError> {
        let Guard::Sealed(seals) = self else { return Err(WireError::Foreign) };
        if !seals.window.is_fresh(packet) && !planted.has(Bug::ReplayAccepted) {
            return Err(WireError::Replayed);
        }
        let key = seals.open[place(flags.has(Flags::INITIATOR))].as_mut().ok_or(WireError::Corrupt)?;
        let length = key.open(packet, SEALED_HEADER_BYTES, datagram)?;
        seals.window.note(packet);
        Ok(length)
    }

    /// Notes the number of a datagram that was opened before there was a session.
    pub fn note(&mut self, packet: u64) {
        if let Guard::Sealed(seals) = self {
            seals.window.note(packet);
        }
    }
}
