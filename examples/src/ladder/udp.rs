//! A raw UDP round trip between nodes 0 and 1: 64 bytes there and back, nothing of ours in between.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use dsm_core::{Dsm, SharedArray};

const BYTES: usize = 64;

/// A guard against a lost datagram, which loopback does not do.
const PATIENCE: Duration = Duration::from_secs(2);

/// `count` round trips in nanoseconds, at node 0. Collective; `ports` has a word for each side to say its port in.
pub(super) fn round_trips(
    dsm: &Dsm,
    ports: SharedArray<'_, u64>,
    count: usize,
    polling: bool,
) -> io::Result<Option<Vec<f64>>> {
    let me = dsm.rank();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    if me < 2 {
        ports.set(me, socket.local_addr()?.port().into());
    }
    dsm.barrier();
    let other = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.get(1 - me.min(1)) as u16));
    let took = if me < 2 { Some(exchange(me, &socket, other, count, polling)) } else { None };
    dsm.barrier();
    Ok(took.transpose()?.filter(|_| me == 0))
}

fn exchange(me: usize, socket: &UdpSocket, other: SocketAddr, count: usize, polling: bool) -> io::Result<Vec<f64>> {
    socket.connect(other)?;
    socket.set_nonblocking(polling)?;
    if !polling {
        socket.set_read_timeout(Some(PATIENCE))?;
    }
    let mut bytes = [0; BYTES];
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        if me == 0 {
            socket.send(&bytes)?;
        }
        receive(socket, &mut bytes)?;
        if me != 0 {
            socket.send(&bytes)?;
        }
        took.push(start.elapsed().as_nanos() as f64);
    }
    Ok(took)
}

fn receive(socket: &UdpSocket, bytes: &mut [u8]) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match socket.recv(bytes) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
        }
    }
}
