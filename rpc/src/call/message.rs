//! What travels on [`Channel::CALL`](crate::transport::Channel::CALL): requests and replies, in network byte order.
//!
//! | message | bytes |
//! | --- | --- |
//! | request | kind 1 `u8`, call `u64`, service `u32`, method `u16`, encoded arguments |
//! | reply | kind 2 `u8`, call `u64`, status `u8`, encoded result (status 0) or a text (others) |
//!
//! The kind byte tells messages apart, so that further ones need no other version of these.

/// Names one call of one client, for as long as the session lives: the reply repeats it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CallId(pub u64);

/// A service's number on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceId(pub u32);

impl ServiceId {
    /// The number of the service of this name: the 32-bit FNV-1a hash (draft-eastlake-fnv), the same on every machine.
    pub const fn of(name: &str) -> Self {
        let bytes = name.as_bytes();
        let mut hash = 0x811c_9dc5u32;
        let mut place = 0;
        while place < bytes.len() {
            hash = (hash ^ bytes[place] as u32).wrapping_mul(0x0100_0193);
            place += 1;
        }
        ServiceId(hash)
    }
}

/// A method's number in its service: its place in the trait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MethodId(pub u16);

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// Bytes before the arguments of a request.
pub const REQUEST_HEADER_BYTES: usize = 15;
/// Bytes before the body of a reply.
pub const REPLY_HEADER_BYTES: usize = 10;

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
}

impl Status {
    const ALL: [Status; 8] = [
        Status::Done,
        Status::UnknownService,
        Status::UnknownMethod,
        Status::BadArguments,
        Status::Overloaded,
        Status::Stopping,
        Status::Panicked,
        Status::BadResult,
    ];

    fn from_wire(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as u8 == byte)
    }
}

/// A request's header, to go before the arguments.
pub fn request_header(call: CallId, service: ServiceId, method: MethodId) -> [u8; REQUEST_HEADER_BYTES] {
    let mut header = [0; REQUEST_HEADER_BYTES];
    header[0] = REQUEST;
    header[1..9].copy_from_slice(&call.0.to_be_bytes());
    header[9..13].copy_from_slice(&service.0.to_be_bytes());
    header[13..15].copy_from_slice(&method.0.to_be_bytes());
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

/// A message as it arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// Somebody calls.
    Request {
        /// To be repeated in the reply.
        call: CallId,
        /// Which service.
        service: ServiceId,
        /// Which of its methods.
        method: MethodId,
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
}

impl<'a> Message<'a> {
    /// Reads a message; None if it is not one of ours.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (call, rest) = rest.split_first_chunk::<8>()?;
        let call = CallId(u64::from_be_bytes(*call));
        match *kind {
            REQUEST => {
                let (service, rest) = rest.split_first_chunk::<4>()?;
                let (method, arguments) = rest.split_first_chunk::<2>()?;
                let service = ServiceId(u32::from_be_bytes(*service));
                let method = MethodId(u16::from_be_bytes(*method));
                Some(Message::Request { call, service, method, arguments })
            }
            REPLY => {
                let (status, body) = rest.split_first()?;
                Some(Message::Reply { call, status: Status::from_wire(*status)?, body })
            }
            _ => None,
        }
    }
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

    #[test]
    fn requests_and_replies_survive_the_wire() {
        let mut bytes = request_header(CallId(1 << 40), ServiceId(7), MethodId(8)).to_vec();
        bytes.extend_from_slice(b"args");
        let request =
            Message::Request { call: CallId(1 << 40), service: ServiceId(7), method: MethodId(8), arguments: b"args" };
        assert_eq!(Message::parse(&bytes), Some(request));
        for status in Status::ALL {
            let bytes = reply_header(CallId(9), status);
            assert_eq!(Message::parse(&bytes), Some(Message::Reply { call: CallId(9), status, body: b"" }));
        }
    }

    #[test]
    fn short_and_strange_messages_are_refused() {
        let request = request_header(CallId(1), ServiceId(2), MethodId(3));
        for length in 0..request.len() {
            assert_eq!(Message::parse(&request[..length]), None);
        }
        let mut reply = reply_header(CallId(1), Status::Done);
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
