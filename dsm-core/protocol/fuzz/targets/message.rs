//! Whatever decodes as a message encodes to the bytes that it was read from.

use protocol::Message;
use protocol::message::ENCODED_BYTES_MAX;

/// Decodes `bytes`, and encodes what was found.
pub fn message(bytes: &[u8]) {
    let Ok((message, rest)) = Message::decode(bytes) else { return };
    let mut encoded = Vec::new();
    message.encode(&mut encoded);
    assert!(encoded.len() <= ENCODED_BYTES_MAX);
    assert_eq!(bytes, [&encoded, rest].concat(), "{message:?}");
}
