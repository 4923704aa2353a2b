//! What nodes say to each other, and its bytes on the wire.
//!
//! A message is a tag byte and fields of fixed size in network byte order. Page bytes are not part of it: where a
//! [`PageMessage::Grant`] carries [`Contents::Bytes`], they follow the message and are the engine's affair.

use crate::ids::{Epoch, LockId, NodeId, NodeSet, Page, RequestId};

/// What a fault wants, and what a copy allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Loads.
    Read,
    /// Loads and stores.
    Write,
}

/// What who hands a page over keeps of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handover {
    /// A copy for reading, as the requester gets.
    Share,
    /// Nothing where it has written the page since it came, and then the requester may write; else as for [`Handover::Share`].
    Migrate,
    /// Nothing: the requester may write.
    Take,
}

/// Where the receiver of a grant finds the page's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contents {
    /// Nobody ever wrote the page: it is all zero bytes, and none travel.
    Zero,
    /// The receiver's own copy is fresh.
    Keep,
    /// The bytes follow the message.
    Bytes,
}

/// The words of the sequentially consistent page protocol ([`crate::sequential`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageMessage {
    /// Requester to home: I need this access.
    Request {
        /// The page.
        page: Page,
        /// The requester's number for this request.
        request: RequestId,
        /// What is needed.
        access: Access,
    },
    /// Home to a node with a fresh copy: hand the page to `requester` (a *recall* where nothing is kept).
    Forward {
        /// The page.
        page: Page,
        /// The transaction.
        epoch: Epoch,
        /// Who gets the page.
        requester: NodeId,
        /// The requester's number for its request.
        request: RequestId,
        /// What the receiver keeps.
        handover: Handover,
        /// Whose copies the requester must hear to be gone, besides the receiver's.
        awaiting: NodeSet,
    },
    /// Home or owner to requester: here it is.
    Grant {
        /// The page.
        page: Page,
        /// The transaction.
        epoch: Epoch,
        /// The request that this answers.
        request: RequestId,
        /// What is granted: what was asked for, or more.
        access: Access,
        /// Where the contents are.
        contents: Contents,
        /// From whom an [`PageMessage::Invalidated`] must come before the grant takes effect.
        awaiting: NodeSet,
    },
    /// Home to a node with a copy: give it up, and tell `requester`.
    Invalidate {
        /// The page.
        page: Page,
        /// The transaction.
        epoch: Epoch,
        /// Who is going to write.
        requester: NodeId,
    },
    /// Former holder of a copy to the node that is going to write: mine is gone.
    Invalidated {
        /// The page.
        page: Page,
        /// The transaction.
        epoch: Epoch,
    },
    /// Requester to home: the grant has taken effect, the next transaction may start.
    Done {
        /// The page.
        page: Page,
        /// The transaction.
        epoch: Epoch,
        /// What was granted.
        access: Access,
    },
}

impl PageMessage {
    /// The page that it is about.
    pub fn page(&self) -> Page {
        match *self {
            PageMessage::Request { page, .. }
            | PageMessage::Forward { page, .. }
            | PageMessage::Grant { page, .. }
            | PageMessage::Invalidate { page, .. }
            | PageMessage::Invalidated { page, .. }
            | PageMessage::Done { page, .. } => page,
        }
    }

    /// Whether page bytes follow this message.
    pub fn carries_bytes(&self) -> bool {
        matches!(self, PageMessage::Grant { contents: Contents::Bytes, .. })
    }
}

/// The words of the lock protocol ([`crate::locks`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMessage {
    /// Node to the lock's home: put me into the queue.
    Acquire {
        /// The lock.
        lock: LockId,
        /// The sender's number for this request.
        request: RequestId,
    },
    /// Home to the node that was last in the queue: this one comes after your tenure of that number.
    Pass {
        /// The lock.
        lock: LockId,
        /// The receiver's request whose tenure is meant.
        tenure: RequestId,
        /// The successor.
        to: NodeId,
        /// The successor's request.
        request: RequestId,
    },
    /// Holder to successor: the lock is yours.
    Token {
        /// The lock.
        lock: LockId,
        /// The request that this answers.
        request: RequestId,
    },
}

