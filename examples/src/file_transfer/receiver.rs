//! The end at which the file arrives.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rpc::Bytes;

use super::station::Station;
use super::store::Store;
use super::{Account, Destination, FileTransfer, FileTransferServer, Hop, Link, Plan, TransferError};

/// Stores one file. Dropping it removes what was not kept.
pub struct Receiver {
    desk: Arc<Desk>,
    addr: SocketAddr,
}

struct Desk {
    station: Station,
    store: Mutex<Store>,
}

impl Receiver {
    /// Listens there (port 0: any free one).
    ///
    /// # Errors
    /// The address or the place for the file cannot be had.
    pub fn start(listen: SocketAddr, destination: &Destination, link: Link) -> Result<Receiver, TransferError> {
        let store = Mutex::new(Store::new(destination)?);
        let desk = Arc::new(Desk { station: Station::default(), store });
        let addr = desk.station.open(listen, &link, FileTransferServer::shared(Arc::clone(&desk)))?;
        Ok(Receiver { desk, addr })
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

impl Drop for Receiver {
    fn drop(&mut self) {
        self.desk.station.close();
    }
}

impl Desk {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileTransfer for Desk {
    fn begin(&self, plan: Plan) -> Result<(), String> {
        self.store().begin(plan)
    }

    fn put(&self, chunk: u64, bytes: Bytes) -> Result<(), String> {
        self.store().put(chunk, &bytes)
    }

    fn file_sum(&self) -> Result<u32, String> {
        self.store().file_sum()
    }

    fn chunk_sums(&self, first: u64, count: u32) -> Result<Vec<u32>, String> {
        self.store().chunk_sums(first, count)
    }

    fn keep(&self) -> Result<(), String> {
        self.store().keep()
    }

    fn account(&self) -> Result<Account, String> {
        Ok(Account { hops: vec![Hop::new("receiver, of what the relay sent", self.station.counters())], flipped: 0 })
    }

    fn dismiss(&self) -> Result<(), String> {
        self.station.dismiss();
        Ok(())
    }
}
