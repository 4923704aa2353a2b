//! The socket of an endpoint, and the one of a peer that sends nearly all: which to use, and batches where they save system calls.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::arrivals::Arrivals;
use super::complaints::{Complaints, is_about_one_datagram, standard};
use super::drops;
use super::lane::{self, Traffic, Way};
use super::line::{Line, prepare};
use crate::transport::Datagram;
use crate::transport::send::LENT_MIN;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, TimestampingFlag, Timestamps, recvmmsg, sendmmsg,
    setsockopt, sockopt,
};

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
    /// Whether what was read last has a note of when it came, if that was after the kernel was asked.
    pub is_noted: bool,
    /// Whether the last look found nothing, and left nothing out.
    pub is_empty: bool,
    /// What lanes that are gone have lost.
    dropped: u64,
    pub complaints: Complaints,
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
            is_noted: false,
            is_empty: false,
            dropped: 0,
            complaints: Complaints::default(),
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

    /// Whether batches are to tell when their datagrams came: those that come from now on. False if they cannot.
    pub fn stamp(&mut self, on: bool) -> bool {
        let lines = [Some(&self.main), self.lane.as_ref()];
        let told = lines.into_iter().flatten().all(|line| stamp(&line.udp, on).is_ok());
        self.stamped = on && told;
        told
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
                stamp(udp, true)?;
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
        let is_beside = way == Way::Main && self.lane.is_some();
        // Beside a lane it is looked at so seldom that only the kernel knows how long what is there has waited.
        let many = many || is_beside && self.stamped;
        for _ in 0..ATTEMPTS {
            // Mostly nothing is there, and that is known sooner than a batch is prepared.
            self.is_noted = many && self.stamped;
            let seen = if is_beside && many { self.main.peek() } else { Ok(()) };
            let read = seen.and_then(|()| match many {
                true => self.receive_many(way, arrivals),
                false => self.receive_one(way, arrivals),
            });
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

    fn line_to(&self, to: SocketAddr) -> &Line {
        self.lane.as_ref().filter(|lane| lane.peer == Some(to)).unwrap_or(&self.main)
    }

    /// Sends datagrams in order; returns how many were dealt with. Fewer than all: the socket is full. One that the
    /// kernel refuses for a reason of its own counts as sent, and lost: the transport notices by itself.
    pub fn send(&mut self, departures: &[Departure]) -> usize {
        let mut done = 0;
        let mut attempts = 0;
        while let Some(rest) = departures.get(done..).filter(|rest| !rest.is_empty()) {
            let sent = match rest {
                [one] => self.line_to(one.to).send(&one.datagram, one.to).map(|_| 1),
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

    fn read_errors(&mut self) {
        for line in [Some(&self.main), self.lane.as_ref()].into_iter().flatten() {
            self.complaints.read(&line.udp);
        }
    }

    fn note_too_large(&mut self, to: SocketAddr, bytes: usize) {
        self.read_errors();
        self.complaints.note_too_large(to, bytes);
    }
}

/// Asks the kernel to note when datagrams come, or no more. (What SO_TIMESTAMPNS begins lasts as long as the socket.)
fn stamp(udp: &UdpSocket, on: bool) -> nix::Result<()> {
    let notes = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
    setsockopt(udp, sockopt::Timestamping, &if on { notes } else { TimestampingFlag::empty() })
}

/// Room for what may be said beside a datagram: when it came.
fn control_space() -> Vec<u8> {
    nix::cmsg_space!(Timestamps)
}

/// When a datagram came, if this says so.
fn told(control: ControlMessageOwned) -> Option<SystemTime> {
    match control {
        ControlMessageOwned::ScmTimestampsns(Timestamps { system, .. }) => {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from(system))
        }
        _ => None,
    }
}
