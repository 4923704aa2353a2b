//! The home's side: a page's directory entry and its transactions, one at a time.

use std::collections::VecDeque;

use super::{Effect, Pages};
use crate::ids::{Epoch, LastSeen, NodeId, NodeSet, Page, RequestId};
use crate::message::{Access, Contents, Handover, PageMessage};
use crate::planted::Bug;

/// The directory entry of a page, at its home.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    /// Who was last allowed to write. `None`: nobody ever wrote the page, and it is all zero.
    owner: Option<NodeId>,
    /// Who has a copy, the owner among them, or is promised one: a read that the home itself answered counts at once.
    copies: NodeSet,
    /// The transaction that ran last, or runs.
    epoch: Epoch,
    seen: LastSeen,
    /// How many nodes in a row, up to [`TURNS_ENOUGH`], have read the page from the one that had written it, and then written it. -1: the
    /// next one does not count, for who was last allowed to write has not written.
    turns: i8,
}

/// So many turns make a page one that migrates. One is not enough: whoever goes on with what another has prepared takes one.
const TURNS_ENOUGH: i8 = 2;

impl Entry {
    /// What who has the page keeps when `requester` gets it.
    fn handover(&self, requester: NodeId, access: Access) -> Handover {
        let is_only_owners = self.owner.is_some_and(|owner| owner != requester && self.copies == NodeSet::of(owner));
        match access {
            Access::Read if self.turns >= TURNS_ENOUGH && is_only_owners => Handover::Migrate,
            Access::Read => Handover::Share,
            Access::Write => Handover::Take,
        }
    }

    /// `requester` is about to write, and asked to.
    fn note_turn(&mut self, requester: NodeId) {
        let is_of = |owner: NodeId| owner != requester && self.copies == NodeSet::of(owner).with(requester);
        self.turns = match self.owner {
            Some(owner) if is_of(owner) => (self.turns + 1).min(TURNS_ENOUGH),
            // It has not read the page before. Where this happens now and then, the page still migrates.
            _ if !self.copies.contains(requester) => (self.turns - 1).max(0),
            _ => 0,
        };
    }

    /// Bytes that it keeps outside of itself.
    pub(super) fn bytes_elsewhere(&self) -> usize {
        self.seen.bytes_elsewhere()
    }
}

/// The transaction that runs on a page, and the requests that wait for its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Busy {
    running: Option<Running>,
    waiting: VecDeque<Wanted>,
}

impl Busy {
    /// Who has a copy and waits for more.
    fn waiting_among(&self, copies: NodeSet) -> NodeSet {
        self.waiting.iter().map(|wanted| wanted.requester).filter(|&node| copies.contains(node)).collect()
    }
}

/// What a page's home believes, for those who check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Belief {
    /// Who was last allowed to write, of those whose transactions have ended.
    pub owner: Option<NodeId>,
    /// Who has a copy or is promised one, but for what the running transaction changes.
    pub copies: NodeSet,
    /// Whose transaction runs, and what it grants at most.
    pub busy: Option<(NodeId, Access)>,
}

/// A request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    requester: NodeId,
    request: RequestId,
    access: Access,
}

/// A transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Running {
    requester: NodeId,
    handover: Handover,
}

impl Running {
    /// What the requester is granted at most.
    fn access(self) -> Access {
        match self.handover {
            Handover::Share => Access::Read,
            Handover::Migrate | Handover::Take => Access::Write,
        }
    }

    /// Whether that may be what it was granted.
    fn may_end_with(self, granted: Access) -> bool {
        granted == self.access() || self.handover == Handover::Migrate
    }
}

impl Pages {
    /// What this node believes as the home of `page`; `None` while nobody has asked it for the page.
    pub fn belief(&self, page: Page) -> Option<Belief> {
        let Entry { owner, copies, .. } = self.directory.get(page).filter(|entry| **entry != Entry::default())?;
        let running = self.busy.get(page).and_then(|busy| busy.running);
        Some(Belief { owner: *owner, copies: *copies, busy: running.map(|it| (it.requester, it.access())) })
    }

