//! What a node cannot survive, and how it ends then.
//!
//! A thread of the program that sleeps in a page fault can be woken only by installing the page. When that has become
//! impossible, letting it go on would show it wrong data; so the process ends, at once, and says why.

use std::fmt;
use std::net::SocketAddr;

use protocol::locks::TooManyLocks;
use protocol::{NodeId, Page};
use rpc::driver::DriverError;
use rpc::transport::{LostReason, SendError};

use crate::job::EXIT_PEER_LOST;
use crate::mem::exit::exit_now;
use crate::mem::{FaultError, PageError};

/// Why this node cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    /// Another node is gone.
    #[error("lost {node} (pid {pid}, {addr}): {reason}")]
    PeerLost { node: NodeId, pid: u32, addr: SocketAddr, reason: Lost },
    /// A message to another node is not taken.
    #[error("cannot send to {node}: {error}")]
    Send { node: NodeId, error: SendError },
    /// We were not running for so long that the others have given us up.
    #[error(
        "this node stood still for {seconds:.1} s, and the others have gone on without it; it was stopped, or its machine is \
         overloaded"
    )]
    Fenced { seconds: f64 },
    /// The others have given us up, though we live.
    #[error("{by} has given this node up: it was not heard of for too long")]
    GivenUp { by: NodeId },
    /// The launcher is gone.
    #[error("the launcher is gone; ending with it")]
    LauncherGone,
    /// The program touched what it has not allocated.
    #[error("the program touched address {address:#x}, which is in the shared region but in no allocation")]
    Unallocated { address: usize },
    /// The program uses more locks than it may.
    #[error(transparent)]
    Locks(#[from] TooManyLocks),
    /// The nodes of the program are in different collective calls.
    #[error(
        "this node is at a {ours}, but {node} is at a {theirs}: every node must make the same collective calls in the same \
         order with the same arguments"
    )]
    Disagreement { node: NodeId, ours: Purpose, theirs: Purpose },
    /// The kernel refused something about a page.
    #[error("memory: {0}")]
    Page(#[from] PageError),
    /// Fault events cannot be read.
    #[error("fault events: {0}")]
    Faults(#[from] FaultError),
    /// The socket is broken.
    #[error("network: {0}")]
    Driver(#[from] DriverError),
    /// Waiting failed.
    #[error("cannot wait for events: {0}")]
    Poll(nix::errno::Errno),
    /// A grant came without the page's bytes.
    #[error("{node} granted page {} without its bytes", page.0)]
    NoBytes { node: NodeId, page: Page },
}

/// How it is known that a node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    /// The session with it ended.
    #[error("{0}")]
    Seen(LostReason),
    /// Another node saw it.
    #[error("{0} lost it")]
    ReportedBy(NodeId),
}

/// What a barrier is for, so that nodes in different collective calls notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The program's own barrier.
    Barrier,
    /// A collective allocation; a digest of its arguments.
    Allocation(u64),
    /// The end.
    Finalize,
    /// A number that this version does not know.
    Unknown(u64),
}

const ALLOCATION: u64 = 1 << 63;

impl Purpose {
    /// As it travels with a barrier message.
    pub(crate) fn to_word(self) -> u64 {
        match self {
            Purpose::Barrier => 0,
            Purpose::Finalize => 1,
            Purpose::Allocation(digest) => digest | ALLOCATION,
            Purpose::Unknown(word) => word,
        }
    }

    /// The inverse of [`Purpose::to_word`].
    pub(crate) fn from_word(word: u64) -> Purpose {
        match word {
            0 => Purpose::Barrier,
            1 => Purpose::Finalize,
            digest if digest & ALLOCATION != 0 => Purpose::Allocation(digest & !ALLOCATION),
            word => Purpose::Unknown(word),
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Purpose::Barrier => f.write_str("barrier"),
            Purpose::Finalize => f.write_str("finalize"),
            Purpose::Allocation(digest) => write!(f, "allocation (arguments {:04x})", digest & 0xffff),
            Purpose::Unknown(word) => write!(f, "collective call of kind {word:#x}"),
        }
    }
}

/// Says why on the standard error output and ends the process with [`EXIT_PEER_LOST`], without running anything that could
/// wait: a thread that sleeps in a fault may hold any lock, that of the output stream among them.
pub(crate) fn die(me: NodeId, why: &Fatal) -> ! {
    exit_now(&format!("dsm: {me}: {why}\n"), EXIT_PEER_LOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_survives_its_journey() {
        for purpose in [Purpose::Barrier, Purpose::Finalize, Purpose::Allocation(77), Purpose::Unknown(5)] {
            assert_eq!(Purpose::from_word(purpose.to_word()), purpose);
        }
    }
}
