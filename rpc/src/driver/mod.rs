//! One UDP socket that drives a [`Transport`].
//!
//! ```no_run
//! use rpc::driver::{Driver, DriverConfig, Inbox, Incoming};
//! use rpc::transport::Channel;
//!
//! let mut driver = Driver::bind("127.0.0.1:0".parse()?, DriverConfig::plain())?;
//! let peer = driver.connect("127.0.0.1:7000".parse()?)?;
//! driver.send(peer, Channel(7), &[b"hello"])?;
//! driver.flush();
//! let mut inbox = Inbox::new();
//! loop {
//!     driver.receive(&mut inbox)?;
//!     for incoming in inbox.drain() {
//!         if let Incoming::Message { peer, channel, body, .. } = incoming {
//!             driver.send(peer, channel, &[b"you said: ", &body])?;
//!         }
//!     }
//!     driver.flush();
//!     // Poll again, or sleep until the socket is readable or `driver.next_timeout()` has come.
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrivals;
mod complaints;
mod config;
mod drops;
mod inbox;
mod lane;
mod line;
mod polling;
mod socket;
mod stamping;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::impair::Impairer;
use crate::time::{self, Time};
use crate::trace::Tracer;
use crate::transport::{BootEpoch, Channel, Counters, Datagram, Outgoing, Peer, Seed, SendError, Transport};
use socket::{BATCH, BULK_BYTES, Departure, Socket};
use stamping::Stamping;

pub use config::{DriverConfig, DriverError};
pub use inbox::{Inbox, Incoming, Received};
pub use polling::{Pace, Pause, Polling};

/// How long to wait before a socket that was full is tried again. Whoever sleeps on it wakes for what comes in, not for room; a
/// network card sends what fills a socket within less.
const SOCKET_FULL_RETRY: Duration = Duration::from_millis(1);

/// Who looks no more often than this has other things to do in between: what is looked at less often should not wait for several looks.
const SLOW: Duration = Duration::from_micros(50);

/// An age of a datagram that is worth knowing.
const AWAY: Duration = Duration::from_millis(1);

/// A transport with its socket, on the clock of [`time::now`]. One thread at a time uses it.
#[derive(Debug)]
pub struct Driver {
    socket: Socket,
    transport: Transport,
    impairer: Option<Impairer>,
    tracer: Option<Tracer>,
    boot: BootEpoch,
    local: SocketAddr,
    /// The time at which it last looked at the clock to receive.
    received_at: Time,
    /// The latest time that the transport was told.
    told: Time,
    /// When the socket was last found empty: no datagram has waited since before.
    emptied_at: Time,
    /// When a look last found nothing where it looked.
    paused_at: Time,
    /// What comes next may have waited for long.
    overdue: bool,
    stamping: Stamping,
    departures: Vec<Departure>,
    /// Of `departures`, the ones that the full socket did not take.
    held: std::ops::Range<usize>,
    /// When to offer them to the socket again.
    retry_at: Time,
    batching: Batching,
}

impl Driver {
    /// Binds a socket (port 0: any free one). The boot epoch and the seed of the transport come from the operating
    /// system's random source.
    pub fn bind(addr: SocketAddr, config: DriverConfig) -> Result<Driver, DriverError> {
        let socket = UdpSocket::bind(addr).map_err(|source| DriverError::Bind { addr, source })?;
        Self::from_socket(socket, config)
    }

    /// Takes over a bound socket and makes it non-blocking.
    pub fn from_socket(socket: UdpSocket, config: DriverConfig) -> Result<Driver, DriverError> {
        let local = socket.local_addr().map_err(DriverError::Setup)?;
        let boot = BootEpoch(u64::from_ne_bytes(os_random().map_err(DriverError::Setup)?));
        let seed = Seed::new(os_random().map_err(DriverError::Setup)?);
        let now = time::now();
        let trailer_bytes = config.transport.security.protection().trailer_bytes();
        let mut transport = Transport::new(config.transport, boot, seed);
        let tracer = config.trace.map(|trace| {
            transport.keep_unsealed();
            Tracer::new(trace, local, trailer_bytes)
        });
        let to = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let departure = Departure { datagram: Datagram::default(), to };
        Ok(Driver {
            socket: Socket::new(socket, config.socket_buffer).map_err(DriverError::Setup)?,
            transport,
            impairer: config.impairments.is_any().then(|| Impairer::new(config.impairments)),
            tracer,
            boot,
            local,
            received_at: now,
            told: now,
            emptied_at: now,
            paused_at: now,
            overdue: false,
            stamping: Stamping::default(),
            departures: vec![departure; BATCH],
            held: 0..0,
            retry_at: Time::ZERO,
            batching: Batching::default(),
        })
    }

