//! Fuzzes two transports with datagrams in any order, damaged and forged.
#![no_main]

#[path = "../targets/handshake.rs"]
mod handshake;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handshake::handshake(&handshake::steps(bytes)));
