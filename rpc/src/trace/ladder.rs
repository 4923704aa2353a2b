//! A packet ladder, for people.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use super::{Packet, Way};

/// Writes a line for each datagram: when, between whom, how many bytes of UDP payload, and what it says.
///
/// ```text
///     seconds                   here     there                  bytes
///    0.005780        127.0.0.1:51322 --> 127.0.0.1:39966          108  #2 ack 1: REQUEST call 0.2 of service ca086d0c, ...
///    0.005861        127.0.0.1:51322 <-- 127.0.0.1:39966           79  #2 ack 2: REPLY to call 0.2: Done, 0 bytes
/// ```
#[derive(Debug)]
pub struct Ladder<W> {
    out: W,
    line: String,
}

impl<W: Write> Ladder<W> {
    /// Writes the head.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(mut out: W) -> io::Result<Self> {
        writeln!(out, "{:>11}  {:>21}     {:<21} {:>6}", "seconds", "here", "there", "bytes")?;
        Ok(Ladder { out, line: String::new() })
    }

    /// One datagram.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let arrow = match packet.way {
            Way::Out => "-->",
            Way::In => "<--",
        };
        let Packet { at, here, there, wire_bytes, line, .. } = *packet;
        self.write(at, here, arrow, there, format_args!("{wire_bytes:>6}  {line}"))
    }

    /// Something else that happened between two endpoints.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note(&mut self, at: Duration, here: SocketAddr, there: SocketAddr, text: &str) -> io::Result<()> {
        self.write(at, here, "   ", there, format_args!("{:>6}  {text}", ""))
    }

    fn write(
        &mut self,
        at: Duration,
        here: SocketAddr,
        arrow: &str,
        there: SocketAddr,
        rest: std::fmt::Arguments<'_>,
    ) -> io::Result<()> {
        self.line.clear();
        let (seconds, micros) = (at.as_secs(), at.subsec_micros());
        // Addresses do not heed a width; their texts do.
        let (here, there) = (here.to_string(), there.to_string());
        // A string takes everything.
        let _ = writeln!(self.line, "{seconds:>4}.{micros:06}  {here:>21} {arrow} {there:<21} {rest}");
        self.out.write_all(self.line.as_bytes())
    }
}
