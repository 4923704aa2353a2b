//! Whatever parses as a call or a reply is written as the bytes that it was read from.

use rpc::call::message::{Message, reply_header, request_header};

/// Parses `bytes`, and writes what was found.
pub fn call(bytes: &[u8]) {
    let written = match Message::parse(bytes) {
        None => return,
        Some(Message::Request { call, service, method, arguments }) => {
            [&request_header(call, service, method), arguments].concat()
        }
        Some(Message::Reply { call, status, body }) => [&reply_header(call, status), body].concat(),
    };
    assert_eq!(written, bytes);
}
