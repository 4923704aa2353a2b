//! What a datagram says, in one line.

use std::fmt::{self, Write};

use crate::call::message::{Call, CallId, How, Message};
use crate::transport::{Channel, Counters};
use crate::wire::{AckBlock, Flags, Fragment, Frames, HELLO_BYTES, Hello, Kind, Prefix, Reader, Reset, ResetReason};
use crate::wire::{VERSION, WireError};

/// So many messages of one datagram are told one by one.
const TOLD_MAX: usize = 16;

/// What the transport did while it handled a datagram, as its counters say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Fate {
    /// Fragments, the first ones of the datagram, that were sent before.
    pub again: u64,
    pub duplicates: u64,
    pub no_room: u64,
    pub damaged: bool,
    pub garbage: bool,
}

impl Fate {
    /// What happened between two looks at the counters.
    pub fn between(before: &Counters, after: &Counters) -> Fate {
        Fate {
            again: after.retransmissions - before.retransmissions,
            duplicates: after.duplicates_dropped - before.duplicates_dropped,
            no_room: after.overflow_dropped - before.overflow_dropped,
            damaged: after.corrupt_dropped > before.corrupt_dropped,
            garbage: after.garbage_dropped > before.garbage_dropped,
        }
    }
}

/// Appends what a datagram says. `trailer_bytes` at its end, if it carries data, are its seal.
pub(super) fn describe(line: &mut String, datagram: &[u8], trailer_bytes: usize, fate: Fate) {
    // A string takes everything.
    let _ = if fate.damaged {
        line.write_str("DAMAGED, DROPPED")
    } else {
        let start = line.len();
        told(line, datagram, trailer_bytes, fate).or_else(|_| {
            line.truncate(start);
            line.write_str("not a datagram of this protocol")
        })
    };
    let _ = outcome(line, fate);
}

/// Why the rest of a datagram is not told.
struct Unreadable;

impl From<WireError> for Unreadable {
    fn from(_: WireError) -> Self {
        Unreadable
    }
}

impl From<fmt::Error> for Unreadable {
    fn from(_: fmt::Error) -> Self {
        Unreadable
    }
}

fn told(line: &mut String, datagram: &[u8], trailer_bytes: usize, fate: Fate) -> Result<(), Unreadable> {
    let mut reader = Reader::new(datagram);
    let prefix = Prefix::read(&mut reader)?;
    match prefix.kind {
        _ if prefix.version != VERSION => write!(line, "version {} of the protocol", prefix.version)?,
        Kind::Hello | Kind::HelloAck => {
            line.push_str(if prefix.kind == Kind::Hello { "HELLO" } else { "HELLO ANSWERED" });
            if datagram.len() == HELLO_BYTES {
                let hello = Hello::read(&mut reader)?;
                write!(line, " by {:016x}, which takes datagrams of {} bytes", hello.boot, hello.datagram_max)?;
            }
        }
        Kind::Reset => {
            let reason = match Reset::read(&mut reader)?.reason {
                ResetReason::NoSession => "there is no such session",
                ResetReason::Version => "another version",
                ResetReason::Protection => "data is guarded in another way here",
                ResetReason::WrongKey => "the key here is another one",
            };
            write!(line, "RESET: {reason}")?;
        }
        Kind::Data => {
            let covered = datagram.get(..datagram.len().saturating_sub(trailer_bytes)).unwrap_or_default();
            let mut reader = Reader::new(covered);
            Prefix::read(&mut reader)?;
            data(line, prefix.flags, reader, fate)?;
        }
    }
    Ok(())
}

fn data(line: &mut String, flags: Flags, mut reader: Reader<'_>, fate: Fate) -> Result<(), Unreadable> {
    let packet = reader.u64()?;
    let ack = AckBlock::read(&mut reader)?;
    write!(line, "#{packet} ack {}", ack.next)?;
    let ahead: u32 = ack.words().iter().map(|word| word.count_ones()).sum();
    if ahead > 0 {
        write!(line, " and {ahead} beyond")?;
    }
    line.push_str(": ");
    // What follows is about the path then, and no messages.
    if flags.has(Flags::PROBE) {
        line.push_str("PROBE of the path");
        return Ok(());
    }
    if flags.has(Flags::PROBED) {
        line.push_str("PROBE ARRIVED");
        return Ok(());
    }
    let mut empty = true;
    if flags.has(Flags::PING) {
        line.push_str("PING");
        empty = false;
    }
    for (place, frame) in Frames::new(reader).enumerate() {
        let (fragment, bytes) = frame?;
        if !empty {
            line.push_str("; ");
        }
        empty = false;
        if place == TOLD_MAX {
            line.push_str("and more");
            break;
        }
        if (place as u64) < fate.again {
            line.push_str("RETRANSMIT ");
        }
        message(line, fragment, bytes)?;
    }
    if empty {
        line.push_str("ACK");
    }
    Ok(())
}

/// A message, or a part of it. Only the first part says what it is.
fn message(line: &mut String, fragment: Fragment, bytes: &[u8]) -> fmt::Result {
    let Fragment { sequence, index, count, channel } = fragment;
    if count > 1 {
        write!(line, "FRAGMENT {}/{count} of message {} ", index + 1, sequence.saturating_sub(u64::from(index)))?;
    }
    match Message::parse(bytes).filter(|_| index == 0 && Channel(channel) == Channel::CALL) {
        Some(Message::Request { call, arguments }) => request(line, &call, arguments.len()),
        Some(Message::Reply { call, status, body }) => {
            write!(line, "REPLY to call {}: {status:?}, {} bytes", Name(call), body.len())
        }
        Some(Message::Cancel(call)) => write!(line, "CANCEL call {}", Name(call)),
        Some(Message::Working(call)) => write!(line, "WORKING on call {}", Name(call)),
        None if count > 1 => write!(line, "({} bytes)", bytes.len()),
        None => write!(line, "MESSAGE on channel {channel}, {} bytes", bytes.len()),
    }
}

fn request(line: &mut String, call: &Call, bytes: usize) -> fmt::Result {
    let (kind, how) = match call.how {
        How::AtMostOnce => ("REQUEST", ""),
        How::Idempotent => ("REQUEST", ", idempotent"),
        How::Oneway => ("ONEWAY", ""),
    };
    let again = if call.age > 0 { "REPEATED " } else { "" };
    let (id, service, method) = (Name(call.id), call.service.0, call.method.number);
    write!(line, "{again}{kind} call {id} of service {service:08x}, method {method}{how}, {bytes} bytes")
}

/// A call's slot, and its number there.
struct Name(CallId);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.slot(), self.0.sequence())
    }
}

fn outcome(line: &mut String, fate: Fate) -> fmt::Result {
    let drops = [(fate.duplicates, "DUPLICATE DROPPED"), (fate.no_room, "NO ROOM, DROPPED")];
    for (count, what) in drops.into_iter().filter(|(count, _)| *count > 0) {
        write!(line, " -- {what}")?;
        if count > 1 {
            write!(line, " ({count} fragments)")?;
        }
    }
    if fate.garbage {
        line.push_str(" -- AGAINST THE RULES, DROPPED");
    }
    Ok(())
}
