//! Replies that found the send queue of their peer full: they follow as acknowledgements make room.

use std::collections::{BTreeSet, VecDeque};

use crate::driver::Driver;
use crate::transport::{Channel, Peer, SendError};

use super::error::put_text;
use super::message::{self, CallId, Status};

/// What a reply is charged beyond its bytes.
const REPLY_CHARGE: usize = 128;

#[derive(Debug)]
struct Waiting {
    peer: Peer,
    call: CallId,
    status: Status,
    body: Vec<u8>,
}

/// The replies, in the order in which they are to leave.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    bytes_max: usize,
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Outbox { waiting: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Whether so much waits that no more work should be taken on.
    pub(crate) fn is_crowded(&self) -> bool {
        self.bytes > self.bytes_max / 2
    }

    /// Sends a reply now or, if there is no room, later; `body` may be taken. False: it was given up.
    pub(crate) fn send(
        &mut self,
        driver: &mut Driver,
        peer: Peer,
        call: CallId,
        mut status: Status,
        body: &mut Vec<u8>,
    ) -> bool {
        loop {
            let why = match driver.send(peer, Channel::CALL, &[&message::reply_header(call, status), body]) {
                Ok(()) => return true,
                // Not even an empty queue has room for it.
                Err(
                    error @ (SendError::TooLarge { .. }
                    | SendError::NotFragmented { .. }
                    | SendError::Backlog { queued: 0 }),
                ) => error.to_string(),
                Err(SendError::Backlog { .. }) if self.bytes + body.len() + REPLY_CHARGE <= self.bytes_max => {
                    self.bytes += body.len() + REPLY_CHARGE;
                    self.waiting.push_back(Waiting { peer, call, status, body: std::mem::take(body) });
                    return true;
                }
                Err(error @ SendError::Backlog { .. }) => error.to_string(),
                Err(SendError::Gone | SendError::TooManyPeers { .. }) => return false,
            };
            if status != Status::Done {
                return false;
            }
            status = Status::BadResult;
            put_text(body, &why);
        }
    }

    /// Sends what has found room. Returns how many replies were given up.
    pub(crate) fn flush(&mut self, driver: &mut Driver) -> u64 {
        let mut given_up = 0;
        let mut full = BTreeSet::new();
        for mut waiting in std::mem::take(&mut self.waiting) {
            let charge = waiting.body.len() + REPLY_CHARGE;
            if full.contains(&waiting.peer) {
                self.waiting.push_back(waiting);
                continue;
            }
            self.bytes -= charge;
            let before = self.waiting.len();
            let Waiting { peer, call, status, ref mut body } = waiting;
            given_up += u64::from(!self.send(driver, peer, call, status, body));
            if self.waiting.len() > before {
                full.insert(peer);
            }
        }
        given_up
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
