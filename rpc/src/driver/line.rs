//! One UDP socket: how it is set up, and single datagrams by the kernel's own calls.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

use crate::transport::Datagram;

/// A socket that everybody may send to, or a single peer. Datagrams go in and out by the kernel's calls themselves: the C library's can be
/// cancelled, which takes two locked instructions each.
#[derive(Debug)]
pub(super) struct Line {
    pub udp: Arc<UdpSocket>,
    /// The only peer, where there is one: the socket is connected to it.
    pub peer: Option<SocketAddr>,
    /// It was found empty since, so that nothing is left in it that others sent before.
    pub is_settled: bool,
}

impl Line {
    pub fn recv(&self, space: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let flags = RecvFlags::empty();
        if let Some(peer) = self.peer.filter(|_| self.is_settled) {
            return Ok((rustix::net::recv(&self.udp, space, flags)?.1, peer));
        }
        let (_, length, from) = rustix::net::recvfrom(&self.udp, space, flags)?;
        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
        Ok((length, from.ok_or(ErrorKind::InvalidData)?))
    }

    /// Fails as a read would, and takes nothing out.
    pub fn peek(&self) -> io::Result<()> {
        rustix::net::recv(&self.udp, &mut [0; 1], RecvFlags::PEEK)?;
        Ok(())
    }

    pub fn send(&self, datagram: &Datagram, to: SocketAddr) -> io::Result<usize> {
        let (udp, flags) = (&self.udp, SendFlags::empty());
        let is_connected = self.peer == Some(to);
        let Some(bytes) = datagram.whole() else {
            let (pieces, mut control) = (datagram.pieces().map(IoSlice::new), SendAncillaryBuffer::default());
            return Ok(match is_connected {
                true => rustix::net::sendmsg(udp, &pieces, &mut control, flags),
                false => rustix::net::sendmsg_addr(udp, &to, &pieces, &mut control, flags),
            }?);
        };
        Ok(match is_connected {
            true => rustix::net::send(udp, bytes, flags),
            false => rustix::net::sendto(udp, bytes, flags, &to),
        }?)
    }
}

/// Sets what all sockets have in common.
pub(super) fn prepare(udp: &UdpSocket, is_v6: bool, buffer_bytes: usize) -> io::Result<()> {
    udp.set_nonblocking(true)?;
    // Larger than the administrator's limit if we may; the limit otherwise.
    if setsockopt(udp, sockopt::RcvBufForce, &buffer_bytes).is_err() {
        let _ = setsockopt(udp, sockopt::RcvBuf, &buffer_bytes);
    }
    if setsockopt(udp, sockopt::SndBufForce, &buffer_bytes).is_err() {
        let _ = setsockopt(udp, sockopt::SndBuf, &buffer_bytes);
    }
    // The transport finds out by itself what a path carries: no datagram is to be cut on its way, and none to be held back for
    // what the kernel believes of the path. One that is too large for the link is refused, which is as good as an answer.
    if is_v6 {
        set_ipv6_mtu_discover(udp, Ipv6PathMtuDiscovery::PROBE)?;
    }
    // A socket of both families has both options; one of IPv6 alone does without.
    let v4 = set_ip_mtu_discover(udp, Ipv4PathMtuDiscovery::PROBE);
    if !is_v6 {
        v4?;
    }
    // Without this the kernel keeps ICMP errors of an unconnected socket to itself; we can live without them.
    let _ =
        if is_v6 { setsockopt(udp, sockopt::Ipv6RecvErr, &true) } else { setsockopt(udp, sockopt::Ipv4RecvErr, &true) };
    Ok(())
}
