//! What the library tells a program.

use std::net::SocketAddr;

use crate::job::JobError;
use crate::mem::RegionError;

/// Why a call of this library did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment describes no job.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The shared region cannot be had.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The node's socket cannot be had.
    #[error("{0}; choose another address with --bind, or leave it out to take any free port")]
    Network(#[from] rpc::driver::DriverError),
    /// The launcher did not let us in, or out.
    #[error("the launcher at {launcher} {what}: {why}")]
    Launcher {
        /// Where it is.
        launcher: SocketAddr,
        /// Which step failed.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The process has joined before, and a process is one node.
    #[error("this process has joined a job before; a process is one node, and joins once")]
    JoinedBefore,
    /// The engine's thread cannot be started.
    #[error("cannot start the engine's thread: {0}")]
    Thread(#[source] std::io::Error),
    /// An allocation that does not fit.
    #[error(
        "{asked} bytes do not fit into the shared region: {left} of its {region} bytes are left; start the job with a larger one, \
         such as `dsm-node run --region {} ...`", suggestion(*.asked, *.region)
    )]
    RegionFull {
        /// Bytes asked for.
        asked: u64,
        /// Bytes that were left.
        left: u64,
        /// Bytes of the whole region.
        region: u64,
    },
    /// A placement that cannot be.
    #[error("{0}")]
    Placement(String),
    /// A collective call while another thread of this node is in one.
    #[error(
        "another thread of this node is at a barrier or in another collective call; one thread of each node makes them"
    )]
    CollectiveInUse,
    /// A lock that this node does not hold.
    #[error("lock {0} is not held by this node; release only what was acquired")]
    NotHeld(u64),
    /// An address that is no word of an allocation.
    #[error("address {0:#x} is not that of an aligned 8-byte word in a shared allocation")]
    NotAWord(usize),
}

/// A region size that would have held it, rounded up to whole GiB.
fn suggestion(asked: u64, region: u64) -> String {
    format!("{}GiB", region.saturating_add(asked).div_ceil(1 << 30))
}