/// The word of the barrier ([`crate::barrier`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BarrierMessage {
    /// Which barrier of the job, from 0.
    pub generation: u64,
    /// Which round of it, from 0.
    pub round: u8,
    /// What the sender's program called: equal on all nodes of a correct program.
    pub purpose: u64,
}

/// An operation on one aligned 64-bit word, performed at the home of its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AtomicOperation {
    /// Add (wrapping), and return what was there before.
    FetchAdd {
        /// What to add.
        value: u64,
    },
    /// Store `new` where `expect` is found, and return what was there before.
    CompareSwap {
        /// The value that must be there.
        expect: u64,
        /// What takes its place.
        new: u64,
    },
}

/// The words of remote atomic operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AtomicMessage {
    /// Node to home of the word's page.
    Perform {
        /// The sender's number for this operation.
        request: RequestId,
        /// The word's offset from the start of the region in bytes, a multiple of 8.
        offset: u64,
        /// What to do there.
        operation: AtomicOperation,
    },
    /// Home to node: done.
    Performed {
        /// The operation that this answers.
        request: RequestId,
        /// What was there before.
        old: u64,
    },
}

/// Everything that nodes of a job say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// About a page.
    Page(PageMessage),
    /// About a lock.
    Lock(LockMessage),
    /// About the barrier.
    Barrier(BarrierMessage),
    /// About an atomic operation.
    Atomic(AtomicMessage),
    /// The sender lost this node and ends because of it: so will the receiver, for the same reason. Without it, a node would
    /// blame whoever ended first.
    Obituary(NodeId),
}

/// The longest encoding of a [`Message`] in bytes (that of [`PageMessage::Forward`]).
pub const ENCODED_BYTES_MAX: usize = 40;

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the message ends in the middle of a field")]
    Truncated,
    /// A field has a value that means nothing.
    #[error("byte {value} is no {field}")]
    Unknown {
        /// Which field.
        field: &'static str,
        /// What stood there.
        value: u8,
    },
}

impl Message {
    /// Appends the encoding to `out`: at most [`ENCODED_BYTES_MAX`] bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Page(message) => encode_page(message, out),
            Message::Lock(message) => encode_lock(message, out),
            Message::Barrier(BarrierMessage { generation, round, purpose }) => {
                put(out, 10, &[*generation, *purpose]);
                out.push(*round);
            }
            Message::Atomic(message) => encode_atomic(message, out),
            Message::Obituary(node) => out.extend_from_slice(&[14, node.rank() as u8]),
        }
    }

    /// Reads one message from the front of `bytes` and returns what follows it.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where the bytes are no message. Page, node and epoch numbers are not judged here: the machines take any.
    pub fn decode(bytes: &[u8]) -> Result<(Message, &[u8]), DecodeError> {
        let mut reader = Reader { rest: bytes };
        let message = match reader.byte()? {
            tag @ 1..=6 => Message::Page(decode_page(tag, &mut reader)?),
            tag @ 7..=9 => Message::Lock(decode_lock(tag, &mut reader)?),
            10 => {
                let (generation, purpose) = (reader.word()?, reader.word()?);
                Message::Barrier(BarrierMessage { generation, round: reader.byte()?, purpose })
            }
            tag @ 11..=13 => Message::Atomic(decode_atomic(tag, &mut reader)?),
            14 => Message::Obituary(reader.node()?),
            value => return Err(DecodeError::Unknown { field: "kind of message", value }),
        };
        Ok((message, reader.rest))
    }
}

