//! Fuzzes the receiving half of a session with sequences of fragments.
#![no_main]

#[path = "../targets/reassembly.rs"]
mod reassembly;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reassembly::reassembly(&reassembly::arrivals(bytes)));
