//! Fuzzes the decoding of datagrams.
#![no_main]

#[path = "../targets/packet.rs"]
mod packet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| packet::packet(bytes));
