//! What must never happen.

use std::time::Duration;

use protocol::{LockId, NodeId, Page};
use rpc::time::Time;

use crate::node::Fatal;
use crate::program::{ThreadId, Word};

/// A rule was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message of each says it")]
pub enum Violation {
    #[error("page {} is writable at {writer} and mapped at {other}", page.0)]
    TwoHolders { page: Page, writer: NodeId, other: NodeId },
    #[error("the copy of page {} at {node} can be read and is not the newest", page.0)]
    StaleCopy { page: Page, node: NodeId },
    #[error("bytes landed in page {}, which is mapped at {node}", page.0)]
    FilledLive { page: Page, node: NodeId },
    #[error("page {} was granted to {node} without its bytes", page.0)]
    NoBytes { page: Page, node: NodeId },
    #[error("page {} is taken for zero at {node}, but was written", page.0)]
    NotZero { page: Page, node: NodeId },
    #[error("page {} is mapped at {node} without a frame", page.0)]
    NoFrame { page: Page, node: NodeId },
    #[error("{node} {what} page {}, which is not mapped so that it could", page.0)]
    Misplaced { page: Page, node: NodeId, what: &'static str },
    #[error("page {} was taken from {node} while it was held", page.0)]
    HoldIgnored { page: Page, node: NodeId },
    #[error("{node} took a copy of page {} while its program could still store to it", page.0)]
    CopiedLive { page: Page, node: NodeId },
    #[error("{holder} and {other} hold lock {:#x} together", lock.0)]
    TwoLockHolders { lock: LockId, holder: ThreadId, other: ThreadId },
    #[error("{thread} released lock {:#x}, which it holds, and was told that it does not", lock.0)]
    ReleaseRefused { lock: LockId, thread: ThreadId },
    #[error("{early} left barrier {generation} before {late} had come")]
    LeftEarly { early: NodeId, late: NodeId, generation: u64 },
    #[error("{node} was refused at a barrier, or left one where it did not wait")]
    BarrierConfused { node: NodeId },
    #[error("a fault of {node} on the allocated page {} was refused", page.0)]
    FaultRefused { page: Page, node: NodeId },
    #[error("{reader} loaded {value} from {word}; the newest value is {newest}")]
    StaleLoad { reader: ThreadId, word: Word, value: u64, newest: u64 },
    #[error("two stores wrote {value} to {word}")]
    LostUpdate { word: Word, value: u64 },
    #[error("{word} was loaded as {value}, which nobody ever stored")]
    FromNowhere { word: Word, value: u64 },
    #[error("no order of all operations explains what the threads saw; one that has no place in it: {operation}")]
    NotSequential { operation: String },
    #[error("{node} ended though every node was alive: {why}")]
    GaveUp { node: NodeId, why: Fatal },
    #[error("{node} ended because of the wrong node, {died} had died: {why}")]
    WrongOneBlamed { node: NodeId, died: NodeId, why: Fatal },
    #[error("{node} did not notice within {within:?} that {died} had died")]
    NotNoticed { node: NodeId, died: NodeId, within: Duration },
    #[error("not finished {within:?} after the network healed; {waiting}")]
    Stuck { within: Duration, waiting: String },
    #[error("{to} was given a message of {from} that it was not sent, or was given before")]
    NotSent { from: NodeId, to: NodeId },
}

/// The first violation of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after {:?} of simulated time: {violation}", Duration::from_nanos(at.0))]
pub struct Failure {
    /// When.
    pub at: Time,
    /// What.
    pub violation: Violation,
}
