//! The home's side: a page's directory entry and its transactions, one at a time.

use std::collections::VecDeque;

use super::{Effect, Pages};
use crate::ids::{Epoch, LastSeen, NodeId, NodeSet, Page, RequestId};
use crate::message::{Access, Contents, PageMessage};
use crate::planted::Bug;

/// The directory entry of a page, at its home.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    /// The last writer. `None`: nobody ever wrote the page, and it is all zero.
    owner: Option<NodeId>,
    /// Who has a copy, the owner among them.
    copies: NodeSet,
    /// The transaction that ran last, or runs.
    epoch: Epoch,
    busy: Option<Wanted>,
    waiting: VecDeque<Wanted>,
    seen: LastSeen,
}

/// What a page's home believes, for those who check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Belief {
    /// The last writer whose transaction has ended.
    pub owner: Option<NodeId>,
    /// Who has a copy, but for what the running transaction changes.
    pub copies: NodeSet,
    /// Whose transaction runs, and for what.
    pub busy: Option<(NodeId, Access)>,
}

/// A request that waits, or whose transaction runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    requester: NodeId,
    request: RequestId,
    access: Access,
}

impl Entry {
    /// Who has a copy and waits for more.
    fn copies_of_waiting(&self) -> NodeSet {
        self.waiting.iter().map(|wanted| wanted.requester).filter(|&node| self.copies.contains(node)).collect()
    }
}

impl Pages {
    /// What this node believes as the home of `page`; `None` while nobody has asked it for the page.
    pub fn belief(&self, page: Page) -> Option<Belief> {
        let Entry { owner, copies, busy, .. } = self.directory.get(&page)?;
        Some(Belief { owner: *owner, copies: *copies, busy: busy.map(|wanted| (wanted.requester, wanted.access)) })
    }

    pub(super) fn directory_request(
        &mut self,
        from: NodeId,
        page: Page,
        request: RequestId,
        access: Access,
        out: &mut Vec<Effect>,
    ) {
        let entry = self.directory.entry(page).or_default();
        // A node asks again only when its last request was granted: one may run, and one wait for its `Done` to arrive.
        let is_again = entry.waiting.iter().any(|wanted| wanted.requester == from) || !entry.seen.record(from, request);
        if is_again && !self.planted.has(Bug::DuplicateRequestServed) {
            return;
        }
        entry.waiting.push_back(Wanted { requester: from, request, access });
        self.directory_next(page, out);
    }

    pub(super) fn directory_done(&mut self, from: NodeId, page: Page, epoch: Epoch, out: &mut Vec<Effect>) {
        let Some(entry) = self.directory.get_mut(&page) else { return };
        let Some(Wanted { requester, access, .. }) = entry.busy else { return };
        let is_present = entry.epoch == epoch && requester == from;
        if !is_present && !self.planted.has(Bug::StaleDoneAccepted) {
            return;
        }
        entry.busy = None;
        match access {
            Access::Read if self.planted.has(Bug::ReaderNotRecorded) => {}
            Access::Read => entry.copies = entry.copies.with(requester),
            Access::Write if self.planted.has(Bug::WriterNotRecorded) => entry.copies = NodeSet::of(requester),
            Access::Write if self.planted.has(Bug::ContentsDecidedAtRequest) => {
                entry.owner = Some(requester);
                entry.copies = entry.copies_of_waiting().with(requester);
            }
            Access::Write => {
                entry.owner = Some(requester);
                entry.copies = NodeSet::of(requester);
            }
        }
        self.directory_next(page, out);
    }

    /// Starts the next transaction on `page`, where none runs and one waits.
    fn directory_next(&mut self, page: Page, out: &mut Vec<Effect>) {
        let me = self.me;
        let Some(entry) = self.directory.get_mut(&page) else { return };
        if entry.busy.is_some() {
            return;
        }
        let Some(wanted) = entry.waiting.pop_front() else { return };
        let Wanted { requester, request, access } = wanted;
        entry.busy = Some(wanted);
        entry.epoch = entry.epoch.next();
        let (epoch, copies, owner) = (entry.epoch, entry.copies, entry.owner);

        // Our own copy spares the owner's trip; the requester's spares the bytes.
        let source = owner.map(|owner| if copies.contains(me) { me } else { owner });
        let (contents, source) = match source {
            _ if copies.contains(requester) => (Contents::Keep, None),
            None => (Contents::Zero, None),
            Some(source) => (Contents::Bytes, Some(source)),
        };
        let others = match access {
            Access::Read => NodeSet::EMPTY,
            Access::Write => copies.without(requester),
        };
        let awaiting = source.map_or(others, |source| others.without(source));
        let answer = match source {
            Some(_) => PageMessage::Forward { page, epoch, requester, request, access, awaiting },
            None => PageMessage::Grant { page, epoch, request, access, contents, awaiting },
        };
        for node in awaiting.iter() {
            self.send(node, PageMessage::Invalidate { page, epoch, requester }, out);
        }
        self.send(source.unwrap_or(requester), answer, out);
        if self.planted.has(Bug::EntryFreedEarly) {
            self.directory_done(requester, page, epoch, out);
        }
    }
}
