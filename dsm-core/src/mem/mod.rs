//! The region: one memory file, mapped twice, whose faults come to us.
//!
//! The *program view* is what the user's program reads and writes. It sits at the same address on every node and is
//! registered with userfaultfd, so that a touch of a page that is not here, or a store to a page that is here for reading,
//! becomes a [`Fault`]. The *system view* is the runtime's own window on the same page frames: it never faults into us.
//! A page of the region is thus in one of these states, which [`Region`] keeps track of:
//!
//! | state | program view | what the runtime may do with the frame |
//! | --- | --- | --- |
//! | no frame | load and store fault | [`Region::fill`], [`Region::install`], [`Region::make_present`] |
//! | frame, not mapped | load and store fault | read it, fill it, [`Region::punch`] it |
//! | mapped for reading | a store faults | read it |
//! | mapped for writing | nothing faults | atomic operations on single words |
//!
//! The methods refuse what the table does not allow, and hold a lock on the page while they move bytes; so safe code
//! cannot make the bytes under a borrowed frame change. This module is the only one of the crate with `unsafe` in it.
//!
//! Two rules are left to the caller. *A thread that serves faults must never touch the program view*: nobody would wake it.
//! *The region outlives every thread of the program*: closing the userfaultfd removes all protection and lets sleepers go
//! on with stale bytes. Dropping a [`Region`] unmaps the views first, so that a late access dies instead; a runtime leaks it.
//!
//! Needs Linux 6.4, the first kernel that can map a page write-protected in one step. Mapping and protecting in two steps
//! lets a store slip between them.

mod access;
mod error;
pub(crate) mod exit;
mod faults;
mod frames;
mod install;
mod ioctl;
mod open;
mod page;
mod region;
pub(crate) mod spawn;
mod states;
mod view;

pub use access::Element;
pub use error::{FaultError, OpenError, PageError, RegionError};
pub use faults::{Fault, FaultKind, FaultReader};
pub use open::{Opened, OpenedBy, open};
pub use page::{PAGE_BYTES, PageRange};
pub use region::{BASE_DEFAULT, Region};
pub use states::Access;

#[cfg(test)]
pub(crate) mod tests;
