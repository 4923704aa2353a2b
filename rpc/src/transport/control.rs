//! Answers that belong to no session: acknowledged hellos and refusals. Bounded and rate-limited.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::time::Time;
use crate::wire::{Flags, Hello, Integrity, Kind, Prefix, Reset, SessionId};

/// What such a datagram says.
#[derive(Copy, Clone, Debug)]
pub(super) enum Control {
    Hello(Hello),
    HelloAck(Hello),
    Reset(Reset),
}

impl Control {
    /// Writes the datagram, which says what guards our data. Its own trailer is a CRC in every version and mode.
    pub fn write(self, integrity: Integrity, to: SessionId, from: SessionId, out: &mut Vec<u8>) {
        let kind = match self {
            Control::Hello(_) => Kind::Hello,
            Control::HelloAck(_) => Kind::HelloAck,
            Control::Reset(_) => Kind::Reset,
        };
        Prefix { flags: Flags::of(integrity), ..Prefix::new(kind, to, from) }.write(out);
        match self {
            Control::Hello(hello) | Control::HelloAck(hello) => hello.write(out),
            Control::Reset(reset) => reset.write(out),
        }
        Integrity::Crc32.seal(out);
    }
}

/// The answers that wait to be sent.
#[derive(Debug)]
pub(super) struct Controls {
    queue: VecDeque<(SocketAddr, SessionId, SessionId, Control)>,
    resets_left: u32,
    refill_at: Time,
}

impl Controls {
    const COUNT_MAX: usize = 256;
    /// Resets in each [`Self::REFILL`].
    const RESETS: u32 = 32;
    const REFILL: Duration = Duration::from_millis(20);

    pub fn new() -> Self {
        Controls { queue: VecDeque::new(), resets_left: Self::RESETS, refill_at: Time::ZERO }
    }

    /// Queues one, unless there are too many: whoever waits for it will ask again.
    pub fn push(&mut self, now: Time, addr: SocketAddr, to: SessionId, from: SessionId, control: Control) {
        if matches!(control, Control::Reset(_)) {
            if now >= self.refill_at {
                self.refill_at = now + Self::REFILL;
                self.resets_left = Self::RESETS;
            }
            if self.resets_left == 0 {
                return;
            }
            self.resets_left -= 1;
        }
        if self.queue.len() < Self::COUNT_MAX {
            self.queue.push_back((addr, to, from, control));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn pop(&mut self) -> Option<(SocketAddr, SessionId, SessionId, Control)> {
        self.queue.pop_front()
    }
}
