//! Atomic operations on single words, performed at the home of the word's page.
//!
//! The home first makes itself the page's only writer, by an ordinary transaction of the page protocol; then one instruction on
//! the frame does the work, atomic also against the home's own threads. A remote operation is thus a call: a request, a
//! reply. It is performed once because the transport delivers every message once.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::message::{Access, AtomicMessage, AtomicOperation};
use protocol::{Message, NodeId, Page, RequestId};

use super::waiters::Signal;
use super::{Engine, Fatal};
use crate::mem::PAGE_BYTES;

/// Operations of one node that may wait for pages at a home; an honest node has at most one for each of its threads.
const WAITING_MAX: usize = 65_536;

/// Operations at this home that wait for their page, and operations of this node that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Atomics {
    waiting: BTreeMap<Page, Vec<Waiting>>,
    /// How many of `waiting` each other node has asked for.
    of_node: BTreeMap<NodeId, usize>,
    last_request: RequestId,
    /// By the number of the request: which home must answer, and who waits for it.
    asked: BTreeMap<RequestId, (NodeId, Arc<Signal>)>,
}

#[derive(Clone, Debug)]
struct Waiting {
    asker: Asker,
    /// Offset in the page, bytes.
    offset: usize,
    operation: AtomicOperation,
}

#[derive(Clone, Debug)]
enum Asker {
    Thread(Arc<Signal>),
    Node(NodeId, RequestId),
}

impl Atomics {
    /// A thread of this node asks `home`; gives the number for the request.
    fn ask(&mut self, home: NodeId, signal: Arc<Signal>) -> RequestId {
        self.last_request = self.last_request.next();
        self.asked.insert(self.last_request, (home, signal));
        self.last_request
    }

    /// An answer from `from`. One that this node was not asked for is ignored.
    fn answered(&mut self, from: NodeId, request: RequestId, old: u64) {
        if self.asked.get(&request).is_some_and(|(home, _)| *home == from)
            && let Some((_, signal)) = self.asked.remove(&request)
        {
            signal.complete(old);
        }
    }

    /// Notes an operation that waits for `page`. False when the node that asks has more waiting than an honest one would.
    fn wait(&mut self, page: Page, waiting: Waiting) -> bool {
        if let Asker::Node(node, _) = waiting.asker {
            let count = self.of_node.entry(node).or_default();
            if *count >= WAITING_MAX {
                return false;
            }
            *count += 1;
        }
        self.waiting.entry(page).or_default().push(waiting);
        true
    }

    /// What waits for `page`, in order.
    fn take(&mut self, page: Page) -> Vec<Waiting> {
        let taken = self.waiting.remove(&page).unwrap_or_default();
        for waiting in &taken {
            if let Asker::Node(node, _) = waiting.asker
                && let Some(count) = self.of_node.get_mut(&node)
            {
                *count = count.saturating_sub(1);
            }
        }
        taken
    }
}

impl Engine {
    /// A thread wants `operation` on the word at `offset` bytes into the region, aligned and allocated; `signal` completes with
    /// what was there before.
    pub(crate) fn atomic(&mut self, offset: u64, operation: AtomicOperation, signal: Arc<Signal>) -> Result<(), Fatal> {
        match self.pages.homes().home(page_of(offset)) {
            Some(home) if home != self.me => {
                let request = self.atomics.ask(home, signal);
                self.send(home, &Message::Atomic(AtomicMessage::Perform { request, offset, operation }))
            }
            _ => self.perform_at_home(offset, operation, Asker::Thread(signal)),
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
                self.atomics.answered(from, request, old);
                Ok(())
            }
        }
    }

    fn perform_at_home(&mut self, offset: u64, operation: AtomicOperation, asker: Asker) -> Result<(), Fatal> {
        let page = page_of(offset);
        if !self.atomics.wait(page, Waiting { asker, offset: (offset % PAGE_BYTES as u64) as usize, operation }) {
            return Ok(());
        }
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
        for Waiting { asker, offset, operation } in self.atomics.take(page) {
            let old = match operation {
                AtomicOperation::FetchAdd { value } => self.region.fetch_add(page, offset, value)?,
                AtomicOperation::CompareSwap { expect, new } => self.region.compare_swap(page, offset, expect, new)?,
            };
            match asker {
                Asker::Thread(signal) => signal.complete(old),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn node(rank: usize) -> NodeId {
        NodeId::new(rank).unwrap()
    }

    fn waiting(asker: Asker) -> Waiting {
        Waiting { asker, offset: 0, operation: AtomicOperation::FetchAdd { value: 1 } }
    }

    #[test]
    fn an_answer_counts_only_from_the_node_that_was_asked_and_once() {
        let (mut atomics, signal) = (Atomics::default(), Signal::new());
        let request = atomics.ask(node(1), Arc::clone(&signal));
        atomics.answered(node(2), request, 5);
        atomics.answered(node(1), request.next(), 5);
        assert_eq!(signal.poll(), None);
        atomics.answered(node(1), request, 7);
        atomics.answered(node(1), request, 8);
        assert_eq!((signal.poll(), atomics.asked.len()), (Some(7), 0));
    }

    #[test]
    fn a_node_that_floods_a_home_is_not_listened_to_and_others_are() {
        let mut atomics = Atomics::default();
        let ask = |number| waiting(Asker::Node(node(1), RequestId(number)));
        let taken = (0..2 * WAITING_MAX as u64).filter(|&number| atomics.wait(Page(number), ask(number))).count();
        assert_eq!((taken, atomics.waiting.len()), (WAITING_MAX, WAITING_MAX));
        assert!(atomics.wait(Page(0), waiting(Asker::Node(node(2), RequestId(1)))));
        assert!(atomics.wait(Page(0), waiting(Asker::Thread(Signal::new()))));
        assert_eq!(atomics.take(Page(0)).len(), 3);
        assert!(atomics.wait(Page(0), ask(0)) && !atomics.wait(Page(0), ask(1)));
    }
}
