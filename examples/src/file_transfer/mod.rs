//! The end-to-end argument: only the ends of a file transfer can make it right.
//!
//! A sender hands a file, chunk by chunk, to a relay, which keeps each chunk in its memory and hands it on to the receiver: store
//! and forward. On each of the two hops the transport checks every datagram and repeats what was lost or damaged. That does not
//! make the received file right: what the relay damages in its own memory, between one check and the next, is sealed anew and
//! passes. Whoever wants the file to be right compares the ends, as Saltzer, Reed and Clark say it ("End-to-End Arguments in
//! System Design", 1984): the receiver reads back what it has stored and says the sum of it, and the sender, who has summed what
//! it read, repeats what differs. With that, the checks of the hops are a matter of speed alone.
//!
//! All stations speak one service, [`FileTransfer`]. Every method may be repeated without harm, so a call that failed is made
//! again, whether it ran or not.

mod line;
mod receiver;
mod relay;
mod report;
mod sender;
mod source;
mod station;
mod store;

use std::net::SocketAddr;

use rpc::Security;
use rpc::driver::DriverConfig;
use rpc::impair::Impairments;
use rpc::trace::Trace;
use rpc::transport::TransportConfig;
use rpc::wire::Integrity;
use rpc::{Bytes, CallError, StartError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use receiver::Receiver;
pub use relay::Relay;
pub use report::{Hop, Report, Round};
pub use sender::{Order, send};
pub use source::Source;
pub use store::Destination;

/// Most bytes of a chunk.
pub const CHUNK_BYTES_MAX: u32 = 1 << 20;
/// Most bytes of a file: the sender keeps 4 bytes for each chunk.
pub const FILE_BYTES_MAX: u64 = 1 << 40;
/// Most bytes that a station reads for one answer to [`FileTransfer::chunk_sums`].
pub const SUMMED_BYTES_MAX: u64 = 64 << 20;

/// A file, cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Bytes of the file.
    pub length: u64,
    /// Bytes of each chunk but the last.
    pub chunk_bytes: u32,
}

impl Plan {
    /// How many chunks there are.
    pub fn chunks(&self) -> u64 {
        self.length.div_ceil(u64::from(self.chunk_bytes).max(1))
    }

    /// Where a chunk begins, and how many bytes it has; none if there is no such chunk.
    pub fn place(&self, chunk: u64) -> Option<(u64, usize)> {
        let start = chunk.checked_mul(u64::from(self.chunk_bytes)).filter(|start| *start < self.length)?;
        Some((start, u64::from(self.chunk_bytes).min(self.length - start) as usize))
    }

    /// How many chunks' sums may be asked for at once.
    pub fn summed_max(&self) -> u32 {
        (SUMMED_BYTES_MAX / u64::from(self.chunk_bytes).max(1)) as u32
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=CHUNK_BYTES_MAX).contains(&self.chunk_bytes) {
            return Err(format!("chunks of {} bytes: must be 1 to {CHUNK_BYTES_MAX}", self.chunk_bytes));
        }
        if self.length > FILE_BYTES_MAX {
            return Err(format!("a file of {} bytes: {FILE_BYTES_MAX} at most", self.length));
        }
        Ok(())
    }
}

/// What a relay and a receiver are asked. Errors are sentences for whoever started the sender.
#[rpc::service]
pub trait FileTransfer {
    /// A file is going to come; what there was of another is forgotten.
    fn begin(&self, plan: Plan) -> Result<(), String>;
    /// One chunk of it.
    fn put(&self, chunk: u64, bytes: Bytes) -> Result<(), String>;
    /// The CRC-32 of the whole file, read back from where it is stored.
    fn file_sum(&self) -> Result<u32, String>;
    /// The CRC-32 of each of some chunks, read back.
    fn chunk_sums(&self, first: u64, count: u32) -> Result<Vec<u32>, String>;
    /// The file is as the sender wants it: it gets its name.
    fn keep(&self) -> Result<(), String>;
    /// What this station and those behind it have to say of their hops.
    fn account(&self) -> Result<Account, String>;
    /// No more will come.
    fn dismiss(&self) -> Result<(), String>;
}

/// What stations say of what they did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// One for each end of each hop.
    pub hops: Vec<Hop>,
    /// Chunks in which a relay has changed a bit in its own memory.
    pub flipped: u64,
}

/// What the hops are like.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// What guards the datagrams.
    pub integrity: Integrity,
    /// Probability that bits of a datagram are changed on the wire.
    pub corrupt: f64,
    /// Decides which.
    pub seed: u64,
    /// Where every datagram is written down, if it is.
    pub trace: Option<Trace>,
}

impl Link {
    fn driver(&self) -> DriverConfig {
        DriverConfig {
            transport: TransportConfig::new(Security::Plain(self.integrity)),
            trace: self.trace.clone(),
            impairments: Impairments { corrupt: self.corrupt, seed: self.seed, ..Impairments::default() },
            ..DriverConfig::plain()
        }
    }
}

/// Why a file was not transferred, or a station not started.
#[derive(Debug, Error)]
pub enum TransferError {
    /// No socket, or no thread.
    #[error("cannot start: {0}")]
    Start(#[from] StartError),
    /// The file to send, or the place for the received one.
    #[error("{0}")]
    File(String),
    /// The next station does not answer, or answers nonsense.
    #[error(
        "{at} failed ({tries} tries): {error}; see that a station runs there with the same --integrity, and what it says"
    )]
    Call {
        /// Where the station is, or should be.
        at: SocketAddr,
        /// How often the call was made.
        tries: u32,
        /// What became of the last one.
        error: CallError,
    },
    /// A station cannot do what it was asked to.
    #[error("the station at {at} refused ({tries} tries): {why}")]
    Refused {
        /// Where the next station is; one behind it may be meant.
        at: SocketAddr,
        /// How often it was asked.
        tries: u32,
        /// Its words.
        why: String,
    },
    /// The file was sent so often, and differs.
    #[error(
        "the received file is still wrong after {rounds} rounds: {wrong} of {chunks} chunks differ. Something between the ends \
         damages more than is repaired: replace the relay (or let it corrupt less), or allow more with --rounds"
    )]
    StillWrong {
        /// How often.
        rounds: u32,
        /// How much of it differs.
        wrong: u64,
        /// Of so many.
        chunks: u64,
    },
}
