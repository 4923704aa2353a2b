//! The socket: batches where they save system calls, and the kernel's word on peers that refuse.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::arrivals::Arrivals;
use super::drops;
use super::lane::{self, Traffic, Way};
use crate::transport::Datagram;
use crate::transport::send::LENT_MIN;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg, recvmsg, sendmmsg,
    setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

/// Datagrams in one system call.
pub(super) const BATCH: usize = 16;
/// No UDP datagram is larger.
pub(super) const DATAGRAM_BYTES: usize = 1 << 16;
/// A datagram of at least this size is part of something larger: the next one is most likely there, too.
pub(super) const BULK_BYTES: usize = DATAGRAM_BYTES / 2;
/// So what lends leaves alone.
const _: () = assert!(LENT_MIN >= BULK_BYTES);
/// Of those, this many are read before they are taken in: the more, the longer the first of them waits for its acknowledgement, and
/// the less of them is still in the processor's cache.
const BULK_RUN: usize = 2;
/// What stands before the payload in a packet: IP and UDP.
const IPV4_HEADERS: usize = 20 + 8;
const IPV6_HEADERS: usize = 40 + 8;
/// How often to go on after an error that is about a single datagram.
const ATTEMPTS: usize = 8;

thread_local! {
    // They hold pointers, so they cannot move to another thread with the socket. One set for each family, because the
    // kernel writes the length of the address that it found into them.
    static RECEIVE_HEADERS: [RefCell<MultiHeaders<SockaddrStorage>>; 2] =
        std::array::from_fn(|_| RefCell::new(MultiHeaders::preallocate(BATCH, None)));
    static SEND_HEADERS: RefCell<MultiHeaders<SockaddrStorage>> = RefCell::new(MultiHeaders::preallocate(BATCH, None));
}

/// A datagram that is ready to leave.
#[derive(Clone, Debug)]
pub(super) struct Departure {
    pub datagram: Datagram,
    pub to: SocketAddr,
}

/// One of its sockets.
#[derive(Clone, Debug)]
struct Line {
    udp: Arc<UdpSocket>,
    /// The only peer, where there is one: the socket is connected to it.
    peer: Option<SocketAddr>,
    /// It was found empty since, so that nothing is left in it that others sent before.
    is_settled: bool,
}

impl Line {
    /// See [`Socket::send_one`].
    fn recv(&self, space: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let flags = RecvFlags::empty();
        if let Some(peer) = self.peer.filter(|_| self.is_settled) {
            return Ok((rustix::net::recv(&self.udp, space, flags)?.1, peer));
        }
        let (_, length, from) = rustix::net::recvfrom(&self.udp, space, flags)?;
        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
        Ok((length, from.ok_or(ErrorKind::InvalidData)?))
    }
}

/// Non-blocking UDP at one address.
#[derive(Debug)]
pub(super) struct Socket {
    main: Line,
    lane: Option<Line>,
    /// Who may get a lane; none: nobody.
    traffic: Option<Traffic>,
    is_v6: bool,
    buffer_bytes: usize,
    /// Whether the kernel says when each datagram came.
    stamped: bool,
    /// Whether the last look found nothing, and left nothing out.
    pub is_empty: bool,
    /// What lanes that are gone have lost.
    dropped: u64,
    /// Peers whose hosts said that nothing listens there.
    pub refused: Vec<SocketAddr>,
    /// Peers to whom only datagrams up to this size (UDP payload, bytes) can go.
    pub narrow: Vec<(SocketAddr, usize)>,
}

impl Socket {
    pub fn new(udp: UdpSocket, buffer_bytes: usize) -> io::Result<Self> {
        let is_v6 = udp.local_addr()?.is_ipv6();
        prepare(&udp, is_v6, buffer_bytes)?;
        Ok(Socket {
            main: Line { udp: Arc::new(udp), peer: None, is_settled: false },
            lane: None,
            traffic: None,
            is_v6,
            buffer_bytes,
            stamped: false,
            is_empty: false,
            dropped: 0,
            refused: Vec::new(),
            narrow: Vec::new(),
        })
    }

    /// Where everybody's datagrams come, but for those of the peer that has a lane.
    pub fn main(&self) -> &UdpSocket {
        &self.main.udp
    }

    /// Where that peer's come.
    pub fn lane(&self) -> Option<Arc<UdpSocket>> {
        self.lane.as_ref().map(|lane| Arc::clone(&lane.udp))
    }

    /// See [`super::Driver::time_arrivals`].
    pub fn stamp(&mut self) {
        self.stamped = setsockopt(&self.main.udp, sockopt::ReceiveTimestampns, &true).is_ok();
    }

