//! Remote procedure call on a reliable layer over UDP.
//!
//! The layers are the modules, from the bottom up: [`wire`] is what a datagram looks like, [`transport`] makes messages
//! reliable (pure: no clock, no socket), [`driver`] gives the transport a UDP socket and a clock; [`impair`] injects faults
//! below it.
#![forbid(unsafe_code)]

pub mod driver;
pub mod impair;
pub mod time;
pub mod transport;
pub mod wire;
