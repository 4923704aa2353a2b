//! Sequentially consistent pages: many readers or one writer, and a write invalidates every copy first.
//!
//! This is the shared virtual memory of Li and Hudak ("Memory Coherence in Shared Virtual Memory Systems", ACM TOCS 7(4),
//! 1989) with fixed distributed managers, plus Mirage's minimum hold time (Fleisch and Popek, SOSP 1989). A page's *home* keeps
//! its directory entry and runs one transaction on it at a time. A page that nodes read and write in turn *migrates*: who reads it
//! may write it, too (Cox and Fowler, "Adaptive Cache Coherency for Detecting Migratory Shared Data", and Stenström, Brorsson and
//! Sandberg, "An Adaptive Cache Coherence Protocol Optimized for Migratory Sharing", both ISCA 1993).
//!
//! 1. The requester sends [`PageMessage::Request`] to the home.
//! 2. The home picks the source of the contents: nothing (the page was never written), the requester's own copy, the home's
//!    copy, or the owner's. A copy holder is told by [`PageMessage::Forward`], and answers the requester directly. For a write
//!    the home sends [`PageMessage::Invalidate`] to every other copy; each tells the requester by [`PageMessage::Invalidated`].
//!    What the holder keeps is a [`Handover`](crate::message::Handover): of a page that migrates it keeps nothing if it has written
//!    it since it came, and what is granted is then writing, though reading was asked for.
//! 3. The requester installs the page when it has [`PageMessage::Grant`] and has heard from all whom the grant names.
//! 4. It sends [`PageMessage::Done`] to the home, for which nobody waits but the next transaction. After a read that the home
//!    itself answered with a copy there is no need: the home counts the reader among the copies at once.
//!
//! A page that came so is *exclusive*: its program may read it, and its first store asks nobody. It is mapped for reading all the same,
//! because that store has to be seen: a page that was not written shows that reading it is not the beginning of a turn. It is shared
//! then, and migrates again when two nodes in a row have read and written it.
//!
//! A node that is its own home sends itself nothing over the network: such messages are handled at once, in order.
//!
//! What keeps it right, rule by rule:
//!
//! | race | rule |
//! | --- | --- |
//! | an invalidation or recall overtakes the grant | the home stays busy until `Done`; the reader that the home answered itself lets an invalidation wait for the grant |
//! | a grant before all invalidations are acknowledged | the grant names whom to wait for, as a set, so that duplicates do not count twice |
//! | an upgrade while another writer was first | contents are decided from the copyset as it is when the transaction starts |
//! | a stale grant after an invalidation | a grant answers one request id, once |
//! | a duplicated recall or invalidation | what is not newer than the copy's epoch is not obeyed (an invalidation is acknowledged again) |
//! | a duplicated request | the home remembers the last request of each node |
//! | a copy taken before write protection | `Protect` or `Discard` comes before the `Send` that carries the bytes |
//! | the page stolen before the faulting access retired | a copy is held for a while after it was installed |
//! | several threads on one page | one pending request a page; a write wanted meanwhile follows the read, or is granted with it |
//! | a page that migrates is asked for before its holder has stored | the holder decides, who knows whether it has, and `Done` says what was granted |

mod copy;
mod directory;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::homes::{Homes, Placement};
use crate::ids::{Epoch, NodeId, Page, RequestId};
use crate::message::{Access, PageMessage};
use crate::planted::Planted;
use crate::table::{Few, PageTable};
use copy::{Copy, Transit};
pub use directory::Belief;
use directory::{Busy, Entry};

/// What the owner of [`Pages`] must do, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Send `message` to `to`, never this node. Where it [carries bytes](PageMessage::carries_bytes), the page's frame as it is at this
    /// point of the sequence goes with it.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: PageMessage,
    },
    /// Copy the bytes that came with the message just received into the page's frame. The page is not mapped now.
    Fill {
        /// The page.
        page: Page,
    },
    /// Make the page's frame exist, all zero. The page is not mapped now.
    Zero {
        /// The page.
        page: Page,
    },
    /// Map the frame into the program's view with this access and wake who waits for it. It may be mapped already.
    Map {
        /// The page.
        page: Page,
        /// What the program may do.
        access: Access,
    },
    /// Allow stores to the page, which is mapped for loads, and wake who waits for it.
    Upgrade {
        /// The page.
        page: Page,
    },
    /// Forbid stores to the page, which is mapped for loads and stores.
    Protect {
        /// The page.
        page: Page,
    },
    /// Unmap the page; its frame keeps its contents.
    Discard {
        /// The page.
        page: Page,
    },
    /// Call [`Pages::hold_expired`] with these after the minimum hold time. Where that runs for the same ones already, it ends later.
    Hold {
        /// The page.
        page: Page,
        /// The transaction that brought it.
        epoch: Epoch,
    },
}

/// A fault on a page that no allocation covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("page {} was never allocated", .0.0)]
pub struct Unallocated(pub Page);

/// What the records of pages take in memory, in bytes, without what the allocator adds, and without the few pages that something is
/// under way with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of this node's copies.
    pub copies: u64,
    /// Of the directory, for pages whose home this node is.
    pub directory: u64,
}

impl Kept {
    /// Both.
    pub fn bytes(self) -> u64 {
        self.copies + self.directory
    }
}

