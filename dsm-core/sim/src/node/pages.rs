//! Faults in; page protocol, memory and messages out. The double of the engine's `pages`.

use protocol::message::{Access, PageMessage};
use protocol::sequential::Effect;
use protocol::{Epoch, Message, NodeId, Page};

use super::{Around, FAULT_BATCH, Node, Stop};
use crate::violation::Violation;

/// Pages that are fetched ahead are nearer than this to the one that a thread faulted on.
const AHEAD_MAX: u64 = 4;

/// The engine leaves a page unmapped that nobody waits for where a thread's coming to it is to be noticed.
const UNMAPPED: f64 = 0.3;

impl Node {
    /// A thread touched a page as it may not now: an event for the next turn.
    pub(super) fn raise_fault(&mut self, page: Page, access: Access, cx: &mut Around<'_, '_>) {
        let me = self.me;
        cx.trace.note(&[me.rank() as u64, page.0, access as u64], || {
            format!("{me} faults on page {} to {}", page.0, crate::text::access(access))
        });
        self.faults.push_back((page, access));
        if cx.random.chance(cx.scenario.repeated_fault) {
            self.faults.push_back((page, access));
        }
    }

    pub(super) fn read_faults(&mut self, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        let count = self.faults.len().min(FAULT_BATCH);
        for (page, access) in self.faults.drain(..count).collect::<Vec<_>>() {
            let mut effects = Vec::new();
            let refused = Violation::FaultRefused { page, node: self.me };
            self.machines.pages.fault(page, access, &mut effects).map_err(|_| refused)?;
            self.carry_out(effects, &[], cx)?;
            self.look_ahead(page, cx)?;
        }
        Ok(())
    }

    /// Fetches pages around one that a thread faulted on. The engine guesses which; here any may be right or wrong.
    fn look_ahead(&mut self, page: Page, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        if cx.scenario.ahead == 0.0 || !cx.random.chance(cx.scenario.ahead) {
            return Ok(());
        }
        let first = page.0.saturating_sub(cx.random.below(AHEAD_MAX));
        for page in (first..=page.0 + cx.random.below(AHEAD_MAX)).map(Page) {
            let mut effects = Vec::new();
            if self.machines.pages.prefetch(page, &mut effects) {
                let me = self.me;
                cx.trace.note(&[me.rank() as u64, page.0], || format!("{me} fetches page {} ahead", page.0));
            }
            self.carry_out(effects, &[], cx)?;
        }
        Ok(())
    }

    pub(super) fn page_message(
        &mut self,
        from: NodeId,
        message: PageMessage,
        bytes: &[u8],
        cx: &mut Around<'_, '_>,
    ) -> Result<(), Stop> {
        let mut effects = Vec::new();
        self.machines.pages.receive(from, message, &mut effects);
        self.carry_out(effects, bytes, cx)
    }

    pub(super) fn expire_holds(&mut self, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        while let Some(&(end, page, epoch)) = self.holds.first()
            && end <= cx.now
        {
            self.holds.pop_first();
            self.end_hold(page, epoch, cx)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effects: Vec<Effect>, received: &[u8], cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        effects.into_iter().try_for_each(|effect| self.effect(effect, received, cx))
    }

    fn effect(&mut self, effect: Effect, received: &[u8], cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        let (me, memory, now) = (self.me, &mut self.memory, cx.now);
        if !matches!(effect, Effect::Send { .. } | Effect::Hold { .. }) {
            cx.trace.say(|| format!("{me} {}", crate::text::effect(&effect)));
        }
        match effect {
            Effect::Send { to, message } => {
                let page = message.carries_bytes().then(|| message.page());
                return self.send(to, &Message::Page(message), page, cx);
            }
            Effect::Fill { page } => memory.fill(page, received)?,
            Effect::Zero { page } => memory.zero(page, cx.ghost.truth(page))?,
            Effect::Map { page, access } => {
                memory.map(page, access)?;
                self.installed(page, cx);
            }
            Effect::Upgrade { page } => {
                memory.upgrade(page)?;
                self.installed(page, cx);
            }
            Effect::Protect { page } => memory.protect(now, page)?,
            Effect::Discard { page } => memory.discard(now, page)?,
            Effect::Hold { page, epoch } => return self.hold(page, epoch, cx),
        }
        Ok(())
    }

    /// Holds a page that was just mapped, where somebody waited for it.
    fn hold(&mut self, page: Page, epoch: Epoch, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        let was_awaited = std::mem::take(&mut self.awaited);
        // The engine learns how long threads take to wake.
        let longest_us = if was_awaited { cx.scenario.hold.as_micros() as u64 } else { 0 };
        let end = cx.now + cx.random.micros(0, longest_us);
        let before = self.holds.iter().find(|held| (held.1, held.2) == (page, epoch)).copied();
        let end = before.filter(|held| self.holds.remove(held)).map_or(end, |held| held.0.max(end));
        self.memory.hold(page, end);
        if was_awaited || before.is_some() {
            self.holds.insert((end, page, epoch));
            return Ok(());
        }
        if cx.random.chance(UNMAPPED) {
            self.memory.drop_mapping(page);
        }
        self.end_hold(page, epoch, cx)
    }

    fn end_hold(&mut self, page: Page, epoch: Epoch, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        let mut effects = Vec::new();
        self.machines.pages.hold_expired(page, epoch, &mut effects);
        self.carry_out(effects, &[], cx)
    }

    /// The page is mapped: whoever waited for it tries again.
    fn installed(&mut self, page: Page, cx: &mut Around<'_, '_>) {
        cx.ghost.touch(page);
        let waiting = self.threads.iter_mut().enumerate().filter(|(_, thread)| thread.waits_for(page));
        self.awaited = false;
        for (number, thread) in waiting {
            thread.resume();
            cx.woken.push(number);
            self.awaited = true;
        }
    }
}
