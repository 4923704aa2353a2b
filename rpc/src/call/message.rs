//! What travels on [`Channel::CALL`](crate::transport::Channel::CALL): requests and replies, in network byte order.
//!
//! | message | bytes |
//! | --- | --- |
//! | request | kind 1 `u8`, call `u64`, how `u8`, session `u32`, age `u8`, time left `u32`, service `u32`, method: number `u16`, version `u16`, schema `u32`; encoded arguments |
//! | reply | kind 2 `u8`, call `u64`, status `u8`, encoded result (status 0) or a text (others) |
//! | cancel | kind 3 `u8`, call `u64` |
//! | working | kind 4 `u8`, call `u64` |
//!
//! A call is sent again only on another session than before: on one session the transport delivers each message once.
//!
//! The kind byte tells messages apart, so that further ones need no other version of these.

use std::time::Duration;

use super::interface::Schema;

/// Names one call of one client for as long as the client lives: the reply repeats it. A call has a *slot* of the client's to
/// itself until it is over, and a sequence number there that is larger than those of the slot's earlier calls (RFC 8881's
/// session slots), so a server that knows the last call of each slot knows which calls are over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

impl CallId {
    /// No slot has a number as large as this.
    pub const SLOTS_MAX: usize = 1 << Self::SLOT_BITS;
    const SLOT_BITS: u32 = 16;

    /// The call of this sequence number (48 bits) in this slot.
    pub const fn new(slot: u16, sequence: u64) -> Self {
        CallId(sequence << Self::SLOT_BITS | slot as u64)
    }

    /// The slot.
    pub const fn slot(self) -> usize {
        self.0 as u16 as usize
    }

    /// The number in the slot.
    pub const fn sequence(self) -> u64 {
        self.0 >> Self::SLOT_BITS
    }
}

/// A service's number on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceId(pub u32);

impl ServiceId {
    /// The number of the service of this name: the 32-bit FNV-1a hash (draft-eastlake-fnv), the same on every machine.
    pub const fn of(name: &str) -> Self {
        ServiceId(fnv1a(name))
    }
}

/// The 32-bit FNV-1a hash (draft-eastlake-fnv).
pub(super) const fn fnv1a(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut hash = 0x811c_9dc5u32;
    let mut place = 0;
    while place < bytes.len() {
        hash = (hash ^ bytes[place] as u32).wrapping_mul(0x0100_0193);
        place += 1;
    }
    hash
}

/// How a request names a method, and what the caller believes it to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MethodId {
    /// Its number in its service: the hash of its name, or what the trait gives it.
    pub number: u16,
    /// The service's version.
    pub version: u16,
    /// Hash of the service's name and version, of the method's name and types, and of what those look like on the wire.
    pub schema: u32,
}

impl MethodId {
    /// What both ends must agree on.
    pub fn schema(self) -> Schema {
        Schema { version: self.version, hash: self.schema }
    }
}

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const CANCEL: u8 = 3;
const WORKING: u8 = 4;
/// Bytes before the arguments of a request.
pub const REQUEST_HEADER_BYTES: usize = 31;
/// Bytes before the body of a reply.
pub const REPLY_HEADER_BYTES: usize = 10;
/// Bytes of the other messages.
const NOTICE_BYTES: usize = 9;

/// How a request is to be treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// It runs at most once, also if it comes again on a later session.
    AtMostOnce,
    /// It may run as often as it comes.
    Idempotent,
    /// It has no reply, and does not come again.
    Oneway,
}

impl How {
    const ALL: [How; 3] = [How::AtMostOnce, How::Idempotent, How::Oneway];

    fn from_wire(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|how| *how as u8 == byte)
    }
}

/// What a request says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// To be repeated in the reply.
    pub id: CallId,
    /// How to treat it.
    pub how: How,
    /// The client numbers its sessions with one incarnation of the server: which one this is.
    pub session: u32,
    /// How many sessions ago the call was sent for the first time.
    pub age: u8,
    /// How long the caller is still going to wait; none: for ever. On the wire microseconds, with all bits set for "none".
    pub time_left: Option<Duration>,
    /// Which service.
    pub service: ServiceId,
    /// Which of its methods.
    pub method: MethodId,
}