    /// Whether batches tell how long their datagrams have waited.
    pub fn is_stamped(&self) -> bool {
        self.stamped
    }

    /// See [`super::Driver::dedicate`].
    pub fn dedicate(&mut self, to: SocketAddr) -> io::Result<()> {
        self.main.udp.connect(to)?;
        (self.main.peer, self.main.is_settled) = (Some(to), false);
        Ok(())
    }

    /// See [`super::Driver::favour`].
    pub fn favour(&mut self) {
        self.traffic = Some(Traffic::default());
    }

    /// Nobody has looked for a while.
    pub fn rested(&mut self) {
        if let Some(traffic) = &mut self.traffic {
            traffic.rested();
        }
    }

    /// How many datagrams full receive buffers have cost.
    pub fn dropped(&self) -> u64 {
        let lines = [Some(&self.main), self.lane.as_ref()].into_iter().flatten();
        self.dropped + lines.filter_map(|line| drops::dropped(&line.udp)).sum::<u64>()
    }

    /// By the kernel's call itself: the C library's can be cancelled, which takes two locked instructions each.
    fn send_one(&self, Departure { datagram, to }: &Departure) -> io::Result<usize> {
        let flags = SendFlags::empty();
        let Line { udp, peer, .. } = self.lane.as_ref().filter(|lane| lane.peer == Some(*to)).unwrap_or(&self.main);
        let is_connected = *peer == Some(*to);
        let Some(bytes) = datagram.whole() else {
            let (pieces, mut control) = (datagram.pieces().map(IoSlice::new), SendAncillaryBuffer::default());
            return Ok(match is_connected {
                true => rustix::net::sendmsg(udp, &pieces, &mut control, flags),
                false => rustix::net::sendmsg_addr(udp, to, &pieces, &mut control, flags),
            }?);
        };
        Ok(match is_connected {
            true => rustix::net::send(udp, bytes, flags),
            false => rustix::net::sendto(udp, bytes, flags, to),
        }?)
    }

    /// Reads what is there: one datagram by the plain call, and more if it is of those that come one after the other; or up to
    /// [`BATCH`] at once when `many` are expected. Returns how many.
    pub fn receive(&mut self, arrivals: &mut Arrivals, many: bool) -> io::Result<usize> {
        self.is_empty = false;
        let ways = match (&self.lane, &mut self.traffic) {
            // What came before it was opened comes first, unless that is followed by ever more of others.
            (Some(_), Some(traffic)) if !self.main.is_settled && !traffic.is_outnumbered() => &[Way::Main, Way::Lane],
            (Some(Line { peer: Some(_), .. }), Some(traffic)) => traffic.order(),
            // It is closing.
            (Some(_), _) => &[Way::Lane, Way::Main][..],
            (None, _) => &[Way::Main],
        };
        for way in ways {
            // Beside a lane it is looked at so seldom that only the kernel knows how long what is there has waited.
            let many = many || *way == Way::Main && self.lane.is_some() && self.stamped;
            let count = self.receive_over(*way, arrivals, many)?;
            self.learn(*way, arrivals, count);
            if count > 0 {
                return Ok(count);
            }
        }
        self.is_empty = ways.contains(&Way::Main);
        Ok(0)
    }

    /// So many datagrams have come this way.
    fn learn(&mut self, way: Way, arrivals: &Arrivals, count: usize) {
        let Some(traffic) = &mut self.traffic else { return };
        let senders = (0..count).filter_map(|place| arrivals.from(place));
        match (way, &self.lane) {
            (Way::Main, None) => {
                if let Some(peer) = senders.filter(|from| traffic.saw(*from)).last() {
                    self.open_lane(peer);
                }
            }
            (Way::Main, Some(lane)) => traffic.passed(count, senders.filter(|from| lane.peer != Some(*from)).count()),
            (Way::Lane, Some(Line { peer: Some(_), .. })) if count > 0 || !traffic.is_outnumbered() => {
                traffic.used(count)
            }
            (Way::Lane, _) if count == 0 => self.close_lane(),
            (Way::Lane, _) => {}
        }
    }

    fn open_lane(&mut self, peer: SocketAddr) {
        let opened = lane::open(&self.main.udp, peer, |udp| {
            prepare(udp, self.is_v6, self.buffer_bytes)?;
            if self.stamped {
                setsockopt(udp, sockopt::ReceiveTimestampns, &true)?;
            }
            Ok(())
        });
        // It only saves time. Who goes on sending gets the next chance.
        self.lane = opened.ok().map(|udp| Line { udp: Arc::new(udp), peer: Some(peer), is_settled: false });
        self.traffic = Some(Traffic::default());
        self.main.is_settled = false;
    }

