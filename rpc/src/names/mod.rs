//! Naming: servers register under a name, clients find them by it (Birrell and Nelson, 1984, section 2, whose *binder* was
//! Grapevine's database).
//!
//! A **name server** ([`NameServer`]) is a server like any other, of the service [`Binder`]. It keeps its names in memory
//! alone: each registration is a *lease* (Gray and Cheriton, 1989) that its server renews, so what a dead server leaves goes
//! away by itself, and what a restarted name server has forgotten comes back.
//!
//! A **server** registers with [`ServerBuilder::register`](crate::ServerBuilder::register) and withdraws when it stops. A
//! **client** is made by [`Client::by_name`](crate::Client::by_name). Its calls go to one of the servers of the name; when that one is
//! lost, they go to another: a call that certainly did not run always, a call that may have run only if its method is idempotent.
//! The name server is asked at the first call and after a loss, never in between, and while it is away the servers that were
//! known are tried.

mod lease;
mod registry;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use lease::{Keeper, Offer};
pub use lease::{Registration, RegistrationState};
pub use registry::Limits;
pub use server::NameServer;

/// For how long a server registers unless it says otherwise.
pub const LEASE: Duration = Duration::from_secs(10);
/// The shortest and the longest lease.
pub const LEASE_MIN: Duration = Duration::from_millis(200);
/// See [`LEASE_MIN`].
pub const LEASE_MAX: Duration = Duration::from_secs(3600);
/// Longest name, and longest name of a service.
pub const NAME_BYTES_MAX: usize = 64;

/// What a name server does.
#[rpc_macros::service(version = 1)]
pub trait Binder {
    /// Enters a server, or renews its lease. Gives for how many milliseconds it stands.
    #[rpc(idempotent)]
    fn register(&self, entry: Entry, lease_ms: u32) -> Result<u32, NameError>;

    /// Takes a server out, if it is still this incarnation of it. Whether it was.
    #[rpc(idempotent)]
    fn withdraw(&self, name: String, addr: SocketAddr, incarnation: u64) -> bool;

    /// The servers of this name.
    #[rpc(idempotent)]
    fn resolve(&self, name: String) -> Result<Vec<Entry>, NameError>;

    /// All servers of all names.
    #[rpc(idempotent)]
    fn list(&self) -> Vec<Entry>;
}

/// One server of a name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The name: letters, digits, `-` and `_`.
    pub name: String,
    /// Where it serves.
    pub addr: SocketAddr,
    /// Tells it from earlier ones at the same address.
    pub incarnation: u64,
    /// The service's name in its trait.
    pub service: String,
    /// The service's version.
    pub version: u16,
    /// Hash of the service's interface.
    pub schema: u32,
}

/// What a name server has to say against a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Error)]
pub enum NameError {
    /// The name cannot be one.
    #[error("this cannot be a name ({0}): use 1 to {NAME_BYTES_MAX} letters, digits, `-` and `_`")]
    BadName(String),
    /// Nobody could be reached at this address.
    #[error("nobody can be reached at {0}: register an address of a machine and a port")]
    BadAddress(SocketAddr),
    /// No server has this name.
    #[error("no server has the name `{0}`")]
    Unknown(String),
    /// The servers of this name serve something else.
    #[error("the servers of the name `{name}` serve {service}: choose another name")]
    OtherService {
        /// The name.
        name: String,
        /// What they serve.
        service: String,
    },
    /// The name server is full.
    #[error("the name server has {0} registrations and takes no more")]
    Full(usize),
}

/// Whether this can be a name.
///
/// # Errors
/// [`NameError::BadName`] with as much of it as should be shown.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    if fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return Ok(());
    }
    Err(NameError::BadName(name.chars().take(NAME_BYTES_MAX).collect()))
}
