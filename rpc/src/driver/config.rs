//! How a driver is set up, and what may go wrong with its socket.

use std::io;
use std::net::SocketAddr;

use crate::Security;
use crate::impair::Impairments;
use crate::trace::Trace;
use crate::transport::TransportConfig;

/// How a [`Driver`](super::Driver) is set up. There is no default: see [`TransportConfig`].
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// Limits and times of the transport.
    pub transport: TransportConfig,
    /// Faults to inject into what is sent.
    pub impairments: Impairments,
    /// How large socket buffers to ask the kernel for, bytes; it may grant less.
    pub socket_buffer: usize,
    /// Where every datagram is written down, if it is.
    pub trace: Option<Trace>,
}

impl DriverConfig {
    /// Everything as usual, over a [plain](TransportConfig::plain) transport.
    pub fn plain() -> Self {
        Self::over(TransportConfig::plain())
    }

    /// Everything as usual, for whoever has this [`Key`](crate::Key).
    pub fn new(security: impl Into<Security>) -> Self {
        Self::over(TransportConfig::new(security))
    }

    fn over(transport: TransportConfig) -> Self {
        DriverConfig { transport, impairments: Impairments::default(), socket_buffer: 4 << 20, trace: None }
    }
}

/// What the socket would not do.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The address cannot be bound.
    #[error("cannot bind a UDP socket to {addr}: {source}")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The socket cannot be set up.
    #[error("cannot set up the UDP socket: {0}")]
    Setup(#[source] io::Error),
    /// The socket cannot be read.
    #[error("cannot receive from the UDP socket: {0}")]
    Receive(#[source] io::Error),
}