    /// Nothing is in the lane, which is of no use any more. What comes before it is closed is read the next time; then it is gone.
    fn close_lane(&mut self) {
        if let Some(lane) = &mut self.lane
            && lane.peer.take().is_some()
            && lane::close(&lane.udp).is_ok()
        {
            return;
        }
        if let Some(lane) = self.lane.take() {
            self.dropped += drops::dropped(&lane.udp).unwrap_or_default();
        }
        self.traffic = Some(Traffic::default());
    }

    fn line(&self, way: Way) -> &Line {
        match (way, &self.lane) {
            (Way::Lane, Some(lane)) => lane,
            _ => &self.main,
        }
    }

    fn line_mut(&mut self, way: Way) -> &mut Line {
        match (way, &mut self.lane) {
            (Way::Lane, Some(lane)) => lane,
            _ => &mut self.main,
        }
    }

    fn receive_over(&mut self, way: Way, arrivals: &mut Arrivals, many: bool) -> io::Result<usize> {
        for _ in 0..ATTEMPTS {
            let read = if many { self.receive_many(way, arrivals) } else { self.receive_one(way, arrivals) };
            match read {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.line_mut(way).is_settled = true;
                    return Ok(0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_about_one_datagram(&error) => self.read_errors(),
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }

    fn receive_one(&mut self, way: Way, arrivals: &mut Arrivals) -> io::Result<usize> {
        let Arrivals { buffer, found, .. } = arrivals;
        let mut count = 0;
        for (slot, space) in found.iter_mut().zip(buffer.chunks_exact_mut(DATAGRAM_BYTES)).take(BULK_RUN) {
            let read = self.line(way).recv(space);
            match read {
                Ok(arrival) => *slot = arrival,
                Err(error) if count == 0 => return Err(error),
                Err(error) => {
                    if is_about_one_datagram(&error) {
                        self.read_errors();
                    }
                    break;
                }
            }
            count += 1;
            if slot.0 < BULK_BYTES {
                break;
            }
        }
        Ok(count)
    }

    fn receive_many(&self, way: Way, arrivals: &mut Arrivals) -> io::Result<usize> {
        if self.stamped {
            // The kernel takes off these headers what room it did not need, and nobody gives it back: each batch has new ones.
            return self.receive_with(way, arrivals, &mut MultiHeaders::preallocate(BATCH, Some(control_space())));
        }
        RECEIVE_HEADERS.with(|headers| {
            let [v4, v6] = headers;
            let mut headers = if self.is_v6 { v6 } else { v4 }.borrow_mut();
            self.receive_with(way, arrivals, &mut headers)
        })
    }

    fn receive_with(
        &self,
        way: Way,
        arrivals: &mut Arrivals,
        headers: &mut MultiHeaders<SockaddrStorage>,
    ) -> io::Result<usize> {
        let Arrivals { buffer, found, stamps, .. } = arrivals;
        let mut chunks = buffer.chunks_exact_mut(DATAGRAM_BYTES);
        let mut slices: [_; BATCH] = std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
        let messages =
            recvmmsg(self.line(way).udp.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut count = 0;
        for ((slot, stamp), message) in found.iter_mut().zip(stamps).zip(messages) {
            *stamp = message.cmsgs().ok().and_then(|mut controls| controls.find_map(told));
            // Without a sender's address (which does not happen) it reads as an empty datagram.
            *slot = match message.address.as_ref().and_then(standard) {
                Some(from) => (message.bytes, from),
                None => (0, slot.1),
            };
            count += 1;
        }
        Ok(count)
    }

    /// Sends datagrams in order; returns how many were dealt with. Fewer than all: the socket is full. One that the
    /// kernel refuses for a reason of its own counts as sent, and lost: the transport notices by itself.
    pub fn send(&mut self, departures: &[Departure]) -> usize {
        let mut done = 0;
        let mut attempts = 0;
        while let Some(rest) = departures.get(done..).filter(|rest| !rest.is_empty()) {
            let sent = match rest {
                [one] => self.send_one(one).map(|_| 1),
                more => self.send_many(more),
            };
            match sent {
                Ok(count) => {
                    done += count.max(1);
                    attempts = 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    let is_too_large = error.raw_os_error() == Some(Errno::EMSGSIZE as i32);
                    if is_too_large && let [first, ..] = rest {
                        self.note_too_large(first.to, first.datagram.len());
                    } else if error.kind() != ErrorKind::Interrupted {
                        // An error that an earlier datagram caused: this one has not been tried.
                        self.read_errors();
                    }
                    attempts += 1;
                    if attempts >= ATTEMPTS || is_too_large {
                        done += 1;
                        attempts = 0;
                    }
                }
            }
        }
        done
    }

    fn send_many(&self, departures: &[Departure]) -> io::Result<usize> {
        let departure = |place: usize| departures.get(place);
        // None of several lends.
        let bytes = |place: usize| departure(place).and_then(|one| one.datagram.whole()).unwrap_or_default();
        let slices: [_; BATCH] = std::array::from_fn(|place| [IoSlice::new(bytes(place))]);
        let addresses: [_; BATCH] =
            std::array::from_fn(|place| departure(place).map(|one| SockaddrStorage::from(one.to)));
        let count = departures.len().min(BATCH);
        SEND_HEADERS.with(|headers| {
            let mut headers = headers.borrow_mut();
            let fd = self.main.udp.as_raw_fd();
            let (slices, addresses) = (slices.iter().take(count), addresses.get(..count).unwrap_or_default());
            Ok(sendmmsg(fd, &mut headers, slices, addresses, [], MsgFlags::MSG_DONTWAIT)?.count())
        })
    }

    /// Sends one datagram that may get lost.
    pub fn send_loosely(&mut self, bytes: &[u8], to: SocketAddr) {
        for _ in 0..ATTEMPTS {
            match self.main.udp.send_to(bytes, to) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(Errno::EMSGSIZE as i32) => {
                    return self.note_too_large(to, bytes.len());
                }
                Err(error) if is_about_one_datagram(&error) => self.read_errors(),
                _ => return,
            }
        }
    }

    /// Empties the sockets' error queues (or else they would be reported as readable for ever) and notes who refused, and what was too
    /// large for whom.
    fn read_errors(&mut self) {
        for line in [Some(self.main.clone()), self.lane.clone()].into_iter().flatten() {
            self.read_errors_of(&line);
        }
    }

    fn read_errors_of(&mut self, line: &Line) {
        for _ in 0..BATCH * ATTEMPTS {
            let mut space = [0u8; 64];
            let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
            let mut slices = [IoSliceMut::new(&mut space)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let read = recvmsg::<SockaddrStorage>(line.udp.as_raw_fd(), &mut slices, Some(&mut control), flags);
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
        if error.ee_errno == Errno::ECONNREFUSED as u32 && !self.refused.contains(&addr) && self.refused.len() < BATCH {
            self.refused.push(addr);
        }
        if error.ee_errno == Errno::EMSGSIZE as u32 && self.narrow.len() < BATCH {
            // What the link, or a router on the way, takes: a whole packet. The link says so without a port.
            let headers = if addr.is_ipv4() { IPV4_HEADERS } else { IPV6_HEADERS };
            self.narrow.push((addr, (error.ee_info as usize).saturating_sub(headers)));
        }
    }

    /// The link does not take a datagram of this many bytes; the error queue says what it takes.
    fn note_too_large(&mut self, to: SocketAddr, bytes: usize) {
        self.read_errors();
        let own = |(addr, _): &(SocketAddr, usize)| addr.ip() == to.ip() && addr.port() == 0;
        let limit =
            self.narrow.iter().find(|narrow| own(narrow)).map_or(bytes - 1, |(_, limit)| (*limit).min(bytes - 1));
        self.narrow.retain(|narrow| !own(narrow));
        self.narrow.push((to, limit));
    }
}

/// Sets what all sockets have in common.
fn prepare(udp: &UdpSocket, is_v6: bool, buffer_bytes: usize) -> io::Result<()> {
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

/// Room for what may be said beside a datagram: when it came.
fn control_space() -> Vec<u8> {
    nix::cmsg_space!(TimeSpec)
}

/// When a datagram came, if this says so (SO_TIMESTAMPNS, socket(7)).
fn told(control: ControlMessageOwned) -> Option<SystemTime> {
    match control {
        ControlMessageOwned::ScmTimestampns(time) => SystemTime::UNIX_EPOCH.checked_add(Duration::from(time)),
        _ => None,
    }
}

/// Errors that ICMP or the local stack report for some datagram that was sent; the socket itself is well.
fn is_about_one_datagram(error: &io::Error) -> bool {
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

fn standard(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.family()? {
        nix::sys::socket::AddressFamily::Inet => Some(SocketAddr::V4((*address.as_sockaddr_in()?).into())),
        nix::sys::socket::AddressFamily::Inet6 => Some(SocketAddr::V6((*address.as_sockaddr_in6()?).into())),
        _ => None,
    }
}