    pub(super) fn directory_request(
        &mut self,
        from: NodeId,
        page: Page,
        request: RequestId,
        access: Access,
        out: &mut Vec<Effect>,
    ) {
        let busy = self.busy.get(page);
        // A node asks again only when its last request was granted: one may run, and one wait for its `Done` to arrive.
        let waits = busy.is_some_and(|busy| busy.waiting.iter().any(|wanted| wanted.requester == from));
        let is_again = waits || !self.directory.entry(page).seen.record(from, request);
        if is_again && !self.planted.has(Bug::DuplicateRequestServed) {
            return;
        }
        let wanted = Wanted { requester: from, request, access };
        let busy = self.busy.entry(page);
        match busy.running {
            Some(_) => busy.waiting.push_back(wanted),
            None => self.directory_begin(page, wanted, out),
        }
    }

    pub(super) fn directory_done(
        &mut self,
        from: NodeId,
        page: Page,
        epoch: Epoch,
        granted: Access,
        out: &mut Vec<Effect>,
    ) {
        let Some(busy) = self.busy.get_mut(page) else { return };
        let Some(running @ Running { requester, handover }) = busy.running else { return };
        let entry = self.directory.entry(page);
        let is_present = entry.epoch == epoch && requester == from && running.may_end_with(granted);
        if !is_present && !self.planted.has(Bug::StaleDoneAccepted) {
            return;
        }
        busy.running = None;
        match handover {
            Handover::Share => {}
            // Who had the page had not written it.
            Handover::Migrate if granted == Access::Read => entry.turns = -1,
            Handover::Migrate => {}
            Handover::Take => entry.note_turn(requester),
        }
        match granted {
            Access::Read if self.planted.has(Bug::ReaderNotRecorded) => {}
            Access::Read => entry.copies = entry.copies.with(requester),
            Access::Write if handover == Handover::Migrate && self.planted.has(Bug::MigrationNotRecorded) => {
                entry.copies = entry.copies.with(requester);
            }
            Access::Write if self.planted.has(Bug::WriterNotRecorded) => entry.copies = NodeSet::of(requester),
            Access::Write if self.planted.has(Bug::ContentsDecidedAtRequest) => {
                entry.owner = Some(requester);
                entry.copies = busy.waiting_among(entry.copies).with(requester);
            }
            Access::Write => {
                entry.owner = Some(requester);
                entry.copies = NodeSet::of(requester);
            }
        }
        self.directory_next(page, out);
    }

    /// The home itself has answered the read that runs: its reader has a copy from now on, and nobody needs to wait until the
    /// answer has arrived. An invalidation that overtakes it waits for it at the reader.
    pub(super) fn directory_settled(&mut self, page: Page, epoch: Epoch, out: &mut Vec<Effect>) {
        let running = self.busy.get(page).and_then(|busy| busy.running);
        if let Some(Running { requester, handover: Handover::Share | Handover::Migrate }) = running {
            self.directory_done(requester, page, epoch, Access::Read, out);
        }
    }

    /// Starts the next transaction on `page`, where none runs and one waits.
    fn directory_next(&mut self, page: Page, out: &mut Vec<Effect>) {
        let Some(busy) = self.busy.get_mut(page).filter(|busy| busy.running.is_none()) else { return };
        match busy.waiting.pop_front() {
            Some(wanted) => self.directory_begin(page, wanted, out),
            None => self.busy.remove(page),
        }
    }

    /// Starts a transaction on `page`, where none runs.
    fn directory_begin(&mut self, page: Page, wanted: Wanted, out: &mut Vec<Effect>) {
        let me = self.me;
        let Wanted { requester, request, access } = wanted;
        let entry = self.directory.entry(page);
        entry.epoch = entry.epoch.next();
        let handover = entry.handover(requester, access);
        let running = Running { requester, handover };
        self.busy.entry(page).running = Some(running);
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
            Some(_) => PageMessage::Forward { page, epoch, requester, request, handover, awaiting },
            None => PageMessage::Grant { page, epoch, request, access, contents, awaiting },
        };
        for node in awaiting.iter() {
            self.send(node, PageMessage::Invalidate { page, epoch, requester }, out);
        }
        self.send(source.unwrap_or(requester), answer, out);
        if self.planted.has(Bug::EntryFreedEarly) {
            self.directory_done(requester, page, epoch, running.access(), out);
        } else if source.is_none() {
            self.directory_settled(page, epoch, out);
        }
    }
}
