//! The floor: the same work with nothing of ours in the way.
//!
//! A thread reads a word of a page that this process never had; a handler thread gets the event, sends a 32-byte datagram to
//! the other process, receives 4 KiB, fills the fresh frame and maps it read-only. No protocol, no checksum, no retransmission: a
//! lost datagram, which loopback does not have, ends the measurement with an error.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dsm_core::job::Job;
use dsm_core::mem::{Access, BASE_DEFAULT, FaultReader, PAGE_BYTES, PageRange, Region};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::Page;

use super::{consume, microseconds, say};
use crate::figure::{Figure, Unit};

const REQUEST_BYTES: usize = 32;
const ECHO_BYTES: usize = 64;
/// Pages in a datagram of the bulk stream: 60 KiB.
const BULK_PAGES: usize = 15;
/// Datagrams that may be under way: a default receive buffer holds three of this size.
const BULK_WINDOW: usize = 3;

/// A guard against a lost datagram.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a request asks for.
#[derive(Clone, Copy)]
enum Ask {
    Page = 1,
    Echo = 2,
    Bulk = 3,
    End = 4,
}

pub(super) fn play(samples: usize, sleeping: bool) -> Result<(), String> {
    let job = Job::from_env().map_err(|error| error.to_string())?.unwrap_or_else(Job::alone);
    let spin = if sleeping { Duration::ZERO } else { job.poll };
    let link = Link::open(&job, spin).map_err(|error| error.to_string())?;
    let played = if job.rank == 0 { measure(&link, samples, sleeping) } else { serve(&link) };
    played.map_err(|error| error.to_string())
}

fn measure(link: &Link, samples: usize, sleeping: bool) -> io::Result<()> {
    // The other process may not be there yet.
    link.meet()?;
    let (fault, echo) = if sleeping {
        ("floor_fault_sleeping", "udp_round_trip_sleeping")
    } else {
        ("floor_fault_polling", "udp_round_trip_polling")
    };
    say(fault, faults(link, samples)?);
    let mut buffer = [0; ECHO_BYTES];
    let round_trip = || -> io::Result<f64> {
        let mut result = Ok(());
        let took = microseconds(|| result = link.ask(Ask::Echo).and_then(|()| link.receive(&mut buffer)).map(drop));
        result.map(|()| took)
    };
    say(echo, std::iter::repeat_with(round_trip).take(samples).collect::<io::Result<_>>()?);
    if !sleeping {
        bulk(link, samples / 2 + 1)?;
        sequential_read(link, samples / 4 + 1, false)?;
        sequential_read(link, samples / 4 + 1, true)?;
    }
    link.ask(Ask::End)
}

fn region(pages: usize) -> io::Result<Region> {
    Region::new((pages * PAGE_BYTES) as u64, BASE_DEFAULT).map_err(io::Error::other)
}

/// Microseconds of each fault.
fn faults(link: &Link, count: usize) -> io::Result<Vec<f64>> {
    let region = region(count)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let handler = scope.spawn(|| {
            let result = handle(&region, link, &stop);
            if let Err(error) = &result {
                // The other thread sleeps in a fault for ever: nothing is left but to end.
                eprintln!("floor: {error}");
                std::process::exit(1);
            }
            result
        });
        let touch = |page: usize| microseconds(|| consume(region.load::<u64>((page * PAGE_BYTES) as u64)));
        let took = (0..count).map(touch).collect();
        stop.store(true, Ordering::Relaxed);
        handler.join().unwrap_or(Ok(())).map(|()| took)
    })
}

