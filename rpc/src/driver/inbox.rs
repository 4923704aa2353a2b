//! Where a driver puts what it received.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use super::arrivals::Arrivals;
use super::socket::BATCH;
use crate::transport::{Body, BootEpoch, Channel, Event, LostReason, Peer};

/// Receive buffers and what was found in them. The caller owns it, so it may send through the
/// [`Driver`](super::Driver) while it reads.
#[derive(Debug)]
pub struct Inbox {
    pub(super) arrivals: Arrivals,
    pub(super) events: Vec<Event>,
    /// In which datagram of `arrivals` the event of the same place was found.
    places: Vec<usize>,
    taken: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox {
    /// An empty one. It reserves 1 MiB of address space; memory is used as far as datagrams fill it.
    pub fn new() -> Self {
        Inbox {
            arrivals: Arrivals::new(),
            events: Vec::with_capacity(BATCH),
            places: Vec::with_capacity(BATCH),
            taken: 0,
        }
    }

    /// Whether everything was taken out.
    pub fn is_empty(&self) -> bool {
        self.taken >= self.events.len()
    }

    /// Makes room for new events, if everything was taken out.
    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.places.clear();
        self.taken = 0;
    }

    /// The events appended since the last call were found in this datagram.
    pub(super) fn attribute(&mut self, place: usize) {
        self.places.resize(self.events.len(), place);
    }

    /// What came, each item once. What is not taken out stays, and until it is, a driver reads no new datagrams into
    /// this inbox.
    pub fn drain(&mut self) -> impl Iterator<Item = Incoming<'_>> {
        let Inbox { arrivals, events, places, taken } = self;
        let (arrivals, places) = (&*arrivals, &*places);
        let mut left = events.iter_mut().enumerate().skip(*taken);
        std::iter::from_fn(move || {
            let (number, event) = left.next()?;
            let place = places.get(number).copied().unwrap_or_default();
            *taken = number + 1;
            Some(match event {
                Event::Up { peer, addr, boot } => Incoming::Up { peer: *peer, addr: *addr, boot: *boot },
                Event::Lost { peer, addr, reason } => Incoming::Lost { peer: *peer, addr: *addr, reason: *reason },
                Event::Message { peer, channel, body } => {
                    let body = match body {
                        Body::Whole(bytes) => Received::Whole(bytes),
                        Body::InDatagram(_) => Received::InDatagram(body.bytes(arrivals.datagram(place))),
                    };
                    Incoming::Message { peer: *peer, channel: *channel, body, waited: arrivals.waited(place) }
                }
            })
        })
    }
}

/// Something that came. The fields are those of [`Event`].
#[derive(PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "as in Event")]
pub enum Incoming<'a> {
    /// A session is open.
    Up { peer: Peer, addr: SocketAddr, boot: BootEpoch },
    /// A session is over.
    Lost { peer: Peer, addr: SocketAddr, reason: LostReason },
    /// A message, and how long it (or the last part of it) waited for this endpoint to look: see
    /// [`Driver::time_arrivals`](super::Driver::time_arrivals).
    Message { peer: Peer, channel: Channel, body: Received<'a>, waited: Duration },
}

/// The bytes of a message.
#[derive(PartialEq, Eq, Debug)]
pub enum Received<'a> {
    /// It came in one datagram, and stands in the receive buffer.
    InDatagram(&'a [u8]),
    /// It was put together from several: whoever wants to keep it takes the buffer, and copies nothing.
    Whole(&'a mut Vec<u8>),
}

impl<'a> Received<'a> {
    /// The bytes, for as long as the inbox is not used again.
    pub fn into_bytes(self) -> &'a [u8] {
        match self {
            Received::InDatagram(bytes) => bytes,
            Received::Whole(bytes) => bytes,
        }
    }
}

impl Deref for Received<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Received::InDatagram(bytes) => bytes,
            Received::Whole(bytes) => bytes,
        }
    }
}
