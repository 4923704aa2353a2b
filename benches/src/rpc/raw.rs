//! What there is without anything of ours: datagrams over a UDP socket and bytes over a TCP connection, there and back. No check, no
//! retransmission: a lost datagram, which loopback does not have, ends the measurement with an error.

pub(super) mod tcp;
pub(super) mod udp;

use std::io;

/// Bytes of a request, and of the answer to a small one.
const MESSAGE_BYTES: usize = 64;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// The request itself.
    Echo = 1,
    /// So many bytes, or the datagram that begins at this byte.
    Contents = 2,
    /// Bytes without an end.
    Stream = 3,
}

type Message = [u8; MESSAGE_BYTES];

fn request(ask: Ask, number: u64) -> Message {
    let mut message = [0; MESSAGE_BYTES];
    message[0] = ask as u8;
    message[1..9].copy_from_slice(&number.to_be_bytes());
    message
}

fn parse(message: &Message) -> io::Result<(Ask, u64)> {
    let ask = [Ask::Echo, Ask::Contents, Ask::Stream].into_iter().find(|ask| *ask as u8 == message[0]);
    let ask = ask.ok_or_else(|| io::Error::other("no such request"))?;
    let number = message[1..9].try_into().map_or(0, u64::from_be_bytes);
    Ok((ask, number))
}

fn text(error: io::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_back() {
        assert_eq!(parse(&request(Ask::Stream, u64::MAX - 1)).unwrap(), (Ask::Stream, u64::MAX - 1));
        assert!(parse(&[9; MESSAGE_BYTES]).is_err());
    }
}