    /// Where this endpoint is.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// This incarnation.
    pub fn boot(&self) -> BootEpoch {
        self.boot
    }

    /// See [`Transport::connect`]; [`Self::flush`] puts the hello on the wire.
    pub fn connect(&mut self, addr: SocketAddr) -> Result<Peer, SendError> {
        let now = self.tell(time::now());
        self.transport.connect(now, addr)
    }

    /// From now on, messages tell how long they have waited in the socket's buffer, if that was a millisecond or more.
    pub fn time_arrivals(&mut self) {
        self.stamping.want();
        self.rests(time::now());
    }

    /// Whoever looks at the socket is about to sleep: what comes meanwhile may wait.
    pub(crate) fn rests(&mut self, now: Time) {
        if self.stamping.rests(now) {
            self.stamp(true);
        }
    }

    fn stamp(&mut self, on: bool) {
        if !self.socket.stamp(on) {
            self.stamping.give_up();
        }
    }

    /// Says that nobody but whoever is at `addr` will ever be spoken to: the kernel then finds the way there once, not for each
    /// datagram, and drops what strangers send.
    pub fn dedicate(&mut self, addr: SocketAddr) -> Result<(), DriverError> {
        self.socket.dedicate(addr).map_err(DriverError::Setup)
    }

    /// Queues a message; [`Self::flush`] puts it on the wire, together with others that fit into the same datagram.
    pub fn send(&mut self, peer: Peer, channel: Channel, parts: &[&[u8]]) -> Result<(), SendError> {
        // Asking the clock would cost more than a small message does.
        self.transport.send(Time::ZERO, peer, channel, parts)
    }

    /// The same for any message.
    pub(crate) fn send_message(
        &mut self,
        peer: Peer,
        channel: Channel,
        message: Outgoing<'_>,
    ) -> Result<(), SendError> {
        self.transport.send_message(peer, channel, message)
    }

    /// Puts everything on the wire that may go now, and then does what was put off. What the full socket does not take stays for
    /// the next call.
    pub fn flush(&mut self) {
        // To ask the clock costs more than to find that nothing waits.
        if self.may_flush() {
            let now = time::now();
            self.flush_at(now);
        }
    }

    fn may_flush(&self) -> bool {
        self.wants_flush() || self.transport.is_behind() || self.impairer.is_some()
    }

    /// What to tell the transport at `now`: its time must not run backwards, and whoever looked at the clock may have had to wait for
    /// others, who looked later.
    fn tell(&mut self, now: Time) -> Time {
        self.told = self.told.max(now);
        self.told
    }

    /// [`Self::flush`], for whoever knows what time it is, or was a moment ago.
    pub(crate) fn flush_at(&mut self, now: Time) {
        if !self.may_flush() {
            return;
        }
        let mut now = self.tell(now);
        if let Some(impairer) = &mut self.impairer {
            let (socket, transport, tracer) = (&mut self.socket, &mut self.transport, &mut self.tracer);
            let [departure, ..] = &mut self.departures[..] else { return };
            impairer.due(now, |bytes, to| socket.send_loosely(bytes, to));
            let datagram = departure.datagram.in_one_piece();
            while let Some(to) = next(transport, tracer, now, datagram) {
                impairer.apply(now, datagram, to, |bytes, to| socket.send_loosely(bytes, to));
            }
            return;
        }
        loop {
            if self.held.is_empty() {
                self.held = 0..self.load(now);
            }
            let Some(departures) = self.departures.get(self.held.clone()).filter(|some| !some.is_empty()) else {
                return;
            };
            let wanted = departures.len();
            let sent = self.socket.send(departures);
            if let [first, ..] = &mut self.departures[..]
                && sent == wanted
            {
                first.datagram.give_back();
            }
            let left = self.held.start + sent..self.held.end;
            self.hold(left, now);
            if sent < wanted {
                return self.transport.catch_up(now);
            }
            if self.wants_flush() {
                now = self.tell(time::now());
            }
        }
    }

