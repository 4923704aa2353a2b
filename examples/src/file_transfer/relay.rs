//! The station in between: keeps each chunk in its memory, and hands it on.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rpc::{Bytes, Failure};

use super::line::Line;
use super::station::Station;
use super::{Account, FileTransfer, FileTransferClient, FileTransferServer, Hop, Link, Plan, TransferError};

/// How long the receiver may take; less than the sender waits for the relay.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hands on what comes.
pub struct Relay {
    desk: Arc<Desk>,
    addr: SocketAddr,
}

struct Desk {
    station: Station,
    line: Line,
    memory: Memory,
    /// Bytes of the file that is passing.
    length: AtomicU64,
}

impl Relay {
    /// Listens there (port 0: any free one), and hands on to `next`. Changes one bit in every so manyth chunk, if asked to.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn start(
        listen: SocketAddr,
        next: SocketAddr,
        corrupt_every: Option<NonZeroU64>,
        link: Link,
    ) -> Result<Relay, TransferError> {
        let desk = Arc::new(Desk {
            station: Station::default(),
            line: Line::new(next, link.clone(), PATIENCE, 1)?,
            memory: Memory { corrupt_every, passed: AtomicU64::new(0), flipped: AtomicU64::new(0) },
            length: AtomicU64::new(0),
        });
        let addr = desk.station.open(listen, &link, FileTransferServer::shared(Arc::clone(&desk)))?;
        Ok(Relay { desk, addr })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until the sender, or the function below, says that no more will come.
    pub fn wait(&self) {
        self.desk.station.wait();
    }

    /// Ends [`Self::wait`], from any thread.
    pub fn dismisser(&self) -> impl Fn() + Send + Sync + 'static {
        let desk = Arc::downgrade(&self.desk);
        move || desk.upgrade().iter().for_each(|desk| desk.station.dismiss())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.desk.station.close();
    }
}

/// Memory that goes wrong now and then.
struct Memory {
    corrupt_every: Option<NonZeroU64>,
    passed: AtomicU64,
    flipped: AtomicU64,
}

impl Memory {
    /// A chunk lies here, between the check of the hop that it came by and that of the next: no hop's check covers it.
    fn keep(&self, bytes: &mut [u8]) {
        let passed = self.passed.fetch_add(1, Ordering::Relaxed) + 1;
        if self.corrupt_every.is_none_or(|every| passed % every != 0) || bytes.is_empty() {
            return;
        }
        let place = passed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (8 * bytes.len() as u64);
        if let Some(byte) = bytes.get_mut((place / 8) as usize) {
            *byte ^= 1 << (place % 8);
            self.flipped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Desk {
    fn hand_on<T>(
        &self,
        reading: u64,
        make: impl Fn(&FileTransferClient) -> Result<T, Failure<String>>,
    ) -> Result<T, String> {
        self.line.call(reading, make).map_err(|error| match error {
            TransferError::Refused { why, .. } => why,
            error => format!("the relay has no answer from the receiver: {error}"),
        })
    }
}

impl FileTransfer for Desk {
    fn begin(&self, plan: Plan) -> Result<(), String> {
        self.length.store(plan.length, Ordering::Relaxed);
        self.hand_on(0, |next| next.begin(plan))
    }

    fn put(&self, chunk: u64, bytes: Bytes) -> Result<(), String> {
        let mut kept = Vec::from(bytes);
        self.memory.keep(&mut kept);
        let bytes = Bytes::from(kept);
        self.hand_on(0, |next| next.put(chunk, bytes.clone()))
    }

    fn file_sum(&self) -> Result<u32, String> {
        self.hand_on(self.length.load(Ordering::Relaxed), FileTransferClient::file_sum)
    }

    fn chunk_sums(&self, first: u64, count: u32) -> Result<Vec<u32>, String> {
        self.hand_on(super::SUMMED_BYTES_MAX, |next| next.chunk_sums(first, count))
    }

    fn keep(&self) -> Result<(), String> {
        self.hand_on(self.length.load(Ordering::Relaxed), FileTransferClient::keep)
    }

    fn account(&self) -> Result<Account, String> {
        let behind = self.hand_on(0, FileTransferClient::account)?;
        let mut hops = vec![
            Hop::new("relay, of what the sender sent", self.station.counters()),
            Hop::new("relay, of what the receiver answered", self.line.counters()),
        ];
        hops.extend(behind.hops);
        Ok(Account { hops, flipped: behind.flipped + self.memory.flipped.load(Ordering::Relaxed) })
    }

    fn dismiss(&self) -> Result<(), String> {
        // A receiver that does not answer any more needs no dismissal.
        let _ = self.hand_on(0, FileTransferClient::dismiss);
        self.station.dismiss();
        Ok(())
    }
}