/// All pages at one node: its copies, and the directory of those that it is the home of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pages {
    me: NodeId,
    homes: Homes,
    last_request: RequestId,
    copies: PageTable<Copy>,
    transits: Few<Transit>,
    directory: PageTable<Entry>,
    busy: Few<Busy>,
    /// How many transits have something deferred.
    deferred: usize,
    /// Messages from this node to itself, handled before the event that made them returns.
    to_self: VecDeque<PageMessage>,
    pub(crate) planted: Planted,
}

impl Pages {
    /// The pages of a job with `nodes` nodes, at node `me`; none is allocated yet.
    pub fn new(me: NodeId, nodes: usize) -> Pages {
        Pages {
            me,
            homes: Homes::new(nodes),
            last_request: RequestId(0),
            copies: PageTable::default(),
            transits: Few::default(),
            directory: PageTable::default(),
            busy: Few::default(),
            deferred: 0,
            to_self: VecDeque::new(),
            planted: Planted::default(),
        }
    }

    /// Allocates `pages` pages: the same call in the same order on every node. Returns the first.
    pub fn extend(&mut self, pages: u64, placement: Placement) -> Page {
        self.homes.extend(pages, placement)
    }

    /// The map from page to home.
    pub fn homes(&self) -> &Homes {
        &self.homes
    }

    /// What this node's program may do with `page` now.
    pub fn access(&self, page: Page) -> Option<Access> {
        self.copies.get(page)?.access()
    }

    /// Whether this node may write `page` without asking, and has not since it came.
    pub fn is_exclusive(&self, page: Page) -> bool {
        self.copies.get(page).is_some_and(|copy| copy.is_exclusive())
    }

    /// With how many pages something is under way at this node: asked for, or held.
    pub fn under_way(&self) -> usize {
        self.transits.len()
    }

    /// Whether this node has asked for `page` and not got it.
    pub fn is_pending(&self, page: Page) -> bool {
        self.transits.get(page).is_some_and(Transit::is_pending)
    }

    /// Whether anything is under way with this node's copy of `page`.
    pub fn is_under_way(&self, page: Page) -> bool {
        self.transits.get(page).is_some()
    }

    /// A thread of this node needs `access` to `page`. A [`Effect::Map`] or [`Effect::Upgrade`] follows, now or later. Repeating it
    /// does no harm.
    ///
    /// # Errors
    ///
    /// [`Unallocated`] when no allocation covers the page.
    pub fn fault(&mut self, page: Page, access: Access, out: &mut Vec<Effect>) -> Result<(), Unallocated> {
        let home = self.homes.home(page).ok_or(Unallocated(page))?;
        self.copy_fault(home, page, access, out);
        self.settle(out);
        Ok(())
    }

    /// Asks for `page` to read it before anybody needs it. False, and nothing happens, where that makes no sense: the page is here or
    /// on its way, or no allocation covers it.
    pub fn prefetch(&mut self, page: Page, out: &mut Vec<Effect>) -> bool {
        let is_here = self.access(page).is_some() || self.transits.get(page).is_some();
        let Some(home) = self.homes.home(page).filter(|_| !is_here) else { return false };
        self.request(home, page, Access::Read, out);
        self.settle(out);
        true
    }

    /// A message arrives from node `from`. One about a page that it cannot be about is ignored.
    pub fn receive(&mut self, from: NodeId, message: PageMessage, out: &mut Vec<Effect>) {
        self.handle(from, message, out);
        self.settle(out);
    }

    /// The minimum hold time that [`Effect::Hold`] asked for has passed.
    pub fn hold_expired(&mut self, page: Page, epoch: Epoch, out: &mut Vec<Effect>) {
        self.copy_hold_expired(page, epoch, out);
        self.settle(out);
    }

    /// What is kept of the pages that were touched.
    pub fn kept(&self) -> Kept {
        Kept { copies: self.copies.bytes(|_| 0) as u64, directory: self.directory.bytes(Entry::bytes_elsewhere) as u64 }
    }

    /// Whether a recall or an invalidation waits for the end of a hold.
    pub fn has_deferred(&self) -> bool {
        self.deferred > 0
    }

    fn settle(&mut self, out: &mut Vec<Effect>) {
        while let Some(message) = self.to_self.pop_front() {
            self.handle(self.me, message, out);
        }
    }

    fn handle(&mut self, from: NodeId, message: PageMessage, out: &mut Vec<Effect>) {
        let Some(home) = self.homes.home(message.page()) else { return };
        match message {
            PageMessage::Request { page, request, access } if home == self.me => {
                self.directory_request(from, page, request, access, out);
            }
            PageMessage::Done { page, epoch, access } if home == self.me => {
                self.directory_done(from, page, epoch, access, out);
            }
            PageMessage::Forward { .. } if from == home => self.copy_forward(message, out),
            PageMessage::Invalidate { .. } if from == home => self.copy_invalidate(message, out),
            PageMessage::Request { .. }
            | PageMessage::Done { .. }
            | PageMessage::Forward { .. }
            | PageMessage::Invalidate { .. } => {}
            PageMessage::Grant { .. } => self.copy_grant(home, from, message, out),
            PageMessage::Invalidated { page, epoch } => self.copy_invalidated(home, from, page, epoch, out),
        }
    }

    fn send(&mut self, to: NodeId, message: PageMessage, out: &mut Vec<Effect>) {
        if to == self.me {
            self.to_self.push_back(message);
        } else {
            out.push(Effect::Send { to, message });
        }
    }
}
