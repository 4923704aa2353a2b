//! Who may take part, and what keeps everybody else out.
//!
//! [`Security`] is the choice that every endpoint has to make, [`Key`] is what its peers share. The rest is the machinery of the
//! transport: the handshake (`noise`), the keys of a session (`data`), the replay window (`replay`), and what vouches for
//! refusals (`vouch`). All of it is pure: randomness comes from the transport's seed.
//!
//! What a key gives: nobody without it reads, changes, adds or repeats a datagram of a session, opens a session, or ends one.
//! Whoever has recorded a session and learns the key later cannot read it either, because both sides add a secret of the moment.
//! What it does not: tell those who have it from each other. Everybody with the key may speak for everybody else, and an attacker
//! who can redirect datagrams can let one of them answer in the place of another. Lengths and times of datagrams are visible.

mod cipher;
pub(crate) mod data;
mod key;
pub(crate) mod noise;
mod primitives;
pub(crate) mod replay;
pub(crate) mod secrets;
pub(crate) mod vouch;

pub use key::{Key, KeyError};

use crate::wire::{Integrity, Protection};

/// What guards an endpoint's datagrams. Two endpoints with different ones refuse each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Security {
    /// A checksum against accidents, and nothing against people: for measurements, for lessons, and for networks where nobody
    /// else is. Anything but [`Integrity::Crc32`] lets damaged messages through.
    Plain(Integrity),
    /// A key that all endpoints share: sessions open with a Noise handshake, and every datagram is encrypted.
    PreShared(Key),
}

impl Security {
    /// What hellos and refusals say of it.
    pub(crate) fn protection(&self) -> Protection {
        match self {
            Security::Plain(integrity) => Protection::Plain(*integrity),
            Security::PreShared(_) => Protection::Sealed,
        }
    }
}

impl From<Key> for Security {
    fn from(key: Key) -> Security {
        Security::PreShared(key)
    }
}
