//! Fuzzes the decoding of calls and replies.
#![no_main]

#[path = "../targets/call.rs"]
mod call;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| call::call(bytes));
