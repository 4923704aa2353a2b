//! Atomic operations on single words, performed at the home of the word's page.
//!
//! The home first makes itself the page's only writer, by an ordinary transaction of the page protocol; then one instruction on
//! the frame does the work, atomic also against the home's own threads. A remote operation is thus a call: a request, a
//! reply. It is performed once because the transport delivers every message once.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::locks::Waiter;
use protocol::message::{Access, AtomicMessage, AtomicOperation};
use protocol::{Message, NodeId, Page, RequestId};

use super::waiters::Signal;
use super::{Engine, Fatal};
use crate::mem::PAGE_BYTES;

/// Operations that may wait for one page at its home; an honest job has at most one for each of its threads.
const WAITING_MAX: usize = 65_536;

/// Operations at this home that wait for their page.
#[derive(Debug, Default)]
pub(super) struct Atomics {
    waiting: BTreeMap<Page, Vec<Waiting>>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    asker: Asker,
    /// Offset in the page, bytes.
    offset: usize,
    operation: AtomicOperation,
}

#[derive(Clone, Copy, Debug)]
enum Asker {
    Thread(Waiter),
    Node(NodeId, RequestId),
}

impl Engine {
    /// A thread wants `operation` on the word at `offset` bytes into the region, aligned and allocated; `signal` completes with
    /// what was there before.
    pub(crate) fn atomic(&mut self, offset: u64, operation: AtomicOperation, signal: Arc<Signal>) -> Result<(), Fatal> {
        let waiter = self.waiters.add(signal);
        match self.pages.homes().home(page_of(offset)) {
            Some(home) if home != self.me => {
                let request = RequestId(waiter.0);
                self.send(home, &Message::Atomic(AtomicMessage::Perform { request, offset, operation }))
            }
            _ => self.perform_at_home(offset, operation, Asker::Thread(waiter)),
        }
    }

    pub(super) fn atomic_message(&mut self, from: NodeId, message: &AtomicMessage) -> Result<(), Fatal> {
        match *message {
            AtomicMessage::Perform { request, offset, operation } => {
                let at_home = self.pages.homes().home(page_of(offset)) == Some(self.me);
                if !at_home || !offset.is_multiple_of(8) {
                    return Ok(());
                }
                self.perform_at_home(offset, operation, Asker::Node(from, request))
            }
            AtomicMessage::Performed { request, old } => {
                self.waiters.complete(Waiter(request.0), old);
                Ok(())
            }
        }
    }

    fn perform_at_home(&mut self, offset: u64, operation: AtomicOperation, asker: Asker) -> Result<(), Fatal> {
        let page = page_of(offset);
        let waiting = self.atomics.waiting.entry(page).or_default();
        if waiting.len() >= WAITING_MAX {
            return Ok(());
        }
        waiting.push(Waiting { asker, offset: (offset % PAGE_BYTES as u64) as usize, operation });
        if self.pages.access(page) == Some(Access::Write) {
            return self.perform_atomics(page);
        }
        self.need(page, Access::Write).unwrap_or(Ok(()))
    }

    /// Performs what waits for `page`, where this node may write it.
    pub(super) fn perform_atomics(&mut self, page: Page) -> Result<(), Fatal> {
        if self.atomics.waiting.is_empty() || self.pages.access(page) != Some(Access::Write) {
            return Ok(());
        }
        for Waiting { asker, offset, operation } in self.atomics.waiting.remove(&page).unwrap_or_default() {
            let old = match operation {
                AtomicOperation::FetchAdd { value } => self.region.fetch_add(page, offset, value)?,
                AtomicOperation::CompareSwap { expect, new } => self.region.compare_swap(page, offset, expect, new)?,
            };
            match asker {
                Asker::Thread(waiter) => self.waiters.complete(waiter, old),
                Asker::Node(node, request) => {
                    self.send(node, &Message::Atomic(AtomicMessage::Performed { request, old }))?;
                }
            }
        }
        Ok(())
    }
}

fn page_of(offset: u64) -> Page {
    Page(offset / PAGE_BYTES as u64)
}