fn handle(region: &Region, link: &Link, stop: &AtomicBool) -> io::Result<()> {
    let (mut reader, mut faults, mut bytes) = (FaultReader::new(1), Vec::new(), [0; PAGE_BYTES]);
    while !stop.load(Ordering::Relaxed) {
        let mut ready = [PollFd::new(region.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::from(100u8))?;
        faults.clear();
        reader.read(region, &mut faults).map_err(io::Error::other)?;
        for fault in &faults {
            link.ask(Ask::Page)?;
            link.receive(&mut bytes)?;
            region.fill(fault.page, &bytes).map_err(io::Error::other)?;
            region.map(fault.page, Access::Read).map_err(io::Error::other)?;
        }
    }
    Ok(())
}

/// Windowed datagrams of 60 KiB, received and forgotten.
fn bulk(link: &Link, datagrams: usize) -> io::Result<()> {
    let mut buffer = vec![0; BULK_PAGES * PAGE_BYTES];
    let start = Instant::now();
    stream(link, datagrams, |_| link.receive(&mut buffer).map(drop))?;
    say_speed("udp_bulk", datagrams, start);
    Ok(())
}

/// The same into fresh frames, filled one by one or all pages of a datagram in one step, mapped, and one word of every cache line
/// read.
fn sequential_read(link: &Link, datagrams: usize, batched: bool) -> io::Result<()> {
    let region = region(datagrams * BULK_PAGES)?;
    let mut buffer = vec![0; BULK_PAGES * PAGE_BYTES];
    let start = Instant::now();
    let mut sum = 0u64;
    stream(link, datagrams, |datagram| {
        link.receive(&mut buffer)?;
        let first = datagram * BULK_PAGES;
        if batched {
            let pages: Vec<&[u8]> = buffer.chunks(PAGE_BYTES).collect();
            region.fill_run(Page(first as u64), &pages).map_err(io::Error::other)?;
        } else {
            let mut pages = (first as u64..).map(Page).zip(buffer.chunks(PAGE_BYTES));
            pages.try_for_each(|(page, bytes)| region.fill(page, bytes)).map_err(io::Error::other)?;
        }
        let range = PageRange::new(Page(first as u64), BULK_PAGES as u64);
        region.map(range, Access::Read).map_err(io::Error::other)?;
        let lines = (first * PAGE_BYTES..(first + BULK_PAGES) * PAGE_BYTES).step_by(64);
        sum = lines.map(|offset| region.load::<u64>(offset as u64)).fold(sum, u64::wrapping_add);
        Ok(())
    })?;
    std::hint::black_box(sum);
    let name = if batched { "floor_sequential_read_batched" } else { "floor_sequential_read" };
    say_speed(name, datagrams, start);
    Ok(())
}

fn stream(link: &Link, datagrams: usize, mut take: impl FnMut(usize) -> io::Result<()>) -> io::Result<()> {
    (0..BULK_WINDOW.min(datagrams)).try_for_each(|_| link.ask(Ask::Bulk))?;
    for datagram in 0..datagrams {
        take(datagram)?;
        if datagram + BULK_WINDOW < datagrams {
            link.ask(Ask::Bulk)?;
        }
    }
    Ok(())
}

fn say_speed(name: &str, datagrams: usize, start: Instant) {
    let speed = (datagrams * BULK_PAGES * PAGE_BYTES) as f64 / 1e6 / start.elapsed().as_secs_f64();
    println!("{}", Figure::of(name, Unit::MegabytesPerSecond, vec![speed]));
}

fn serve(link: &Link) -> io::Result<()> {
    let (mut request, answer) = ([0; REQUEST_BYTES], vec![0; BULK_PAGES * PAGE_BYTES]);
    loop {
        link.receive(&mut request)?;
        let bytes = match request[0] {
            ask if ask == Ask::Page as u8 => PAGE_BYTES,
            ask if ask == Ask::Echo as u8 => ECHO_BYTES,
            ask if ask == Ask::Bulk as u8 => answer.len(),
            _ => return Ok(()),
        };
        link.socket.send(&answer[..bytes])?;
    }
}

/// Two sockets that know each other's address: that of this node is in its environment, the other's is the port beside it.
struct Link {
    socket: UdpSocket,
    spin: Duration,
}

impl Link {
    fn open(job: &Job, spin: Duration) -> io::Result<Link> {
        let socket = UdpSocket::bind(job.bind)?;
        let port = if job.rank == 0 { job.bind.port().checked_add(1) } else { job.bind.port().checked_sub(1) };
        socket.connect(SocketAddr::new(job.bind.ip(), port.unwrap_or(0)))?;
        socket.set_nonblocking(true)?;
        Ok(Link { socket, spin })
    }

    /// Asks until the other side is there: a datagram to a port that nobody has bound is refused.
    fn meet(&self) -> io::Result<()> {
        let (start, mut buffer) = (Instant::now(), [0; ECHO_BYTES]);
        while start.elapsed() < PATIENCE {
            if self.ask(Ask::Echo).is_ok() && self.receive(&mut buffer).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::new(ErrorKind::TimedOut, "the other process of the floor did not come"))
    }

    fn ask(&self, what: Ask) -> io::Result<()> {
        let mut request = [0; REQUEST_BYTES];
        request[0] = what as u8;
        self.socket.send(&request).map(drop)
    }

    /// Polls for a while, then sleeps.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = Instant::now();
        loop {
            match self.socket.recv(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            let waited = start.elapsed();
            if waited > PATIENCE {
                return Err(io::Error::new(ErrorKind::TimedOut, "a datagram was lost, which loopback does not do"));
            }
            if waited >= self.spin {
                let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
                poll(&mut ready, PollTimeout::from(1000u16))?;
            }
        }
    }
}