/// How a call went, as the server tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// The body is the encoded result.
    Done,
    /// No such service here.
    UnknownService,
    /// The service has no such method.
    UnknownMethod,
    /// The arguments could not be decoded; the body says why.
    BadArguments,
    /// The queue is full.
    Overloaded,
    /// The server is stopping.
    Stopping,
    /// The handler panicked; the body says with what.
    Panicked,
    /// The handler's result could not be sent; the body says why.
    BadResult,
    /// The caller's time was over before the call could begin.
    Expired,
    /// The call has run, and its reply is not kept any more.
    NotKept,
    /// The call is an old one, and what is known of this client does not reach back to it.
    Forgotten,
    /// The caller holds another interface of the service; the body is the encoded [`SchemaMismatch`](super::SchemaMismatch).
    OtherSchema,
}

impl Status {
    const ALL: [Status; 12] = [
        Status::Done,
        Status::UnknownService,
        Status::UnknownMethod,
        Status::BadArguments,
        Status::Overloaded,
        Status::Stopping,
        Status::Panicked,
        Status::BadResult,
        Status::Expired,
        Status::NotKept,
        Status::Forgotten,
        Status::OtherSchema,
    ];

    fn from_wire(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as u8 == byte)
    }
}

/// Where a request says how much time is left.
pub(super) const TIME_LEFT: usize = 15;

/// A request's header, to go before the arguments.
pub fn request_header(call: &Call) -> [u8; REQUEST_HEADER_BYTES] {
    let time_left = call.time_left.map_or(u32::MAX, |left| u32::try_from(left.as_micros()).unwrap_or(u32::MAX));
    let mut header = [0; REQUEST_HEADER_BYTES];
    header[0] = REQUEST;
    header[1..9].copy_from_slice(&call.id.0.to_be_bytes());
    header[9] = call.how as u8;
    header[10..14].copy_from_slice(&call.session.to_be_bytes());
    header[14] = call.age;
    header[TIME_LEFT..TIME_LEFT + 4].copy_from_slice(&time_left.to_be_bytes());
    header[19..23].copy_from_slice(&call.service.0.to_be_bytes());
    header[23..25].copy_from_slice(&call.method.number.to_be_bytes());
    header[25..27].copy_from_slice(&call.method.version.to_be_bytes());
    header[27..31].copy_from_slice(&call.method.schema.to_be_bytes());
    header
}

/// A reply's header, to go before the result.
pub fn reply_header(call: CallId, status: Status) -> [u8; REPLY_HEADER_BYTES] {
    let mut header = [0; REPLY_HEADER_BYTES];
    header[0] = REPLY;
    header[1..9].copy_from_slice(&call.0.to_be_bytes());
    header[9] = status as u8;
    header
}

/// The message that nobody waits for a call any more.
pub fn cancel(call: CallId) -> [u8; NOTICE_BYTES] {
    notice(CANCEL, call)
}

/// The message that a call that came again is known, and is not over.
pub fn working(call: CallId) -> [u8; NOTICE_BYTES] {
    notice(WORKING, call)
}

fn notice(kind: u8, call: CallId) -> [u8; NOTICE_BYTES] {
    let mut bytes = [0; NOTICE_BYTES];
    bytes[0] = kind;
    bytes[1..9].copy_from_slice(&call.0.to_be_bytes());
    bytes
}

/// A message as it arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// Somebody calls.
    Request {
        /// What, and how.
        call: Call,
        /// Encoded.
        arguments: &'a [u8],
    },
    /// A call of ours was answered.
    Reply {
        /// Which call.
        call: CallId,
        /// How it went.
        status: Status,
        /// The encoded result, or a text.
        body: &'a [u8],
    },
    /// The caller has given this call up.
    Cancel(CallId),
    /// A call of ours that was sent again is not over.
    Working(CallId),
}

impl<'a> Message<'a> {
    /// Reads a message; None if it is not one of ours.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk::<8>()?;
        let id = CallId(u64::from_be_bytes(*id));
        match *kind {
            REQUEST => parse_request(id, rest),
            REPLY => {
                let (status, body) = rest.split_first()?;
                Some(Message::Reply { call: id, status: Status::from_wire(*status)?, body })
            }
            CANCEL if rest.is_empty() => Some(Message::Cancel(id)),
            WORKING if rest.is_empty() => Some(Message::Working(id)),
            _ => None,
        }
    }
}

