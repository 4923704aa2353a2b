//! What a driver uses to trace: stands between it and its transport.

use std::net::SocketAddr;
use std::time::Duration;

use super::describe::{Fate, describe};
use super::{Interface, Packet, Trace, Way};
use crate::time::Time;
use crate::transport::{Event, Transport};

/// The part of a [`Trace`] that belongs to one endpoint.
#[derive(Debug)]
pub(crate) struct Tracer {
    trace: Trace,
    interface: Interface,
    here: SocketAddr,
    /// Bytes at the end of data datagrams that arrive sealed.
    trailer_bytes: usize,
    line: String,
}

impl Tracer {
    pub(crate) fn new(trace: Trace, here: SocketAddr, trailer_bytes: usize) -> Self {
        let interface = trace.interface(here);
        Tracer { trace, interface, here, trailer_bytes, line: String::new() }
    }

    /// [`Transport::receive`], seen.
    pub(crate) fn receive(
        &mut self,
        transport: &mut Transport,
        now: Time,
        from: SocketAddr,
        datagram: &mut [u8],
        events: &mut Vec<Event>,
    ) {
        let before = transport.counters();
        transport.receive(now, from, datagram, events);
        let fate = Fate::between(&before, &transport.counters());
        self.line.clear();
        describe(&mut self.line, datagram, self.trailer_bytes, fate);
        self.write(now, Way::In, from, datagram, datagram.len());
    }

    /// [`Transport::transmit`], seen.
    pub(crate) fn transmit(&mut self, transport: &mut Transport, now: Time, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let before = transport.counters();
        let to = transport.transmit(now, out)?;
        let fate = Fate::between(&before, &transport.counters());
        self.line.clear();
        let unsealed = match transport.unsealed() {
            [] => &out[..],
            data => data,
        };
        describe(&mut self.line, unsealed, 0, fate);
        // Without a cipher the seal stands behind the rest, and the datagram can be shown whole.
        let shown = if out.starts_with(unsealed) { &out[..] } else { unsealed };
        self.write(now, Way::Out, to, shown, out.len());
        Some(to)
    }

    fn write(&self, now: Time, way: Way, there: SocketAddr, bytes: &[u8], wire_bytes: usize) {
        let (at, here, line) = (self.at(now), self.here, self.line.as_str());
        self.trace.packet(self.interface, &Packet { at, way, here, there, bytes, wire_bytes, line });
    }

    /// The sessions that these events open and end.
    pub(crate) fn sessions(&self, now: Time, events: &[Event]) {
        for event in events {
            let (addr, text) = match event {
                Event::Up { addr, boot, .. } => (*addr, format!("SESSION OPEN with {boot}")),
                Event::Lost { addr, reason, .. } => (*addr, format!("SESSION LOST: {reason}")),
                Event::Message { .. } => continue,
            };
            self.trace.note(self.at(now), self.here, addr, &text);
        }
    }

    fn at(&self, now: Time) -> Duration {
        now - self.trace.began
    }
}
