//! A node's own copy of a page: Invalid, Shared, Exclusive or Modified, and what is under way.

use smallvec::SmallVec;

use super::{Effect, Pages};
use crate::ids::{Epoch, NodeId, NodeSet, Page, RequestId};
use crate::message::{Access, Contents, Handover, PageMessage};
use crate::planted::{Bug, Planted};

/// A page at this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Copy {
    state: State,
    /// The transaction that last changed `state`, but for a first store.
    epoch: Epoch,
}

/// The states of Papamarcos and Patel ("A Low-Overhead Coherence Solution for Multiprocessors with Private Cache Memories", ISCA
/// 1984).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum State {
    #[default]
    Invalid,
    Shared,
    /// Nobody else has a copy, and this node may write; it has not since the page came.
    Exclusive,
    Modified,
}

impl Copy {
    /// What the program may do.
    pub(super) fn access(self) -> Option<Access> {
        match self.state {
            State::Invalid => None,
            State::Shared | State::Exclusive => Some(Access::Read),
            State::Modified => Some(Access::Write),
        }
    }

    pub(super) fn is_exclusive(self) -> bool {
        self.state == State::Exclusive
    }
}

/// What is under way with a page at this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Transit {
    pending: Option<Pending>,
    /// The grant whose minimum hold time runs.
    held: Option<Epoch>,
    /// The recall or invalidation that waits for the grant before it, and for the end of its hold: never more than one, since the
    /// home starts nothing that could follow it.
    deferred: Option<PageMessage>,
}

impl Transit {
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    fn is_over(&self) -> bool {
        self.pending.is_none() && self.held.is_none() && self.deferred.is_none()
    }
}