fn parse_request(id: CallId, rest: &[u8]) -> Option<Message<'_>> {
    let (how, rest) = rest.split_first()?;
    let (session, rest) = rest.split_first_chunk::<4>()?;
    let (age, rest) = rest.split_first()?;
    let (time_left, rest) = rest.split_first_chunk::<4>()?;
    let (service, rest) = rest.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<2>()?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (schema, arguments) = rest.split_first_chunk::<4>()?;
    let time_left = u32::from_be_bytes(*time_left);
    let call = Call {
        id,
        how: How::from_wire(*how)?,
        session: u32::from_be_bytes(*session),
        age: *age,
        time_left: (time_left < u32::MAX).then(|| Duration::from_micros(u64::from(time_left))),
        service: ServiceId(u32::from_be_bytes(*service)),
        method: MethodId {
            number: u16::from_be_bytes(*number),
            version: u16::from_be_bytes(*version),
            schema: u32::from_be_bytes(*schema),
        },
    };
    Some(Message::Request { call, arguments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn service_numbers_are_fnv_1a() {
        assert_eq!(ServiceId::of(""), ServiceId(0x811c_9dc5));
        assert_eq!(ServiceId::of("a"), ServiceId(0xe40c_292c));
        assert_eq!(ServiceId::of("foobar"), ServiceId(0xbf9c_f968));
    }

    const CALL: Call = Call {
        id: CallId::new(3, 1 << 40),
        how: How::AtMostOnce,
        session: 4,
        age: 5,
        time_left: Some(Duration::from_micros(600)),
        service: ServiceId(7),
        method: MethodId { number: 8, version: 2, schema: 0xdead_beef },
    };

    #[test]
    fn a_call_is_a_slot_and_a_number_in_it() {
        assert_eq!((CALL.id.slot(), CALL.id.sequence()), (3, 1 << 40));
        assert!(CallId::new(u16::MAX, 1).slot() < CallId::SLOTS_MAX);
    }

    #[test]
    fn messages_survive_the_wire() {
        for how in How::ALL {
            for time_left in [None, Some(Duration::ZERO), CALL.time_left] {
                let call = Call { how, time_left, ..CALL };
                let mut bytes = request_header(&call).to_vec();
                bytes.extend_from_slice(b"args");
                assert_eq!(Message::parse(&bytes), Some(Message::Request { call, arguments: b"args" }));
            }
        }
        for status in Status::ALL {
            let bytes = reply_header(CALL.id, status);
            assert_eq!(Message::parse(&bytes), Some(Message::Reply { call: CALL.id, status, body: b"" }));
        }
        assert_eq!(Message::parse(&cancel(CALL.id)), Some(Message::Cancel(CALL.id)));
        assert_eq!(Message::parse(&working(CALL.id)), Some(Message::Working(CALL.id)));
    }

    #[test]
    fn more_time_than_the_wire_can_say_is_no_limit() {
        let header = request_header(&Call { time_left: Some(Duration::from_secs(1 << 20)), ..CALL });
        let Some(Message::Request { call, .. }) = Message::parse(&header) else { panic!("no request") };
        assert_eq!(call.time_left, None);
    }

    #[test]
    fn headers_are_the_same_bytes_on_every_machine() {
        let id = CallId(0x0102_0304_0506_0708);
        let call = Call { id, session: 0x090a_0b0c, age: 13, service: ServiceId(0x0e0f_1011), ..CALL };
        let golden: [&[u8]; 7] = [
            b"\x01\x01\x02\x03\x04\x05\x06\x07\x08",
            b"\x00\x09\x0a\x0b\x0c\x0d",
            b"\x00\x00\x02\x58",
            b"\x0e\x0f\x10\x11",
            b"\x00\x08",
            b"\x00\x02",
            b"\xde\xad\xbe\xef",
        ];
        assert_eq!(request_header(&call).to_vec(), golden.concat());
        assert_eq!(&reply_header(id, Status::OtherSchema), b"\x02\x01\x02\x03\x04\x05\x06\x07\x08\x0b");
        assert_eq!(&cancel(id), b"\x03\x01\x02\x03\x04\x05\x06\x07\x08");
        assert_eq!(&working(id), b"\x04\x01\x02\x03\x04\x05\x06\x07\x08");
    }

    #[test]
    fn short_and_strange_messages_are_refused() {
        let request = request_header(&CALL);
        for length in 0..request.len() {
            assert_eq!(Message::parse(&request[..length]), None);
        }
        let mut strange = request;
        strange[9] = How::ALL.len() as u8;
        assert_eq!(Message::parse(&strange), None);
        assert_eq!(Message::parse(&[&cancel(CALL.id)[..], b"x"].concat()), None);
        let mut reply = reply_header(CALL.id, Status::Done);
        reply[9] = Status::ALL.len() as u8;
        assert_eq!(Message::parse(&reply), None);
        reply[0] = 9;
        assert_eq!(Message::parse(&reply), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Message::parse(&bytes);
        }
    }
}
