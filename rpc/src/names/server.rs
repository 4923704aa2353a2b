//! The name server's side of [`Binder`].

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::time::{self, Time};

use super::registry::{Limits, Registry};
use super::{Binder, Entry, NameError};

/// Serves names: hand it to a server as `BinderServer::new(NameServer::new(limits))`.
#[derive(Debug)]
pub struct NameServer {
    registry: Mutex<Registry>,
}

impl NameServer {
    /// Without any names.
    pub fn new(limits: Limits) -> Self {
        NameServer { registry: Mutex::new(Registry::new(limits)) }
    }

    fn registry(&self) -> (Time, MutexGuard<'_, Registry>) {
        // Every operation leaves the registry in order, or does not begin.
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        (time::now(), registry)
    }
}

impl Binder for NameServer {
    fn register(&self, entry: Entry, lease_ms: u32) -> Result<u32, NameError> {
        let (now, mut registry) = self.registry();
        let lease = registry.register(now, entry, Duration::from_millis(u64::from(lease_ms)))?;
        Ok(u32::try_from(lease.as_millis()).unwrap_or(u32::MAX))
    }

    fn withdraw(&self, name: String, addr: SocketAddr, incarnation: u64) -> bool {
        let (now, mut registry) = self.registry();
        registry.withdraw(now, &name, addr, incarnation)
    }

    fn resolve(&self, name: String) -> Result<Vec<Entry>, NameError> {
        let (now, mut registry) = self.registry();
        registry.resolve(now, &name)
    }

    fn list(&self) -> Vec<Entry> {
        let (now, mut registry) = self.registry();
        registry.list(now)
    }
}
