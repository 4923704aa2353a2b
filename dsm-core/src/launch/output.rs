//! One thread that carries all output: the nodes' streams, line by line, and the launcher's own words.
//!
//! It alone owns the two sinks, so lines never mix. When a sink is slow this thread waits, the nodes' pipes fill and the nodes
//! wait; the supervisor never does.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::lines::Lines;
use super::supervise::Event;

/// What stands before every line of the launcher's own.
const WORDS_LABEL: &str = "dsm-node: ";

/// How much is read from one stream before the next has its turn.
const READ_BYTES: usize = 64 << 10;

/// Where the nodes' output goes.
pub struct Sinks {
    /// Takes the lines that nodes print on their standard output.
    pub stdout: Box<dyn Write + Send>,
    /// Takes the lines that nodes print on their standard error, and the launcher's own words.
    pub stderr: Box<dyn Write + Send>,
}

impl Sinks {
    /// This process's own standard output and standard error, without the buffers of `std::io`.
    ///
    /// # Errors
    ///
    /// The process has no descriptor left to duplicate them.
    pub fn inherit() -> io::Result<Sinks> {
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Ok(Sinks { stdout: Box::new(stdout), stderr: Box::new(stderr) })
    }
}

/// Which sink a stream's lines go to.
#[derive(Clone, Copy)]
pub(super) enum To {
    Stdout,
    Stderr,
}

/// One stream of one node.
pub(super) struct Stream {
    pipe: File,
    lines: Lines,
    to: To,
    open: bool,
}

impl Stream {
    /// A stream that reads `pipe`; its lines get `label` and go to `to`.
    pub(super) fn new(pipe: OwnedFd, label: &str, to: To) -> io::Result<Stream> {
        // Only our end becomes non-blocking: the two ends of a pipe are separate open files.
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Stream { pipe: File::from(pipe), lines: Lines::new(label), to, open: true })
    }

    /// Reads once and returns whether there was anything, be it the end.
    fn read(&mut self, buffer: &mut [u8], out: &mut Vec<u8>) -> bool {
        match self.pipe.read(buffer) {
            Ok(0) => {
                self.open = false;
                self.lines.finish(out);
                true
            }
            Ok(count) => {
                self.lines.feed(&buffer[..count], out);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => false,
            // No pipe gives another error; if one does, there is nothing more to be had from it.
            Err(_) => {
                self.open = false;
                true
            }
        }
    }
}

enum Order {
    Say(String),
    Finish,
}

/// The supervisor's handle on the output thread.
pub(super) struct Output {
    orders: Sender<Order>,
    wake: Arc<EventFd>,
}

impl Output {
    /// Starts the thread. It reports [`Event::OutputFailed`] once if the standard output fails, and [`Event::OutputDone`] last.
    pub(super) fn start(streams: Vec<Stream>, sinks: Sinks, events: Sender<Event>) -> io::Result<Output> {
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let (orders, inbox) = channel();
        let pump = Pump {
            streams,
            stdout: Sink::new(sinks.stdout),
            stderr: Sink::new(sinks.stderr),
            orders: inbox,
            wake: Arc::clone(&wake),
            events,
        };
        thread::Builder::new().name("output".to_string()).spawn(move || pump.run())?;
        Ok(Output { orders, wake })
    }

    /// Prints a line of the launcher's own on the standard error.
    pub(super) fn say(&self, words: impl Into<String>) {
        self.order(Order::Say(words.into()));
    }

    /// No node is alive: carry what is still in the pipes, then end.
    pub(super) fn finish(&self) {
        self.order(Order::Finish);
    }

    fn order(&self, order: Order) {
        // Both fail only when the thread is gone, and then there is nothing left to carry.
        let _ = self.orders.send(order);
        let _ = self.wake.write(1);
    }
}

struct Pump {
    streams: Vec<Stream>,
    stdout: Sink,
    stderr: Sink,
    orders: Receiver<Order>,
    wake: Arc<EventFd>,
    events: Sender<Event>,
}

impl Pump {
    fn run(mut self) {
        let mut buffer = vec![0; READ_BYTES];
        let mut finishing = false;
        loop {
            let ready = self.wait(finishing);
            finishing |= self.obey();
            let mut progress = false;
            for (stream, _) in self.streams.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
                let out = match stream.to {
                    To::Stdout => &mut self.stdout.pending,
                    To::Stderr => &mut self.stderr.pending,
                };
                progress |= stream.read(&mut buffer, out);
            }
            self.streams.retain(|stream| stream.open);
            self.flush();
            // A process that escaped its group may hold a pipe open for ever: an empty pipe is end enough.
            if finishing && !progress {
                break;
            }
        }
        for stream in &mut self.streams {
            stream.lines.finish(match stream.to {
                To::Stdout => &mut self.stdout.pending,
                To::Stderr => &mut self.stderr.pending,
            });
        }
        self.flush();
        let _ = self.events.send(Event::OutputDone);
    }

    /// Sleeps until an order or output is there, and says which streams have some.
    fn wait(&self, finishing: bool) -> Vec<bool> {
        let mut polled = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        polled.extend(self.streams.iter().map(|stream| PollFd::new(stream.pipe.as_fd(), PollFlags::POLLIN)));
        let timeout = if finishing { PollTimeout::ZERO } else { PollTimeout::NONE };
        loop {
            match poll(&mut polled, timeout) {
                Err(Errno::EINTR) => continue,
                // Out of memory is all that is left: try every stream, reads do not block.
                Err(_) => return vec![true; self.streams.len()],
                Ok(_) => return polled.iter().skip(1).map(|fd| fd.any().unwrap_or(true)).collect(),
            }
        }
    }

    /// Carries out the waiting orders; `true` when one of them was to finish.
    fn obey(&mut self) -> bool {
        let _ = self.wake.read();
        let mut finish = false;
        for order in self.orders.try_iter() {
            match order {
                Order::Say(words) => {
                    self.stderr.pending.extend_from_slice(format!("{WORDS_LABEL}{words}\n").as_bytes());
                }
                Order::Finish => finish = true,
            }
        }
        finish
    }

    fn flush(&mut self) {
        // Nobody can be told that the standard error is gone: that text is lost, the job goes on.
        let _ = self.stderr.flush();
        if let Err(error) = self.stdout.flush() {
            let _ = self.events.send(Event::OutputFailed(error));
        }
    }
}

struct Sink {
    writer: Box<dyn Write + Send>,
    pending: Vec<u8>,
    broken: bool,
}

impl Sink {
    fn new(writer: Box<dyn Write + Send>) -> Sink {
        Sink { writer, pending: Vec::new(), broken: false }
    }

    /// Writes all that is pending. After the first error, which is returned, everything is dropped in silence.
    fn flush(&mut self) -> io::Result<()> {
        let mut rest = self.pending.as_slice();
        let mut result = Ok(());
        while !rest.is_empty() && !self.broken {
            match self.writer.write(rest) {
                Ok(0) => result = Err(ErrorKind::WriteZero.into()),
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Somebody who shares the descriptor made it non-blocking: come back when it may have room.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
                Err(error) => result = Err(error),
            }
            self.broken = result.is_err();
        }
        self.pending.clear();
        if !self.broken {
            result = self.writer.flush();
            self.broken = result.is_err();
        }
        result
    }
}
