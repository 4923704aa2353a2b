//! Seeing what goes over the wire: a packet ladder to read, and a capture that Wireshark opens.
//!
//! ```no_run
//! use rpc::trace::Trace;
//!
//! let mut config = rpc::driver::DriverConfig::plain();
//! config.trace = Some(Trace::create("calls.txt")?);
//! # Ok::<(), rpc::trace::TraceError>(())
//! ```
//!
//! From then on every datagram of every endpoint with this configuration, or a clone of it, is written to `calls.txt`
//! ([`Ladder`]) and to `calls.txt.pcapng` ([`Pcapng`]), before it is sealed or after it was opened, with what became of it. The
//! faults that [`impair`](crate::impair) makes come after that: what is lost has left, and never arrives.
//!
//! A trace needs no memory but a line's. Each datagram is written at once, so that a program that is killed has left what it
//! saw; that makes calls slower. Where nothing more can be written (a full disk), the trace ends, and the calls go on.

mod describe;
mod ladder;
mod pcapng;
#[cfg(test)]
mod tests;
mod tracer;

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::{self, Time};

pub use ladder::Ladder;
pub use pcapng::{Interface, Pcapng};
pub(crate) use tracer::Tracer;

/// Which way a datagram goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the endpoint that is traced.
    Out,
    /// To it.
    In,
}

/// A datagram, as it is traced.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Since the trace began.
    pub at: Duration,
    /// Which way it goes.
    pub way: Way,
    /// The endpoint that is traced.
    pub here: SocketAddr,
    /// Its peer.
    pub there: SocketAddr,
    /// The UDP payload, readable.
    pub bytes: &'a [u8],
    /// Bytes of the UDP payload on the wire: with a seal that `bytes` may not have.
    pub wire_bytes: usize,
    /// What it says, for people.
    pub line: &'a str,
}

/// Where endpoints write what they see. Clones write to the same place.
#[derive(Clone)]
pub struct Trace {
    began: Time,
    output: Arc<Mutex<Output>>,
}

type Sink = Box<dyn Write + Send>;

struct Output {
    ladder: Ladder<Sink>,
    capture: Pcapng<Sink>,
    /// Why nothing is written any more.
    failure: Option<io::Error>,
}

/// An empty file that only its owner can open. What is no file (a terminal, `/dev/null`) stays as it is.
fn private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.set_len(0)?;
    }
    Ok(file)
}

impl Trace {
    /// Writes the ladder to this file, and the capture to [the file beside it](Trace::capture_of). What they held before is gone, and
    /// nobody but their owner can open them: they show what a key hides.
    ///
    /// # Errors
    /// One of the files cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Trace, TraceError> {
        let path = path.as_ref();
        let capture = Trace::capture_of(path);
        let error = |path: &Path| {
            let path = path.to_owned();
            |source| TraceError { path, source }
        };
        let ladder = private(path).map_err(error(path))?;
        let capture_file = private(&capture).map_err(error(&capture))?;
        Trace::to(ladder, capture_file).map_err(error(path))
    }

    /// Where the capture of a trace to this file goes: its name with `.pcapng` behind it.
    pub fn capture_of(path: &Path) -> PathBuf {
        let mut capture = path.as_os_str().to_owned();
        capture.push(".pcapng");
        PathBuf::from(capture)
    }

    /// Writes the ladder and the capture to these.
    ///
    /// # Errors
    /// Not even the heads can be written.
    pub fn to(ladder: impl Write + Send + 'static, capture: impl Write + Send + 'static) -> io::Result<Trace> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ladder = Ladder::new(Box::new(ladder) as Sink)?;
        let capture = Pcapng::new(Box::new(capture) as Sink, since_1970)?;
        let output = Output { ladder, capture, failure: None };
        Ok(Trace { began: time::now(), output: Arc::new(Mutex::new(output)) })
    }

    /// Why the trace has ended early, if it has.
    pub fn failure(&self) -> Option<String> {
        self.output().failure.as_ref().map(io::Error::to_string)
    }

    /// One more endpoint.
    fn interface(&self, here: SocketAddr) -> Interface {
        let mut interface = Interface::default();
        self.output().write(|output| {
            interface = output.capture.interface(here)?;
            Ok(())
        });
        interface
    }

    fn packet(&self, interface: Interface, packet: &Packet<'_>) {
        self.output().write(|output| {
            output.ladder.packet(packet)?;
            output.capture.packet(interface, packet)
        });
    }

    fn note(&self, at: Duration, here: SocketAddr, there: SocketAddr, text: &str) {
        self.output().write(|output| output.ladder.note(at, here, there, text));
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    fn write(&mut self, write: impl FnOnce(&mut Output) -> io::Result<()>) {
        if self.failure.is_none() {
            self.failure = write(self).err();
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").finish_non_exhaustive()
    }
}

/// A file of a trace cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the trace to {}: {source}", path.display())]
pub struct TraceError {
    path: PathBuf,
    source: io::Error,
}
