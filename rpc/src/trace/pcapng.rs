//! A capture in the pcapng format, for Wireshark and its like.
//!
//! Blocks as in the specification (M. Tuexen et al., "PCAP Now Generic (pcapng) Capture File Format",
//! draft-ietf-opsawg-pcapng): a section header, an interface description for each endpoint, and an enhanced packet for each
//! datagram. The link type is LINKTYPE_RAW: packets begin with an IP header. That, and the UDP header, are made up from
//! the addresses of the endpoints, since the kernel does not show its own.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::{Packet, Way};
use crate::wire::sums::internet;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const LINKTYPE_RAW: u16 = 101;

const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const INTERFACE_NAME: u16 = 2;
const PACKET_FLAGS: u16 = 2;
const USER_APPLICATION: u16 = 4;
const TIME_RESOLUTION: u16 = 9;
/// Times are in units of 10^-9 seconds.
const NANOSECONDS: u8 = 9;
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

const UDP: u8 = 17;
const UDP_HEADER_BYTES: usize = 8;
const HOPS: u8 = 64;

/// An endpoint in a capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interface(u32);

/// Writes a capture.
#[derive(Debug)]
pub struct Pcapng<W> {
    out: W,
    /// When the times of the packets begin, since 1970.
    began: Duration,
    interfaces: u32,
    block: Vec<u8>,
}

impl<W: Write> Pcapng<W> {
    /// Writes the section header. `began` is when the times of the packets begin, since 1970.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(out: W, began: Duration) -> io::Result<Self> {
        let mut capture = Pcapng { out, began, interfaces: 0, block: Vec::new() };
        capture.begin(SECTION_HEADER);
        capture.u32(BYTE_ORDER_MAGIC);
        // Version 1.0.
        capture.u16(1);
        capture.u16(0);
        // The length of the section is not known yet.
        capture.block.extend_from_slice(&u64::MAX.to_le_bytes());
        capture.option(USER_APPLICATION, b"rpc");
        capture.end()?;
        Ok(capture)
    }

    /// One more endpoint.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn interface(&mut self, here: SocketAddr) -> io::Result<Interface> {
        self.begin(INTERFACE_DESCRIPTION);
        self.u16(LINKTYPE_RAW);
        self.u16(0);
        // Packets are not cut.
        self.u32(0);
        self.option(INTERFACE_NAME, here.to_string().as_bytes());
        self.option(TIME_RESOLUTION, &[NANOSECONDS]);
        self.end()?;
        self.interfaces += 1;
        Ok(Interface(self.interfaces - 1))
    }

    /// One datagram; what it says is the packet's comment.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn packet(&mut self, interface: Interface, packet: &Packet<'_>) -> io::Result<()> {
        let (from, to, direction) = match packet.way {
            Way::Out => (packet.here, packet.there, OUTBOUND),
            Way::In => (packet.there, packet.here, INBOUND),
        };
        let headers = headers(from, to, packet.bytes, packet.wire_bytes);
        let time = crate::time::nanoseconds(self.began + packet.at);
        self.begin(ENHANCED_PACKET);
        self.u32(interface.0);
        self.u32((time >> 32) as u32);
        self.u32(time as u32);
        self.u32((headers.len() + packet.bytes.len()) as u32);
        self.u32((headers.len() + packet.wire_bytes) as u32);
        self.block.extend_from_slice(&headers);
        self.block.extend_from_slice(packet.bytes);
        self.pad();
        self.option(PACKET_FLAGS, &direction.to_le_bytes());
        self.option(COMMENT, packet.line.as_bytes());
        self.end()
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.u32(kind);
        // The length comes when it is known.
        self.u32(0);
    }

    fn end(&mut self) -> io::Result<()> {
        self.option(END_OF_OPTIONS, &[]);
        let length = (self.block.len() + 4) as u32;
        self.u32(length);
        if let Some(place) = self.block.get_mut(4..8) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        self.out.write_all(&self.block)
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
        self.u16(code);
        self.u16(value.len() as u16);
        self.block.extend_from_slice(value);
        self.pad();
    }

    /// Everything begins at a multiple of 32 bits.
    fn pad(&mut self) {
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    fn u16(&mut self, value: u16) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.block.extend_from_slice(&value.to_le_bytes());
    }
}

/// The IP and UDP headers that a datagram of `wire_bytes` may have had (RFC 791, RFC 8200, RFC 768). Without all of the payload there
/// is no checksum in the UDP header.
fn headers(from: SocketAddr, to: SocketAddr, payload: &[u8], wire_bytes: usize) -> Vec<u8> {
    let length = UDP_HEADER_BYTES + wire_bytes;
    let mut udp = Vec::with_capacity(UDP_HEADER_BYTES);
    udp.extend_from_slice(&from.port().to_be_bytes());
    udp.extend_from_slice(&to.port().to_be_bytes());
    udp.extend_from_slice(&length_field(length));
    udp.extend_from_slice(&[0; 2]);
    let (mut headers, mut pseudo) = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let addresses = [from.octets(), to.octets()].concat();
            (ipv4(&addresses, length), [&addresses[..], &[0, UDP], &length_field(length)].concat())
        }
        (from, to) => {
            let addresses = [ipv6_of(from).octets(), ipv6_of(to).octets()].concat();
            let upper = [&(length as u32).to_be_bytes()[..], &[0, 0, 0, UDP]].concat();
            (ipv6(&addresses, length), [addresses, upper].concat())
        }
    };
    if payload.len() == wire_bytes {
        pseudo.extend_from_slice(&udp);
        pseudo.extend_from_slice(payload);
        // A sum of zero is written as its other form: zero says that there is none.
        let sum = Some(internet(&pseudo)).filter(|sum| *sum != 0).unwrap_or(u16::MAX);
        if let Some(place) = udp.last_chunk_mut() {
            *place = sum.to_be_bytes();
        }
    }
    headers.extend_from_slice(&udp);
    headers
}

fn ipv4(addresses: &[u8], length: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend_from_slice(&length_field(20 + length));
    // No identification; not to be fragmented.
    header.extend_from_slice(&[0, 0, 0x40, 0, HOPS, UDP, 0, 0]);
    header.extend_from_slice(addresses);
    let sum = internet(&header);
    if let Some(place) = header.get_mut(10..12) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    header
}

fn ipv6(addresses: &[u8], length: usize) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend_from_slice(&length_field(length));
    header.extend_from_slice(&[UDP, HOPS]);
    header.extend_from_slice(addresses);
    header
}

fn length_field(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn ipv6_of(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}
