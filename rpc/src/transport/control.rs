//! Datagrams that belong to no session: hellos, their answers, and refusals. Answers and refusals wait here to be sent, bounded and
//! rate-limited.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::security::noise::{Initiator, Keys, Responder};
use crate::security::secrets::Secrets;
use crate::security::vouch::Voucher;
use crate::time::Time;
use crate::wire::{Flags, Hello, Integrity, Kind, PREFIX_BYTES, Prefix, Protection, Reader, Reset, SEALED_HELLO_BYTES};
use crate::wire::{SessionId, WireError};

/// Writes such a datagram around what `body` appends. The CRC is there in every version and mode.
fn datagram(prefix: Prefix, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEALED_HELLO_BYTES);
    prefix.write(&mut out);
    body(&mut out);
    Integrity::Crc32.seal(&mut out);
    out
}

/// A hello or its answer, without a key.
pub(super) fn plain_hello(prefix: Prefix, hello: Hello) -> Vec<u8> {
    datagram(prefix, |out| hello.write(out))
}

/// A hello with a key: the first message of a handshake.
pub(super) fn sealed_hello(prefix: Prefix, hello: Hello, secrets: &mut Secrets) -> (Vec<u8>, Initiator) {
    let ephemeral = secrets.ephemeral();
    let mut begun = None;
    let bytes = datagram(prefix, |out| {
        begun = Some(Initiator::begin(&secrets.key, ephemeral, &payload(prefix, hello), out));
    });
    (bytes, begun.expect("it was just begun"))
}

/// Its answer: the second message.
pub(super) fn sealed_answer(prefix: Prefix, hello: Hello, responder: Responder) -> (Vec<u8>, Keys) {
    let mut out = Vec::with_capacity(SEALED_HELLO_BYTES);
    prefix.write(&mut out);
    let keys = responder.answer(&payload(prefix, hello), &mut out);
    Integrity::Crc32.seal(&mut out);
    (out, keys)
}

/// What the key vouches for in a handshake message: the prefix again, so that it cannot be changed on the way, and the hello.
fn payload(prefix: Prefix, hello: Hello) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + 16);
    prefix.write(&mut bytes);
    hello.write(&mut bytes);
    bytes
}

/// Reads it.
pub(super) fn read_payload(bytes: &[u8]) -> Result<(Prefix, Hello), WireError> {
    let mut reader = Reader::new(bytes);
    let read = (Prefix::read(&mut reader)?, Hello::read(&mut reader)?);
    if reader.remaining() == 0 { Ok(read) } else { Err(WireError::Value) }
}

/// A refusal; with a voucher, one that ends a session.
pub(super) fn refusal(
    protection: Protection,
    to: SessionId,
    from: SessionId,
    reset: Reset,
    voucher: Option<&Voucher>,
) -> Vec<u8> {
    let prefix = Prefix { flags: Flags::of(protection), ..Prefix::new(Kind::Reset, to, from) };
    datagram(prefix, |out| {
        reset.write(out);
        if let Some(voucher) = voucher {
            voucher.vouch(out);
        }
    })
}

/// The answers and refusals that wait to be sent.
#[derive(Debug)]
pub(super) struct Controls {
    queue: VecDeque<(SocketAddr, Vec<u8>)>,
    refusals_left: u32,
    refill_at: Time,
}

impl Controls {
    const COUNT_MAX: usize = 256;
    /// Refusals in each [`Self::REFILL`].
    const REFUSALS: u32 = 32;
    const REFILL: Duration = Duration::from_millis(20);

    pub fn new() -> Self {
        Controls { queue: VecDeque::new(), refusals_left: Self::REFUSALS, refill_at: Time::ZERO }
    }

    /// Queues one, unless there are too many: whoever waits for it will ask again. Whether it was queued.
    pub fn push(&mut self, addr: SocketAddr, datagram: Vec<u8>) -> bool {
        let has_room = self.queue.len() < Self::COUNT_MAX;
        if has_room {
            self.queue.push_back((addr, datagram));
        }
        has_room
    }

    /// Whether another refusal may be sent now: takes it from what is allowed.
    pub fn may_refuse(&mut self, now: Time) -> bool {
        if now >= self.refill_at {
            self.refill_at = now + Self::REFILL;
            self.refusals_left = Self::REFUSALS;
        }
        let Some(left) = self.refusals_left.checked_sub(1) else { return false };
        self.refusals_left = left;
        true
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn pop(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.queue.pop_front()
    }
}
