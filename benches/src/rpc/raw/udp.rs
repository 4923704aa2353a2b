//! A raw UDP round trip, and datagrams of the largest size in a small window.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use yardstick::plan::{Calls, RESULT_BYTES, names};
use yardstick::{Blocking, Figure, Unit, blocking, contents, process};

use super::{Ask, MESSAGE_BYTES, parse, request, text};
use crate::rpc::POLL;

/// All that UDP over IPv4 takes.
const DATAGRAM_BYTES: usize = 65_507;
/// Datagrams under way: a default receive buffer holds three of this size.
const WINDOW: usize = 3;
/// A guard against a lost datagram.
const PATIENCE: Duration = Duration::from_secs(5);

/// A socket that knows one other.
struct Link {
    socket: UdpSocket,
    poll: Duration,
}

impl Link {
    fn new(socket: UdpSocket, polling: bool) -> io::Result<Link> {
        socket.set_nonblocking(true)?;
        // More than the default if it is to be had.
        let _ = setsockopt(&socket, sockopt::RcvBuf, &(1 << 20));
        Ok(Link { socket, poll: if polling { POLL } else { Duration::ZERO } })
    }

    /// Polls for a while, then sleeps until something comes or the time is over.
    fn wait<T>(&self, patience: Duration, mut read: impl FnMut(&UdpSocket) -> io::Result<T>) -> io::Result<T> {
        let start = Instant::now();
        loop {
            match read(&self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            let waited = start.elapsed();
            if waited > patience {
                return Err(io::Error::new(ErrorKind::TimedOut, "a datagram was lost, which loopback does not do"));
            }
            if waited >= self.poll {
                let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
                poll(&mut ready, PollTimeout::from(1000u16))?;
            }
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(PATIENCE, |socket| socket.recv(buffer))
    }
}

/// Answers whoever sends the first datagram, until the process ends.
pub(crate) fn serve(bind: SocketAddr, polling: bool) -> Result<(), String> {
    let socket = UdpSocket::bind(bind).map_err(text)?;
    let addr = socket.local_addr().map_err(text)?;
    let link = Link::new(socket, polling).map_err(text)?;
    process::announce(&addr.to_string()).map_err(text)?;
    let mut message = [0; MESSAGE_BYTES];
    let (_, from) = link.wait(Duration::MAX, |socket| socket.peek_from(&mut message)).map_err(text)?;
    link.socket.connect(from).map_err(text)?;
    let contents = contents::expected(RESULT_BYTES);
    loop {
        link.wait(Duration::MAX, |socket| socket.recv(&mut message)).map_err(text)?;
        let (ask, number) = parse(&message).map_err(text)?;
        let answer = match ask {
            Ask::Contents => {
                let rest = contents.get(number as usize..).unwrap_or_default();
                &rest[..rest.len().min(DATAGRAM_BYTES)]
            }
            _ => &message[..],
        };
        link.socket.send(answer).map_err(text)?;
    }
}

/// Carries out the plan.
pub(crate) fn call(stack: &str, server: SocketAddr, process: u32, plan: &Calls, polling: bool) -> Result<(), String> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).map_err(text)?;
    socket.connect(server).map_err(text)?;
    let link = Link::new(socket, polling).map_err(text)?;
    blocking::print(&[bulk(stack, &link, plan.results * 16 + 1).map_err(text)?])?;
    blocking::measure(stack, plan, process, Caller { link, sent: 0 })
}

/// A window that is always full, received and forgotten.
fn bulk(stack: &str, link: &Link, datagrams: usize) -> io::Result<Figure> {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let ask = || link.socket.send(&request(Ask::Contents, 0)).map(drop);
    // The first ones find cold caches.
    let warm_up = datagrams / 10 + WINDOW;
    let mut start = Instant::now();
    (0..WINDOW).try_for_each(|_| ask())?;
    for number in 0..warm_up + datagrams {
        if number == warm_up {
            start = Instant::now();
        }
        link.receive(&mut buffer)?;
        if number + WINDOW < warm_up + datagrams {
            ask()?;
        }
    }
    let speed = (datagrams * DATAGRAM_BYTES) as f64 / 1e6 / start.elapsed().as_secs_f64();
    Ok(Figure::of(&names::bulk(stack), Unit::MegabytesPerSecond, vec![speed]))
}

struct Caller {
    link: Link,
    sent: u64,
}

impl Blocking for Caller {
    type Contents = Vec<u8>;

    fn echo(&mut self, number: u64) -> Result<u64, String> {
        let mut message = request(Ask::Echo, number);
        self.link.socket.send(&message).map_err(text)?;
        self.link.receive(&mut message).map_err(text)?;
        self.sent += 2;
        parse(&message).map(|(_, number)| number).map_err(text)
    }

    fn fetch(&mut self, bytes: u32, result: &mut Vec<u8>) -> Result<(), String> {
        result.resize(bytes as usize, 0);
        let mut asked = (0..u64::from(bytes)).step_by(DATAGRAM_BYTES);
        let mut ask = || asked.next().map_or(Ok(0), |place| self.link.socket.send(&request(Ask::Contents, place)));
        (0..WINDOW).try_for_each(|_| ask().map(drop)).map_err(text)?;
        for piece in result.chunks_mut(DATAGRAM_BYTES) {
            self.link.receive(piece).map_err(text)?;
            ask().map_err(text)?;
        }
        Ok(())
    }

    /// The server listens to one socket alone.
    fn another(&self) -> Option<Caller> {
        None
    }

    fn datagrams(&self) -> Option<u64> {
        Some(self.sent)
    }
}