    /// Keeps these departures for later.
    fn hold(&mut self, departures: std::ops::Range<usize>, now: Time) {
        self.held = departures;
        self.retry_at = now + SOCKET_FULL_RETRY;
    }

    /// Fills the departures from the transport; returns how many. A large one goes alone: the receiver takes it in while the next
    /// is made, and what one system call saves is nothing beside that. Only the first may lend: what lends is large.
    fn load(&mut self, now: Time) -> usize {
        for (count, departure) in self.departures.iter_mut().enumerate() {
            let Departure { datagram, to } = departure;
            let addr = match self.tracer {
                None if count == 0 => self.transport.transmit_lending(now, datagram),
                _ => next(&mut self.transport, &mut self.tracer, now, datagram.in_one_piece()),
            };
            match addr {
                Some(addr) => *to = addr,
                None => return count,
            }
            if datagram.len() >= BULK_BYTES || !self.transport.wants_transmit() {
                return count + 1;
            }
        }
        self.departures.len()
    }

    /// Without blocking: reads one batch of datagrams into `inbox`, does what is due, and flushes. Returns how many
    /// datagrams were read. An inbox that was not drained gets nothing new. What need not be done before there is an answer to what came
    /// waits for the next [`Self::flush`], or until nothing comes.
    pub fn receive(&mut self, inbox: &mut Inbox) -> Result<usize, DriverError> {
        self.look(inbox, 1)
    }

    /// The same, for whoever polls: looks so often at once. To look is nearly all that a look costs then, and what comes meanwhile waits
    /// no longer than for that.
    pub(crate) fn look(&mut self, inbox: &mut Inbox, looks: usize) -> Result<usize, DriverError> {
        let (mut count, mut is_empty, mut was_empty, mut paused) = (0, false, false, false);
        if inbox.is_empty() {
            inbox.clear();
            // Only batches say how long each has waited.
            let overdue = std::mem::take(&mut self.overdue) && self.stamping.is_wanted();
            let many = self.batching.pays() || overdue;
            for _ in 0..looks {
                count = self.socket.receive(&mut inbox.arrivals, many).map_err(DriverError::Receive)?;
                is_empty = self.socket.is_empty;
                was_empty |= is_empty;
                if count > 0 {
                    break;
                }
                paused = true;
            }
            self.batching.learn(many, count, paused);
        }
        let now = self.tell(time::now());
        let before = std::mem::replace(&mut self.received_at, now);
        let since_last = now - before;
        if paused {
            self.paused_at = now;
        }
        if was_empty {
            // An earlier look may have been long ago.
            self.emptied_at = if is_empty { now } else { self.emptied_at.max(before) };
        }
        // Beside a lane there may be something although nothing was found.
        if (count > 0 || since_last >= AWAY && !was_empty)
            && let Some(on) = self.stamping.came(now, before, self.paused_at)
        {
            self.stamp(on);
        }
        if count == 0 && self.is_idle(now) {
            return Ok(0);
        }
        if since_last >= SLOW {
            self.socket.rested();
        }
        // Who read without asking when it came was here a moment ago, or else was interrupted in between.
        self.overdue = since_last >= AWAY;
        let unknown = self.stamping.unnoted(now, before, self.socket.is_noted);
        inbox.arrivals.settle(count, now - self.emptied_at, unknown);
        let known = inbox.events.len();
        for place in 0..count {
            let Some(from) = inbox.arrivals.from(place) else { continue };
            let (datagram, events) = (inbox.arrivals.datagram_mut(place), &mut inbox.events);
            match &mut self.tracer {
                None => self.transport.receive(now, from, datagram, events),
                Some(tracer) => tracer.receive(&mut self.transport, now, from, datagram, events),
            }
            inbox.attribute(place);
        }
        while let Some(addr) = self.socket.complaints.refused.pop() {
            self.transport.refused(now, addr, &mut inbox.events);
        }
        while let Some((addr, limit)) = self.socket.complaints.narrow.pop() {
            self.transport.too_large(now, addr, limit, &mut inbox.events);
        }
        self.transport.timeout(now, &mut inbox.events);
        if let Some(tracer) = &self.tracer {
            tracer.sessions(now, inbox.events.get(known..).unwrap_or_default());
        }
        inbox.attribute(0);
        // Whoever has something to say to what came says it first.
        if count == 0 || self.wants_flush() || self.impairer.is_some() {
            self.flush_at(now);
        }
        Ok(count)
    }

