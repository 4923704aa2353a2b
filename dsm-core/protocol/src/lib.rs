//! The protocols of the distributed shared memory as pure state machines.
//!
//! Nothing here knows a clock, a socket, a thread or a byte of memory. A machine takes one event (a fault, a message, an
//! expired hold) and appends the effects that its owner must carry out, in order. The same code is driven by the
//! engine of `dsm-core`, by a deterministic simulator and by a model checker, so what is checked is what runs.
//!
//! * [`sequential`]: sequentially consistent pages, write-invalidate with fixed distributed managers.
//! * [`locks`]: a token for each lock, handed directly from holder to next.
//! * [`barrier`]: the dissemination barrier.
//! * [`message`]: what the machines say to each other, and its bytes.
//! * [`homes`]: which node keeps the directory entry of which page.
//!
//! Every machine tolerates duplicated and reordered messages. None tolerates lost ones: hiding loss is the transport's work.
#![forbid(unsafe_code)]

pub mod barrier;
pub mod homes;
pub mod ids;
pub mod locks;
pub mod message;
#[cfg(not(feature = "planted"))]
mod planted;
#[cfg(feature = "planted")]
pub mod planted;
pub mod sequential;
mod table;

pub use homes::{Homes, Placement};
pub use ids::{Epoch, LockId, NODES_MAX, NodeId, NodeSet, Page, RequestId};
pub use message::Message;
