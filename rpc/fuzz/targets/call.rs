//! Whatever parses as a call or a reply is written as the bytes that it was read from.

use rpc::call::message::{Message, cancel, reply_header, request_header, working};

/// Parses `bytes`, and writes what was found.
pub fn call(bytes: &[u8]) {
    let written = match Message::parse(bytes) {
        None => return,
        Some(Message::Request { call, arguments }) => [&request_header(&call), arguments].concat(),
        Some(Message::Reply { call, status, body }) => [&reply_header(call, status), body].concat(),
        Some(Message::Cancel(call)) => cancel(call).to_vec(),
        Some(Message::Working(call)) => working(call).to_vec(),
    };
    assert_eq!(written, bytes);
}
