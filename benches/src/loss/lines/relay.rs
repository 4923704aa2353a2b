//! A line for UDP alone, between two sockets of this process: where there are no namespaces to be had.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use yardstick::network::{Direction, Network};

use super::{Plan, json};
use crate::figure::Figure;
use crate::rpc::stack::Stack;
use crate::served::Served;

/// An Ethernet frame's worth: what the two ends may send over this line.
const DATAGRAM_BYTES: &str = "1472";
/// How long to sleep when nothing is under way: then the end is noticed.
const IDLE: Duration = Duration::from_millis(50);
/// Datagrams taken from one socket before the other is looked at.
const BATCH: usize = 64;

/// Ours over one line.
///
/// # Errors
///
/// A sentence for the user.
pub fn over_sockets(plan: Plan, stack: Stack, loss: u32, round: usize) -> Result<Vec<Figure>, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program's own file: {error}"))?;
    let name = stack.to_string();
    let side = |role: &str| {
        let mut command = Command::new(&own);
        command.args(["side", role, &name, "--datagram", DATAGRAM_BYTES]);
        command
    };
    let server = Served::start(side("serve"))?;
    let address = server.place().parse().map_err(|_| "the server announced no address")?;
    let (network, what) = plan.of(loss, round);
    let line = Line::open(address).map_err(|error| format!("cannot make the line: {error}"))?;
    let mut caller = side("call");
    caller.args([line.address.to_string(), server.process().to_string(), json(&what)?]).stdin(Stdio::null());
    let over = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        let carrier = scope.spawn(|| line.carry(&network, &over));
        let output = caller.output();
        over.store(true, Ordering::Relaxed);
        let carried = carrier.join().unwrap_or_else(|_| Err(io::Error::other("the carrier panicked")));
        carried.and(output).map_err(|error| error.to_string())
    })?;
    server.dismiss()?;
    if !output.status.success() {
        return Err(format!("{stack} at {loss} % loss: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8_lossy(&output.stdout).lines().map(str::parse).collect()
}

/// Two sockets: callers know one, the server the other.
struct Line {
    front: UdpSocket,
    back: UdpSocket,
    address: SocketAddr,
}

impl Line {
    fn open(server: SocketAddr) -> io::Result<Line> {
        let open = || -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let (front, back) = (open()?, open()?);
        back.connect(server)?;
        let address = front.local_addr()?;
        Ok(Line { front, back, address })
    }

    /// Carries datagrams both ways until it is over; who sent the last one to the front is the caller.
    fn carry(&self, network: &Network, over: &AtomicBool) -> io::Result<()> {
        let start = Instant::now();
        let (mut to_caller, mut to_server) = (Direction::new(network, 0), Direction::new(network, 1));
        let mut buffer = vec![0; 1 << 16];
        let mut caller = None;
        while !over.load(Ordering::Relaxed) {
            for _ in 0..BATCH {
                match self.front.recv_from(&mut buffer) {
                    Ok((bytes, from)) => {
                        caller = Some(from);
                        to_server.send(start.elapsed(), buffer.get(..bytes).unwrap_or_default());
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            for _ in 0..BATCH {
                match self.back.recv(&mut buffer) {
                    Ok(bytes) => to_caller.send(start.elapsed(), buffer.get(..bytes).unwrap_or_default()),
                    // The server is gone, or not there yet: what was sent to it is lost.
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => break,
                    Err(error) => return Err(error),
                }
            }
            let now = start.elapsed();
            // A socket whose buffer is full loses the datagram, as a network card does.
            to_server.arrivals(now, |datagram| drop(self.back.send(datagram)));
            if let Some(caller) = caller {
                to_caller.arrivals(now, |datagram| drop(self.front.send_to(datagram, caller)));
            }
            let next = [to_caller.next_arrival(), to_server.next_arrival()].into_iter().flatten().min();
            let wait = next.map_or(IDLE, |next| next.saturating_sub(start.elapsed()).min(IDLE));
            let mut ready = [&self.front, &self.back].map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
            ppoll(&mut ready, Some(TimeSpec::from_duration(wait)), None)?;
        }
        Ok(())
    }
}