    /// Nobody has looked for a while: what comes next may have waited.
    pub(crate) fn rested(&mut self) {
        self.overdue = true;
        self.socket.rested();
    }

    /// A peer at a loopback address that sends nearly all may get a socket of its own: who sleeps is to watch [`Self::lane`], too, and to
    /// say when it has ([`Self::rested`]).
    pub(crate) fn favour(&mut self) {
        self.socket.favour();
    }

    /// The socket of such a peer.
    pub(crate) fn lane(&self) -> Option<Arc<UdpSocket>> {
        self.socket.lane()
    }

    /// Whether [`Self::flush`] would put something on the wire at once.
    pub fn wants_flush(&self) -> bool {
        self.transport.wants_transmit() || !self.held.is_empty()
    }

    /// The time of the last [`Self::receive`], for whoever need not know it more exactly.
    pub fn received_at(&self) -> Time {
        self.received_at
    }

    /// Whether there is nothing to do at `now` but what may have come.
    fn is_idle(&self, now: Time) -> bool {
        !self.transport.wants_transmit()
            && !self.transport.is_behind()
            && self.next_timeout().is_none_or(|due| due > now)
    }

    /// When to call [`Self::receive`] next even though nothing arrives.
    pub fn next_timeout(&self) -> Option<Time> {
        if !self.socket.complaints.is_empty() {
            return Some(Time::ZERO);
        }
        let impairer = self.impairer.as_ref().and_then(Impairer::next_due);
        let held = (!self.held.is_empty()).then_some(self.retry_at);
        self.transport.next_timeout().into_iter().chain(impairer).chain(held).min()
    }

    /// See [`Transport::close`]; [`Self::flush`] tells the other side.
    pub fn close(&mut self, peer: Peer) {
        let now = self.tell(time::now());
        self.transport.close(now, peer);
    }

    /// See [`Transport::plant`].
    #[cfg(feature = "planted")]
    pub fn plant(&mut self, bug: crate::planted::Bug) {
        self.transport.plant(bug);
    }

    /// See [`Transport::counters`].
    pub fn transport_counters(&self) -> Counters {
        self.transport.counters()
    }

    /// The same, with what the socket lost: the kernel is asked, which takes some tens of microseconds.
    pub fn counters(&self) -> Counters {
        let receive_overflows = self.socket.dropped();
        Counters { receive_overflows, ..self.transport_counters() }
    }

    /// See [`Transport::unacknowledged`].
    pub fn unacknowledged(&self, peer: Peer) -> usize {
        self.transport.unacknowledged(peer)
    }

    /// See [`Transport::has_room`].
    pub fn has_room(&mut self, peer: Peer) -> bool {
        self.transport.has_room(peer)
    }

    /// See [`Transport::datagram_size`].
    pub fn datagram_size(&self, peer: Peer) -> Option<usize> {
        self.transport.datagram_size(peer)
    }

    /// See [`Transport::address`].
    pub fn address(&self, peer: Peer) -> Option<SocketAddr> {
        self.transport.address(peer)
    }
}

impl AsFd for Driver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.main().as_fd()
    }
}

/// The next datagram to put on the wire, in one piece.
fn next(transport: &mut Transport, tracer: &mut Option<Tracer>, now: Time, out: &mut Vec<u8>) -> Option<SocketAddr> {
    match tracer {
        None => transport.transmit(now, out),
        Some(tracer) => tracer.transmit(transport, now, out),
    }
}

/// Whether to read one datagram or a batch: a batched call is dearer when there is only one.
#[derive(Debug, Default)]
struct Batching {
    /// The last look found something.
    found: bool,
    /// How often one has right after another, since a batch was none. While somebody waits for each answer, none does.
    followed: u32,
}

impl Batching {
    /// So often, and there may be more than one.
    const TRIED_AFTER: u32 = 32;

    fn pays(&self) -> bool {
        self.followed >= Self::TRIED_AFTER
    }

    /// So many were found; `paused`: not by the first look.
    fn learn(&mut self, many: bool, count: usize, paused: bool) {
        match (many, count) {
            (_, 0) => {}
            (true, 1) => self.followed = 0,
            (true, 2..) => self.followed = Self::TRIED_AFTER,
            (false, _) => self.followed += u32::from(self.found && !paused),
        }
        self.found = count > 0;
    }
}

/// Bytes from the operating system's random source.
fn os_random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
