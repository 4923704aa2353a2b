//! A node's own copy of a page: Invalid, Shared or Modified, and what is under way.

use std::collections::BTreeMap;

use super::{Effect, Pages};
use crate::ids::{Epoch, NodeId, NodeSet, Page, RequestId};
use crate::message::{Access, Contents, PageMessage};
use crate::planted::{Bug, Planted};

/// A page at this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Copy {
    /// Invalid, Shared or Modified.
    access: Option<Access>,
    /// The transaction that last changed `access`.
    epoch: Epoch,
    pending: Option<Pending>,
    /// The grant whose minimum hold time runs, and the recall or invalidation that waits for its end: never more than one, since
    /// the home runs one transaction at a time and names each node once in it.
    held: Option<Epoch>,
    deferred: Option<PageMessage>,
}

impl Copy {
    pub(super) fn access(&self) -> Option<Access> {
        self.access
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
    gone: BTreeMap<NodeId, Epoch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Granted {
    epoch: Epoch,
    access: Access,
    awaiting: NodeSet,
}

impl Pending {
    fn complete(&self, planted: Planted) -> Option<Granted> {
        let granted = self.granted?;
        let any_epoch = planted.has(Bug::StaleAcknowledgementCounts);
        let is_gone = |node| self.gone.get(&node).is_some_and(|&epoch| epoch == granted.epoch || any_epoch);
        let is_complete = granted.awaiting.iter().all(is_gone) || planted.has(Bug::InvalidationsNotAwaited);
        is_complete.then_some(granted)
    }
}

impl Pages {
    pub(super) fn copy_fault(&mut self, home: NodeId, page: Page, access: Access, out: &mut Vec<Effect>) {
        let copy = self.copies.entry(page).or_default();
        match (&mut copy.pending, copy.access) {
            // The event is a repetition, or the kernel dropped the mapping: install what we have.
            (_, Some(allowed)) if allowed >= access && self.planted.has(Bug::RepeatedFaultIgnored) => {}
            (_, Some(allowed)) if allowed >= access => out.push(Effect::Map { page, access: allowed }),
            (Some(_), _) if self.planted.has(Bug::WriteWantedForgotten) => {}
            (Some(pending), _) => pending.write_wanted |= access > pending.access,
            (None, _) => self.request(home, page, access, out),
        }
    }

    fn request(&mut self, home: NodeId, page: Page, access: Access, out: &mut Vec<Effect>) {
        self.last_request = self.last_request.next();
        let request = self.last_request;
        self.copies.entry(page).or_default().pending =
            Some(Pending { request, access, write_wanted: false, granted: None, gone: BTreeMap::new() });
        self.send(home, PageMessage::Request { page, request, access }, out);
    }

    pub(super) fn copy_grant(&mut self, home: NodeId, message: PageMessage, out: &mut Vec<Effect>) {
        let PageMessage::Grant { page, epoch, request, access, contents, awaiting } = message else { return };
        let Some(copy) = self.copies.get_mut(&page) else { return };
        let Some(pending) = &mut copy.pending else { return };
        let is_answer = pending.request == request || self.planted.has(Bug::StaleGrantAccepted);
        if !is_answer || pending.access != access || pending.granted.is_some() {
            return;
        }
        match (contents, copy.access) {
            (Contents::Zero, None) => out.push(Effect::Zero { page }),
            (Contents::Bytes, None) => out.push(Effect::Fill { page }),
            (Contents::Keep, Some(_)) => {}
            // No home says this; obeying it would overwrite a live page or map an empty one.
            _ => return,
        }
        pending.granted = Some(Granted { epoch, access, awaiting });
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
        let Some(copy) = self.copies.get_mut(&page) else { return };
        let Some(pending) = &mut copy.pending else { return };
        if epoch <= copy.epoch && !self.planted.has(Bug::StaleAcknowledgementCounts) {
            return;
        }
        let heard = pending.gone.entry(from).or_default();
        if *heard == epoch && self.planted.has(Bug::DuplicateAcknowledgementCounts) {
            pending.gone = NodeSet::from_bits(u64::MAX).iter().map(|node| (node, epoch)).collect();
        } else {
            *heard = epoch.max(*heard);
        }
        self.copy_complete(home, page, out);
    }

    fn copy_complete(&mut self, home: NodeId, page: Page, out: &mut Vec<Effect>) {
        let Some(copy) = self.copies.get_mut(&page) else { return };
        let complete = copy.pending.as_ref().and_then(|pending| pending.complete(self.planted));
        let Some(Granted { epoch, access, .. }) = complete else { return };
        let write_wanted = copy.pending.take().is_some_and(|pending| pending.write_wanted);
        let before = copy.access.replace(access);
        copy.epoch = epoch;
        copy.held = (!self.planted.has(Bug::NoHold)).then_some(epoch);
        out.push(match (before, access) {
            (Some(Access::Read), Access::Write) => Effect::Upgrade { page },
            _ => Effect::Map { page, access },
        });
        out.push(Effect::Hold { page, epoch });
        self.send(home, PageMessage::Done { page, epoch }, out);
        if write_wanted {
            self.request(home, page, Access::Write, out);
        }
    }

    pub(super) fn copy_hold_expired(&mut self, page: Page, epoch: Epoch, out: &mut Vec<Effect>) {
        let Some(copy) = self.copies.get_mut(&page) else { return };
        if copy.held != Some(epoch) {
            return;
        }
        copy.held = None;
        let deferred = copy.deferred.take();
        self.deferred -= usize::from(deferred.is_some());
        match deferred {
            _ if self.planted.has(Bug::DeferredForgotten) => {}
            Some(message @ PageMessage::Forward { .. }) => self.copy_forward(message, out),
            Some(message @ PageMessage::Invalidate { .. }) => self.copy_invalidate(message, out),
            _ => {}
        }
    }

    pub(super) fn copy_forward(&mut self, message: PageMessage, out: &mut Vec<Effect>) {
        let PageMessage::Forward { page, epoch, requester, request, access, awaiting } = message else { return };
        let Some(copy) = self.copies.get_mut(&page) else { return };
        let Some(allowed) = copy.access else { return };
        // No home sends the requester to itself; the grant would say that bytes come which nobody sent.
        let is_old = epoch <= copy.epoch && !self.planted.has(Bug::DuplicateRecallObeyed);
        if is_old || requester == self.me {
            return;
        }
        if copy.held.is_some() {
            self.deferred += usize::from(copy.deferred.replace(message).is_none());
            return;
        }
        copy.epoch = epoch;
        let start = out.len();
        match access {
            Access::Read => {
                copy.access = Some(Access::Read);
                if allowed == Access::Write {
                    out.push(Effect::Protect { page });
                }
            }
            Access::Write => {
                copy.access = None;
                out.push(Effect::Discard { page });
            }
        }
        let grant = PageMessage::Grant { page, epoch, request, access, contents: Contents::Bytes, awaiting };
        self.send(requester, grant, out);
        if self.planted.has(Bug::BytesBeforeProtection) {
            out[start..].reverse();
        }
    }

    pub(super) fn copy_invalidate(&mut self, message: PageMessage, out: &mut Vec<Effect>) {
        let PageMessage::Invalidate { page, epoch, requester } = message else { return };
        let Some(copy) = self.copies.get_mut(&page) else { return };
        if epoch > copy.epoch || self.planted.has(Bug::DuplicateInvalidationObeyed) {
            if copy.held.is_some() {
                self.deferred += usize::from(copy.deferred.replace(message).is_none());
                return;
            }
            copy.epoch = epoch;
            if copy.access.take().is_some() {
                out.push(Effect::Discard { page });
            }
        }
        self.send(requester, PageMessage::Invalidated { page, epoch }, out);
    }
}
