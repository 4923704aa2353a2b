//! What a relay and a receiver have in common: a server that can be asked for its counters, and dismissed.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rpc::transport::Counters;
use rpc::{Server, ServerHandle, Service};

use super::{Link, TransferError};

/// The server of a service that asks it for its counters. The service holds the station, and the server the service, until
/// [`Station::close`].
#[derive(Default)]
pub(super) struct Station {
    server: Mutex<Option<ServerHandle>>,
    dismissed: Mutex<bool>,
    changed: Condvar,
}

impl Station {
    /// Serves from now on; answers where.
    pub fn open(&self, listen: SocketAddr, link: &Link, service: impl Service) -> Result<SocketAddr, TransferError> {
        // One thread: chunks come one after the other, and the file has one writer.
        let server = Server::builder(link.driver()).bind(listen)?.pool(1).serve(service).start()?;
        let addr = server.local_addr();
        *self.server() = Some(server);
        Ok(addr)
    }

    pub fn counters(&self) -> Counters {
        self.server().as_ref().map_or_else(Counters::default, |server| server.counters().transport)
    }

    pub fn dismiss(&self) {
        *self.dismissed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub fn wait(&self) {
        let dismissed = self.dismissed.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(dismissed, |dismissed| !*dismissed));
    }

    /// Ends the server when its last reply has arrived. Not for the server's own threads.
    pub fn close(&self) {
        let server = self.server().take();
        drop(server);
    }

    fn server(&self) -> MutexGuard<'_, Option<ServerHandle>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
