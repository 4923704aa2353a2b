//! Fuzzes the decoding of protocol messages.
#![no_main]

#[path = "../targets/message.rs"]
mod message;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| message::message(bytes));
