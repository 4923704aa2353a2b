//! A raw TCP connection, without Nagle's delay.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use nix::sys::socket::{setsockopt, sockopt};
use yardstick::line::Line;
use yardstick::plan::{Calls, Goodput};
use yardstick::{Blocking, blocking, contents, process};

use super::{Ask, MESSAGE_BYTES, parse, request, text};
use crate::rpc::stack::Congestion;

/// Bytes read or written at a time of a stream without an end.
const PIECE_BYTES: u32 = 64 << 10;

/// Answers every connection in a thread of its own, until the process ends.
pub(crate) fn serve(bind: SocketAddr, congestion: Congestion) -> Result<(), String> {
    let listener = TcpListener::bind(bind).map_err(text)?;
    let algorithm = match congestion {
        Congestion::Default => None,
        Congestion::Cubic => Some("cubic"),
        Congestion::Bbr => Some("bbr"),
    };
    if let Some(algorithm) = algorithm {
        // Its connections inherit it.
        setsockopt(&listener, sockopt::TcpCongestion, &algorithm.into())
            .map_err(|errno| format!("the kernel has no {algorithm} congestion control for TCP: {errno}"))?;
    }
    process::announce(&listener.local_addr().map_err(text)?.to_string()).map_err(text)?;
    for connection in listener.incoming() {
        let connection = connection.map_err(text)?;
        // A caller that goes away is not this server's trouble.
        thread::spawn(move || answer(connection));
    }
    Ok(())
}

fn answer(mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut message = [0; MESSAGE_BYTES];
    loop {
        connection.read_exact(&mut message)?;
        match parse(&message)? {
            (Ask::Echo, _) => connection.write_all(&message)?,
            (Ask::Contents, bytes) => connection.write_all(contents::expected(bytes as u32))?,
            (Ask::Stream, _) => loop {
                connection.write_all(contents::expected(PIECE_BYTES))?;
            },
        }
    }
}

fn connect(server: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(server).map_err(text)?;
    stream.set_nodelay(true).map_err(text)?;
    Ok(stream)
}

/// Carries out the plan.
pub(crate) fn call(stack: &str, server: SocketAddr, process: u32, plan: &Calls) -> Result<(), String> {
    blocking::measure(stack, plan, process, Caller { stream: connect(server)?, server })
}

/// One connection over which bytes come without an end: what TCP can do when nobody waits for anything.
pub(crate) fn goodput(stack: &str, server: SocketAddr, plan: &Goodput) -> Result<(), String> {
    let mut stream = connect(server)?;
    let line = Line::begin(plan);
    stream.write_all(&request(Ask::Stream, 0)).map_err(text)?;
    let mut piece = vec![0; PIECE_BYTES as usize];
    while let Some(left) = line.left() {
        stream.set_read_timeout(Some(left)).map_err(text)?;
        match read_until(&mut stream, &mut piece, &line) {
            Ok(true) => contents::check(&piece, PIECE_BYTES)?,
            Ok(false) => break,
            Err(error) => return Err(text(error)),
        }
    }
    blocking::print(&[line.figure(stack)])
}

/// Fills the piece; false if the time is over first. Bytes count as they come.
fn read_until(stream: &mut TcpStream, piece: &mut [u8], line: &Line) -> io::Result<bool> {
    let mut filled = 0;
    while filled < piece.len() {
        if line.left().is_none() {
            return Ok(false);
        }
        match stream.read(&mut piece[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                filled += count;
                line.arrived(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

struct Caller {
    stream: TcpStream,
    server: SocketAddr,
}

impl Blocking for Caller {
    type Contents = Vec<u8>;

    fn echo(&mut self, number: u64) -> Result<u64, String> {
        let mut message = request(Ask::Echo, number);
        self.stream.write_all(&message).map_err(text)?;
        self.stream.read_exact(&mut message).map_err(text)?;
        parse(&message).map(|(_, number)| number).map_err(text)
    }

    fn fetch(&mut self, bytes: u32, result: &mut Vec<u8>) -> Result<(), String> {
        result.resize(bytes as usize, 0);
        self.stream.write_all(&request(Ask::Contents, bytes.into())).map_err(text)?;
        self.stream.read_exact(result).map_err(text)
    }

    /// A connection of its own.
    fn another(&self) -> Option<Caller> {
        Some(Caller { stream: connect(self.server).ok()?, server: self.server })
    }

    fn datagrams(&self) -> Option<u64> {
        None
    }
}
