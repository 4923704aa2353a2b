//! The kernel's word on datagrams that were sent: who refuses them, and what was too large for whom.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockaddrLike, SockaddrStorage, Timestamps, recvmsg,
};

/// What stands before the payload in a packet: IP and UDP.
const IPV4_HEADERS: usize = 20 + 8;
const IPV6_HEADERS: usize = 40 + 8;
/// So many are read from a socket in one go, and so many of each kind are kept for the transport.
const READ: usize = 128;
const KEPT: usize = 16;

/// What the error queues said (IP_RECVERR, ip(7)), for the transport to take.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// Peers whose hosts said that nothing listens there.
    pub refused: Vec<SocketAddr>,
    /// Peers to whom only datagrams up to this size (UDP payload, bytes) can go.
    pub narrow: Vec<(SocketAddr, usize)>,
}

impl Complaints {
    pub fn is_empty(&self) -> bool {
        self.refused.is_empty() && self.narrow.is_empty()
    }

    /// Empties a socket's error queue, or else that would be reported as readable for ever.
    pub fn read(&mut self, udp: &UdpSocket) {
        for _ in 0..READ {
            let mut space = [0u8; 64];
            // The kernel may say when it came, too, and does so first.
            let mut control = nix::cmsg_space!(Timestamps, libc::sock_extended_err, libc::sockaddr_in6);
            let mut slices = [IoSliceMut::new(&mut space)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let read = recvmsg::<SockaddrStorage>(udp.as_raw_fd(), &mut slices, Some(&mut control), flags);
            let Ok(message) = read else { return };
            let Some(addr) = message.address.as_ref().and_then(standard) else { continue };
            let Ok(controls) = message.cmsgs() else { continue };
            for control in controls {
                if let ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) = control
                {
                    self.note(addr, &error);
                }
            }
        }
    }

    fn note(&mut self, addr: SocketAddr, error: &libc::sock_extended_err) {
        if error.ee_errno == Errno::ECONNREFUSED as u32 && !self.refused.contains(&addr) && self.refused.len() < KEPT {
            self.refused.push(addr);
        }
        if error.ee_errno == Errno::EMSGSIZE as u32 && self.narrow.len() < KEPT {
            // What the link, or a router on the way, takes: a whole packet. The link says so without a port.
            let headers = if addr.is_ipv4() { IPV4_HEADERS } else { IPV6_HEADERS };
            self.narrow.push((addr, (error.ee_info as usize).saturating_sub(headers)));
        }
    }

    /// The link does not take a datagram of this many bytes; what was read just before may say what it takes.
    pub fn note_too_large(&mut self, to: SocketAddr, bytes: usize) {
        let own = |(addr, _): &(SocketAddr, usize)| addr.ip() == to.ip() && addr.port() == 0;
        let limit =
            self.narrow.iter().find(|narrow| own(narrow)).map_or(bytes - 1, |(_, limit)| (*limit).min(bytes - 1));
        self.narrow.retain(|narrow| !own(narrow));
        self.narrow.push((to, limit));
    }
}

/// Errors that ICMP or the local stack report for some datagram that was sent; the socket itself is well.
pub(super) fn is_about_one_datagram(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::ECONNREFUSED
                | Errno::EHOSTUNREACH
                | Errno::ENETUNREACH
                | Errno::EHOSTDOWN
                | Errno::ENETDOWN
                | Errno::EMSGSIZE
                | Errno::EPROTO
                | Errno::EACCES
                | Errno::ENOPROTOOPT
                | Errno::EOPNOTSUPP
                | Errno::ENONET
        )
    )
}

/// As the standard library has it.
pub(super) fn standard(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.family()? {
        AddressFamily::Inet => Some(SocketAddr::V4((*address.as_sockaddr_in()?).into())),
        AddressFamily::Inet6 => Some(SocketAddr::V6((*address.as_sockaddr_in6()?).into())),
        _ => None,
    }
}
