//! Fuzzes the machines with sequences of honest steps and hostile messages.
#![no_main]

#[path = "../targets/machines.rs"]
mod machines;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| machines::machines(&machines::steps(bytes)));