/// A request of this node that has not taken effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pending {
    request: RequestId,
    access: Access,
    /// A thread wants to write while a read is pending.
    write_wanted: bool,
    granted: Option<Granted>,
    /// Who said that its copy is gone, and in which transaction at last: this may come before the grant. One node's word says nothing
    /// of another's.
    gone: SmallVec<[(NodeId, Epoch); 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Granted {
    epoch: Epoch,
    access: Access,
    awaiting: NodeSet,
    /// The home knows already that it takes effect.
    settled: bool,
}

impl Pending {
    fn complete(&self, planted: Planted) -> Option<Granted> {
        let granted = self.granted?;
        let any_epoch = planted.has(Bug::StaleAcknowledgementCounts);
        let is_gone =
            |node| self.gone.iter().any(|&(gone, epoch)| gone == node && (epoch == granted.epoch || any_epoch));
        let is_complete = granted.awaiting.iter().all(is_gone) || planted.has(Bug::InvalidationsNotAwaited);
        is_complete.then_some(granted)
    }

    /// `from` said that its copy is gone in this transaction, or in a later one.
    fn hear(&mut self, from: NodeId, epoch: Epoch, planted: Planted) {
        let place = self.gone.iter().position(|(node, _)| *node == from).unwrap_or_else(|| {
            self.gone.push((from, Epoch::default()));
            self.gone.len() - 1
        });
        let heard = &mut self.gone[place].1;
        if *heard == epoch && planted.has(Bug::DuplicateAcknowledgementCounts) {
            self.gone = NodeSet::from_bits(u64::MAX).iter().map(|node| (node, epoch)).collect();
        } else {
            *heard = epoch.max(*heard);
        }
    }
}

impl Planted {
    /// What the grant of this transaction is held as.
    fn held(self, epoch: Epoch) -> Option<Epoch> {
        (!self.has(Bug::NoHold)).then_some(epoch)
    }
}

impl Pages {
    fn copy(&self, page: Page) -> Copy {
        self.copies.get(page).copied().unwrap_or_default()
    }

    /// Whether this node has anything to do with `page`, or ever had.
    fn knows(&self, page: Page) -> bool {
        self.copy(page) != Copy::default() || self.transits.get(page).is_some()
    }

    pub(super) fn copy_fault(&mut self, home: NodeId, page: Page, access: Access, out: &mut Vec<Effect>) {
        let copy = self.copy(page);
        let pending = self.transits.get_mut(page).and_then(|transit| transit.pending.as_mut());
        match (pending, copy.access()) {
            // The event is a repetition, or the page is here and not mapped: install what we have.
            (_, Some(allowed)) if allowed >= access && self.planted.has(Bug::RepeatedFaultIgnored) => {}
            (_, Some(allowed)) if allowed >= access => out.push(Effect::Map { page, access: allowed }),
            (Some(_), _) if self.planted.has(Bug::WriteWantedForgotten) => {}
            (Some(pending), _) => pending.write_wanted |= access > pending.access,
            (None, Some(_)) if copy.is_exclusive() => self.copy_first_store(page, copy.epoch, out),
            (None, _) => self.request(home, page, access, out),
        }
    }

    /// The program stores to a page that this node may write: nobody has to know.
    fn copy_first_store(&mut self, page: Page, epoch: Epoch, out: &mut Vec<Effect>) {
        self.copies.entry(page).state = State::Modified;
        out.extend([Effect::Upgrade { page }, Effect::Hold { page, epoch }]);
        self.transits.entry(page).held = self.planted.held(epoch);
        self.forget(page);
    }

    pub(super) fn request(&mut self, home: NodeId, page: Page, access: Access, out: &mut Vec<Effect>) {
        self.last_request = self.last_request.next();
        let request = self.last_request;
        self.transits.entry(page).pending =
            Some(Pending { request, access, write_wanted: false, granted: None, gone: SmallVec::new() });
        self.send(home, PageMessage::Request { page, request, access }, out);
    }

    pub(super) fn copy_grant(&mut self, home: NodeId, from: NodeId, message: PageMessage, out: &mut Vec<Effect>) {
        let PageMessage::Grant { page, epoch, request, access, contents, awaiting } = message else { return };
        let allowed = self.copy(page).access();
        let Some(pending) = self.transits.get_mut(page).and_then(|transit| transit.pending.as_mut()) else { return };
        let is_answer = pending.request == request || self.planted.has(Bug::StaleGrantAccepted);
        if !is_answer || pending.access > access || pending.granted.is_some() {
            return;
        }
        match (contents, allowed) {
            (Contents::Zero, None) => out.push(Effect::Zero { page }),
            (Contents::Bytes, None) => out.push(Effect::Fill { page }),
            (Contents::Keep, Some(_)) => {}
            // No home says this; obeying it would overwrite a live page or map an empty one.
            _ => return,
        }
        let settled = access == Access::Read && from == home;
        pending.granted = Some(Granted { epoch, access, awaiting, settled });
        self.copy_complete(home, page, out);
    }

    pub(super) fn copy_invalidated(
        &mut self,
        home: NodeId,
        from: NodeId,
        page: Page,
        epoch: Epoch,
        out: &mut Vec<Effect>,
    ) {
        let copy = self.copy(page);
        let Some(pending) = self.transits.get_mut(page).and_then(|transit| transit.pending.as_mut()) else { return };
        if epoch <= copy.epoch && !self.planted.has(Bug::StaleAcknowledgementCounts) {
            return;
        }
        pending.hear(from, epoch, self.planted);
        self.copy_complete(home, page, out);
    }

    fn copy_complete(&mut self, home: NodeId, page: Page, out: &mut Vec<Effect>) {
        let Some(transit) = self.transits.get_mut(page) else { return };
        let complete = transit.pending.as_ref().and_then(|pending| pending.complete(self.planted));
        let Some(Granted { epoch, access, settled, .. }) = complete else { return };
        let Some(Pending { access: asked, write_wanted, .. }) = transit.pending.take() else { return };
        transit.held = self.planted.held(epoch);
        let is_over = transit.is_over();
        let state = match access {
            Access::Read => State::Shared,
            Access::Write if asked == Access::Write || write_wanted => State::Modified,
            Access::Write => State::Exclusive,
        };
        let copy = self.copies.entry(page);
        let before = std::mem::replace(copy, Copy { state, epoch });
        out.push(match (before.access(), state) {
            (Some(Access::Read), State::Modified) => Effect::Upgrade { page },
            (_, State::Modified) => Effect::Map { page, access: Access::Write },
            _ => Effect::Map { page, access: Access::Read },
        });
        out.push(Effect::Hold { page, epoch });
        if !settled {
            self.send(home, PageMessage::Done { page, epoch, access }, out);
        }
        if write_wanted && access == Access::Read {
            self.request(home, page, Access::Write, out);
        }
        if is_over {
            self.forget(page);
        }
    }

    /// Forgets what was under way, once it is over.
    fn forget(&mut self, page: Page) {
        if self.transits.get(page).is_some_and(Transit::is_over) {
            self.transits.remove(page);
        }
    }

    pub(super) fn copy_hold_expired(&mut self, page: Page, epoch: Epoch, out: &mut Vec<Effect>) {
        let Some(transit) = self.transits.get_mut(page) else { return };
        if transit.held != Some(epoch) {
            return;
        }
        transit.held = None;
        let deferred = transit.deferred.take();
        self.deferred -= usize::from(deferred.is_some());
        self.forget(page);
        match deferred {
            _ if self.planted.has(Bug::DeferredForgotten) => {}
            Some(message @ PageMessage::Forward { .. }) => self.copy_forward(message, out),
            Some(message @ PageMessage::Invalidate { .. }) => self.copy_invalidate(message, out),
            _ => {}
        }
    }

    /// Puts off `message` until what is under way has taken effect and its hold is over.
    fn defer(&mut self, message: PageMessage) {
        let transit = self.transits.entry(message.page());
        self.deferred += usize::from(transit.deferred.replace(message).is_none());
    }

    fn is_held(&self, page: Page) -> bool {
        self.transits.get(page).is_some_and(|transit| transit.held.is_some())
    }

    pub(super) fn copy_forward(&mut self, message: PageMessage, out: &mut Vec<Effect>) {
        let PageMessage::Forward { page, epoch, requester, request, handover, awaiting } = message else { return };
        let copy = self.copy(page);
        if copy.state == State::Invalid {
            return;
        }
        // No home sends the requester to itself; the grant would say that bytes come which nobody sent.
        let is_old = epoch <= copy.epoch && !self.planted.has(Bug::DuplicateRecallObeyed);
        if is_old || requester == self.me {
            return;
        }
        if self.is_held(page) {
            return self.defer(message);
        }
        let start = out.len();
        let access = match handover {
            Handover::Take => Access::Write,
            Handover::Migrate if copy.state == State::Modified => Access::Write,
            Handover::Migrate | Handover::Share => Access::Read,
        };
        let state = match access {
            Access::Write if handover == Handover::Migrate && self.planted.has(Bug::MigratedCopyKept) => State::Shared,
            Access::Write => State::Invalid,
            Access::Read if copy.state == State::Exclusive && self.planted.has(Bug::ExclusiveOnceShared) => copy.state,
            Access::Read => State::Shared,
        };
        match state {
            State::Invalid => out.push(Effect::Discard { page }),
            _ if copy.state == State::Modified => out.push(Effect::Protect { page }),
            _ => {}
        }
        *self.copies.entry(page) = Copy { state, epoch };
        let grant = PageMessage::Grant { page, epoch, request, access, contents: Contents::Bytes, awaiting };
        self.send(requester, grant, out);
        if self.planted.has(Bug::BytesBeforeProtection) {
            out[start..].reverse();
        }
        if access == Access::Read && self.homes.home(page) == Some(self.me) {
            self.directory_settled(page, epoch, out);
        }
    }

    pub(super) fn copy_invalidate(&mut self, message: PageMessage, out: &mut Vec<Effect>) {
        let PageMessage::Invalidate { page, epoch, requester } = message else { return };
        if !self.knows(page) {
            return;
        }
        let copy = self.copy(page);
        if epoch > copy.epoch || self.planted.has(Bug::DuplicateInvalidationObeyed) {
            if self.is_held(page) || self.is_promised(page) {
                return self.defer(message);
            }
            *self.copies.entry(page) = Copy { state: State::Invalid, epoch };
            if copy.state != State::Invalid {
                out.push(Effect::Discard { page });
            }
        }
        self.send(requester, PageMessage::Invalidated { page, epoch }, out);
    }

    /// Whether a new invalidation of `page` has overtaken a grant: the home counts this node among the readers, so it has answered the
    /// read that is pending here.
    fn is_promised(&self, page: Page) -> bool {
        let pending = self.transits.get(page).and_then(|transit| transit.pending.as_ref());
        self.copy(page).state == State::Invalid
            && pending.is_some_and(|pending| pending.access == Access::Read)
            && !self.planted.has(Bug::PromiseForgotten)
    }
}
