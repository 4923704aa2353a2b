//! Replies that found the send queue of their peer full: they follow as acknowledgements make room.

use std::collections::{BTreeSet, VecDeque};

use crate::codec::Encoded;
use crate::driver::Driver;
use crate::transport::{Channel, Outgoing, Peer, SendError};

use super::error::put_text;
use super::message::{self, CallId, Status};

/// What a reply is charged beyond its bytes.
const REPLY_CHARGE: usize = 128;

/// A reply, and to what.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) call: CallId,
    pub(crate) status: Status,
    pub(crate) body: Encoded,
}

impl Reply {
    fn charge(&self) -> usize {
        self.body.len() + REPLY_CHARGE
    }

    /// Becomes the news that the result cannot be sent. False: it was none.
    fn fail(&mut self, why: &str) -> bool {
        if self.status != Status::Done {
            return false;
        }
        self.status = Status::BadResult;
        put_text(&mut self.body, why);
        true
    }
}

#[derive(Debug)]
struct Waiting {
    peer: Peer,
    reply: Reply,
}

/// Why a reply has not been sent.
enum Denied {
    /// The queue of its peer is full.
    NoRoom(SendError),
    /// Not even an empty queue has room for it.
    Never(SendError),
    /// There is nobody to send it to.
    Gone,
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

    /// Sends a reply now or, if there is no room, a copy of it later. What can never be sent becomes the news of that. False: it was
    /// given up.
    pub(crate) fn send(&mut self, driver: &mut Driver, peer: Peer, reply: &mut Reply) -> bool {
        loop {
            let why = match offer(driver, peer, reply) {
                Ok(()) => return true,
                Err(Denied::NoRoom(_)) if self.bytes + reply.charge() <= self.bytes_max => {
                    self.hold(Waiting { peer, reply: reply.clone() });
                    return true;
                }
                Err(Denied::NoRoom(error) | Denied::Never(error)) => error,
                Err(Denied::Gone) => return false,
            };
            if !reply.fail(&why.to_string()) {
                return false;
            }
        }
    }

    fn hold(&mut self, waiting: Waiting) {
        self.bytes += waiting.reply.charge();
        self.waiting.push_back(waiting);
    }

    /// Sends what has found room. Returns how many replies were given up.
    pub(crate) fn flush(&mut self, driver: &mut Driver) -> u64 {
        let mut given_up = 0;
        let mut full = BTreeSet::new();
        for mut waiting in std::mem::take(&mut self.waiting) {
            self.bytes -= waiting.reply.charge();
            if full.contains(&waiting.peer) {
                self.hold(waiting);
                continue;
            }
            match offer(driver, waiting.peer, &waiting.reply) {
                Ok(()) => {}
                Err(Denied::NoRoom(_)) => {
                    full.insert(waiting.peer);
                    self.hold(waiting);
                }
                Err(Denied::Never(_) | Denied::Gone) => {
                    given_up += u64::from(!self.send(driver, waiting.peer, &mut waiting.reply));
                }
            }
        }
        given_up
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn offer(driver: &mut Driver, peer: Peer, reply: &Reply) -> Result<(), Denied> {
    let header = message::reply_header(reply.call, reply.status);
    let [before, long, behind] = reply.body.parts();
    let parts: [&[u8]; 4] = [&header, before, long, behind];
    let message = Outgoing { owner: reply.body.lent(), ..Outgoing::of(&parts) };
    driver.send_message(peer, Channel::CALL, message).map_err(|error| match error {
        SendError::TooLarge { .. } | SendError::NotFragmented { .. } | SendError::Backlog { queued: 0 } => {
            Denied::Never(error)
        }
        SendError::Backlog { .. } => Denied::NoRoom(error),
        SendError::Gone | SendError::TooManyPeers { .. } => Denied::Gone,
    })
}