fn put(out: &mut Vec<u8>, tag: u8, words: &[u64]) {
    out.push(tag);
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn encode_page(message: &PageMessage, out: &mut Vec<u8>) {
    match *message {
        PageMessage::Request { page, request, access } => {
            put(out, 1, &[page.0, request.0]);
            out.push(access as u8);
        }
        PageMessage::Forward { page, epoch, requester, request, handover, awaiting } => {
            put(out, 2, &[page.0, epoch.0, request.0, awaiting.bits()]);
            out.extend_from_slice(&[requester.rank() as u8, handover as u8]);
        }
        PageMessage::Grant { page, epoch, request, access, contents, awaiting } => {
            put(out, 3, &[page.0, epoch.0, request.0, awaiting.bits()]);
            out.extend_from_slice(&[access as u8, contents as u8]);
        }
        PageMessage::Invalidate { page, epoch, requester } => {
            put(out, 4, &[page.0, epoch.0]);
            out.push(requester.rank() as u8);
        }
        PageMessage::Invalidated { page, epoch } => put(out, 5, &[page.0, epoch.0]),
        PageMessage::Done { page, epoch, access } => {
            put(out, 6, &[page.0, epoch.0]);
            out.push(access as u8);
        }
    }
}

fn decode_page(tag: u8, reader: &mut Reader<'_>) -> Result<PageMessage, DecodeError> {
    let page = Page(reader.word()?);
    Ok(match tag {
        1 => PageMessage::Request { page, request: reader.request()?, access: reader.access()? },
        2 => {
            let (epoch, request, awaiting) = (reader.epoch()?, reader.request()?, NodeSet::from_bits(reader.word()?));
            let (requester, handover) = (reader.node()?, reader.handover()?);
            PageMessage::Forward { page, epoch, requester, request, handover, awaiting }
        }
        3 => {
            let (epoch, request, awaiting) = (reader.epoch()?, reader.request()?, NodeSet::from_bits(reader.word()?));
            let (access, contents) = (reader.access()?, reader.contents()?);
            PageMessage::Grant { page, epoch, request, access, contents, awaiting }
        }
        4 => PageMessage::Invalidate { page, epoch: reader.epoch()?, requester: reader.node()? },
        5 => PageMessage::Invalidated { page, epoch: reader.epoch()? },
        _ => PageMessage::Done { page, epoch: reader.epoch()?, access: reader.access()? },
    })
}

fn encode_lock(message: &LockMessage, out: &mut Vec<u8>) {
    match *message {
        LockMessage::Acquire { lock, request } => put(out, 7, &[lock.0, request.0]),
        LockMessage::Pass { lock, tenure, to, request } => {
            put(out, 8, &[lock.0, tenure.0, request.0]);
            out.push(to.rank() as u8);
        }
        LockMessage::Token { lock, request } => put(out, 9, &[lock.0, request.0]),
    }
}

fn decode_lock(tag: u8, reader: &mut Reader<'_>) -> Result<LockMessage, DecodeError> {
    let lock = LockId(reader.word()?);
    Ok(match tag {
        7 => LockMessage::Acquire { lock, request: reader.request()? },
        8 => {
            let (tenure, request) = (reader.request()?, reader.request()?);
            LockMessage::Pass { lock, tenure, to: reader.node()?, request }
        }
        _ => LockMessage::Token { lock, request: reader.request()? },
    })
}

fn encode_atomic(message: &AtomicMessage, out: &mut Vec<u8>) {
    match *message {
        AtomicMessage::Perform { request, offset, operation } => match operation {
            AtomicOperation::FetchAdd { value } => put(out, 11, &[request.0, offset, value]),
            AtomicOperation::CompareSwap { expect, new } => put(out, 12, &[request.0, offset, expect, new]),
        },
        AtomicMessage::Performed { request, old } => put(out, 13, &[request.0, old]),
    }
}

fn decode_atomic(tag: u8, reader: &mut Reader<'_>) -> Result<AtomicMessage, DecodeError> {
    let request = reader.request()?;
    Ok(match tag {
        11 => {
            let (offset, operation) = (reader.word()?, AtomicOperation::FetchAdd { value: reader.word()? });
            AtomicMessage::Perform { request, offset, operation }
        }
        12 => {
            let offset = reader.word()?;
            let operation = AtomicOperation::CompareSwap { expect: reader.word()?, new: reader.word()? };
            AtomicMessage::Perform { request, offset, operation }
        }
        _ => AtomicMessage::Performed { request, old: reader.word()? },
    })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    fn word(&mut self) -> Result<u64, DecodeError> {
        let (word, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*word))
    }

    fn request(&mut self) -> Result<RequestId, DecodeError> {
        self.word().map(RequestId)
    }

    fn epoch(&mut self) -> Result<Epoch, DecodeError> {
        self.word().map(Epoch)
    }

    fn node(&mut self) -> Result<NodeId, DecodeError> {
        let value = self.byte()?;
        NodeId::new(usize::from(value)).ok_or(DecodeError::Unknown { field: "node", value })
    }

    fn access(&mut self) -> Result<Access, DecodeError> {
        match self.byte()? {
            0 => Ok(Access::Read),
            1 => Ok(Access::Write),
            value => Err(DecodeError::Unknown { field: "access", value }),
        }
    }

    fn handover(&mut self) -> Result<Handover, DecodeError> {
        match self.byte()? {
            0 => Ok(Handover::Share),
            1 => Ok(Handover::Migrate),
            2 => Ok(Handover::Take),
            value => Err(DecodeError::Unknown { field: "handover", value }),
        }
    }

    fn contents(&mut self) -> Result<Contents, DecodeError> {
        match self.byte()? {
            0 => Ok(Contents::Zero),
            1 => Ok(Contents::Keep),
            2 => Ok(Contents::Bytes),
            value => Err(DecodeError::Unknown { field: "contents", value }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Message> {
        let node = NodeId::new(63).unwrap();
        let (page, epoch, request, lock) = (Page(u64::MAX), Epoch(0x0102), RequestId(7), LockId(u64::MAX));
        let awaiting = NodeSet::from_bits(0x8000_0000_0000_0001);
        vec![
            Message::Page(PageMessage::Request { page, request, access: Access::Write }),
            Message::Page(PageMessage::Forward {
                page,
                epoch,
                requester: node,
                request,
                handover: Handover::Migrate,
                awaiting,
            }),
            Message::Page(PageMessage::Grant {
                page,
                epoch,
                request,
                access: Access::Write,
                contents: Contents::Bytes,
                awaiting,
            }),
            Message::Page(PageMessage::Invalidate { page, epoch, requester: node }),
            Message::Page(PageMessage::Invalidated { page, epoch }),
            Message::Page(PageMessage::Done { page, epoch, access: Access::Write }),
            Message::Lock(LockMessage::Acquire { lock, request }),
            Message::Lock(LockMessage::Pass { lock, tenure: RequestId(1), to: node, request }),
            Message::Lock(LockMessage::Token { lock, request }),
            Message::Barrier(BarrierMessage { generation: 3, round: 5, purpose: 9 }),
            Message::Atomic(AtomicMessage::Perform {
                request,
                offset: 8,
                operation: AtomicOperation::FetchAdd { value: 1 },
            }),
            Message::Atomic(AtomicMessage::Perform {
                request,
                offset: 8,
                operation: AtomicOperation::CompareSwap { expect: 1, new: 2 },
            }),
            Message::Atomic(AtomicMessage::Performed { request, old: 5 }),
            Message::Obituary(node),
        ]
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_and_leaves_the_rest() {
        for message in examples() {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            assert!(bytes.len() <= ENCODED_BYTES_MAX, "{message:?} takes {} bytes", bytes.len());
            bytes.extend_from_slice(b"page");
            assert_eq!(Message::decode(&bytes), Ok((message, &b"page"[..])));
        }
    }

    #[test]
    fn every_shortened_message_is_refused() {
        for message in examples() {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            for length in 0..bytes.len() {
                assert_eq!(Message::decode(&bytes[..length]), Err(DecodeError::Truncated));
            }
        }
    }

    #[test]
    fn unknown_kinds_and_nodes_are_refused() {
        assert!(matches!(Message::decode(&[0]), Err(DecodeError::Unknown { .. })));
        assert!(matches!(Message::decode(&[200]), Err(DecodeError::Unknown { .. })));
        let mut bytes = Vec::new();
        Message::Page(PageMessage::Invalidate { page: Page(0), epoch: Epoch(0), requester: NodeId::new(0).unwrap() })
            .encode(&mut bytes);
        *bytes.last_mut().unwrap() = 64;
        assert_eq!(Message::decode(&bytes), Err(DecodeError::Unknown { field: "node", value: 64 }));
    }

    #[test]
    fn the_bytes_of_a_request_are_these_on_every_machine() {
        let mut bytes = Vec::new();
        Message::Page(PageMessage::Request { page: Page(0x0102), request: RequestId(3), access: Access::Write })
            .encode(&mut bytes);
        assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 1]);
    }
}
