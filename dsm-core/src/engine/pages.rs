//! Faults in, page protocol, memory and messages out.

use protocol::message::{Access, PageMessage};
use protocol::sequential::{Effect, Unallocated};
use protocol::{Epoch, Message, NodeId, Page};
use rpc::time::{self, Time};
use rpc::transport::Channel;
use smallvec::SmallVec;

use super::arrivals::{Arrival, Arrivals};
use super::holds::NOBODY_WAITS;
use super::{Engine, Fatal, WaitingFault};
use crate::mem::{self, Fault, FaultKind, PAGE_BYTES, PageRange};

/// Pages that may be under way when one more is fetched before anybody needs it. They are queued at their homes, which end when a queue
/// is full.
pub(super) const PREFETCH_MAX: usize = 1024;

/// Pages leave when they fill a datagram of the largest size.
const FLUSH_BYTES: usize = 15 * PAGE_BYTES;

/// Where the bytes of a page message stand, and who sent them.
#[derive(Clone, Copy)]
struct Received<'a> {
    from: NodeId,
    bytes: &'a [u8],
}

/// What came of looking for faults.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    /// There were some.
    pub(super) any: bool,
    /// Some on a page that had been asked for before.
    pub(super) awaited: bool,
    /// Some whose pages were here: who had faulted goes on.
    pub(super) resolved: bool,
}

impl Engine {
    /// Takes the faults that the kernel has for us at `now`.
    pub(super) fn read_faults(&mut self, now: Time) -> Result<Faults, Fatal> {
        let mut batch = std::mem::take(&mut self.fault_batch);
        batch.clear();
        self.faults.read(self.region, &mut batch)?;
        let mut faults = Faults::default();
        for fault in &batch {
            let access = if fault.write { Access::Write } else { Access::Read };
            let allowed = self.pages.access(fault.page);
            *match access {
                Access::Read => &mut self.stats.read_faults,
                Access::Write if self.pages.is_exclusive(fault.page) => &mut self.stats.exclusive_faults,
                Access::Write if allowed.is_some() => &mut self.stats.upgrade_faults,
                Access::Write => &mut self.stats.write_faults,
            } += 1;
            let needless = allowed.is_some_and(|allowed| allowed >= access) && self.was_given_up_ahead(fault);
            let offset = word_of(fault.address);
            let region = self.region;
            let hold = self.holds.deserved(fault, || region.word(fault.page, offset).ok(), now);
            self.waiting_faults.push(WaitingFault { page: fault.page, offset, thread: fault.thread, since: now, hold });
            let is_awaited = self.pages.is_pending(fault.page);
            faults.awaited |= is_awaited;
            self.need(fault.page, access).map_err(|_| Fatal::Unallocated { address: fault.address })??;
            // What is installed waits no more.
            faults.resolved |= self.waiting_faults.last().is_none_or(|last| last.page != fault.page);
            if !needless {
                self.look_ahead(fault, access)?;
            }
            if !is_awaited && !self.region.has_frame(fault.page)? {
                self.without_frame.push(fault.page);
            }
        }
        faults.any = !batch.is_empty();
        self.fault_batch = batch;
        Ok(faults)
    }

    /// Fetches what the thread that faulted will want next, where that can be guessed.
    fn look_ahead(&mut self, fault: &Fault, access: Access) -> Result<(), Fatal> {
        let (Some(streams), Some(thread), Access::Read) = (&mut self.streams, fault.thread, access) else {
            return Ok(());
        };
        let Some(ahead) = streams.faulted(thread, fault.page) else { return Ok(()) };
        let allocation = self.pages.homes().allocation(fault.page);
        ahead.pages().take_while(|page| allocation.contains(&page.0)).try_for_each(|page| self.fetch(page))
    }

    /// Asks for pages that a thread says it will read. Only a hint: no more than [`PREFETCH_MAX`] are under way at a time.
    pub(crate) fn prefetch(&mut self, range: PageRange) -> Result<(), Fatal> {
        let range = PageRange { count: range.count.min(PREFETCH_MAX as u64), ..range };
        range.iter().try_for_each(|page| self.fetch(page))
    }

    fn fetch(&mut self, page: Page) -> Result<(), Fatal> {
        if self.pages.under_way() >= PREFETCH_MAX {
            return Ok(());
        }
        let mut effects = std::mem::take(&mut self.page_effects);
        if self.pages.prefetch(page, &mut effects) {
            self.stats.pages_prefetched += 1;
        }
        self.carry_out(effects)
    }

    /// While requests are on their way: makes frames for the pages that will come.
    pub(super) fn prepare(&mut self) -> Result<(), Fatal> {
        let mut pages = std::mem::take(&mut self.without_frame);
        let result = runs(&pages).try_for_each(|run| self.region.prepare(run));
        pages.clear();
        self.without_frame = pages;
        Ok(result?)
    }

    /// A thread of the program, or an atomic operation, needs `access` to `page`.
    pub(super) fn need(&mut self, page: Page, access: Access) -> Result<Result<(), Fatal>, Unallocated> {
        let mut effects = std::mem::take(&mut self.page_effects);
        self.pages.fault(page, access, &mut effects)?;
        Ok(self.carry_out(effects))
    }

    pub(super) fn page_message<'a>(
        &mut self,
        from: NodeId,
        message: PageMessage,
        bytes: &'a [u8],
        arrivals: &mut Arrivals<'a>,
    ) -> Result<(), Fatal> {
        let mut effects = std::mem::take(&mut self.page_effects);
        self.pages.receive(from, message, &mut effects);
        self.carry_out_of(effects, Some(Received { from, bytes }), arrivals)
    }

    pub(super) fn expire_holds(&mut self, now: Time) -> Result<(), Fatal> {
        while let Some((page, epoch)) = self.holds.pop_expired(now) {
            self.end_hold(page, epoch)?;
        }
        Ok(())
    }

    /// Carries out effects that no message led to.
    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), Fatal> {
        self.carry_out_of(effects, None, &mut Arrivals::default())
    }

    fn carry_out_of<'a>(
        &mut self,
        mut effects: Vec<Effect>,
        received: Option<Received<'a>>,
        arrivals: &mut Arrivals<'a>,
    ) -> Result<(), Fatal> {
        let mut rest = effects.as_slice();
        while let [effect, after @ ..] = rest {
            rest = match (effect, after) {
                (
                    &Effect::Fill { page },
                    &[Effect::Map { access: Access::Read, .. }, Effect::Hold { epoch, .. }, ref after @ ..],
                ) => {
                    let bytes = self.page_bytes(page, received)?;
                    self.arrive(Arrival { page, epoch, bytes }, arrivals)?;
                    after
                }
                (&Effect::Send { to, message }, after) if !message.carries_bytes() => {
                    self.send(to, &Message::Page(message))?;
                    after
                }
                (&effect, after) => {
                    self.map_arrivals(arrivals)?;
                    self.effect(effect, received)?;
                    after
                }
            };
        }
        effects.clear();
        self.page_effects = effects;
        Ok(())
    }

    fn effect(&mut self, effect: Effect, received: Option<Received<'_>>) -> Result<(), Fatal> {
        match effect {
            Effect::Send { to, message } => return self.send_page(to, message),
            Effect::Fill { page } => {
                let bytes = self.page_bytes(page, received)?;
                self.stats.pages_received += 1;
                self.region.fill(page, bytes)?;
            }
            Effect::Zero { page } => {
                self.stats.pages_zeroed += 1;
                self.region.prepare(page)?;
                self.region.make_present(page)?;
            }
            Effect::Map { page, access } => {
                self.region.map(PageRange::from(page), allowed(access))?;
                return self.installed(page, None);
            }
            Effect::Upgrade { page } => {
                match self.region.mapped(page)? {
                    Some(_) => self.region.upgrade(page)?,
                    // The copy is here, but was never mapped, or its mapping was given up ahead, or dropped by the kernel.
                    None => self.region.map(page, mem::Access::Write)?,
                }
                return self.installed(page, None);
            }
            Effect::Protect { page } => return self.protect(page),
            Effect::Discard { page } => return self.discard(page),
            Effect::Hold { page, epoch } => return self.hold(page, epoch),
        }
        Ok(())
    }

    /// Forbids stores to a page that goes to a reader.
    fn protect(&mut self, page: Page) -> Result<(), Fatal> {
        if self.region.mapped(page)? != Some(mem::Access::Write) {
            self.readers.spared(page);
            return Ok(());
        }
        // One of those that were to be protected after this turn: it was asked for together with the others, and so are more of them.
        if let Some(pages) = self.to_protect.take_if(|pages| pages.contains(page)) {
            return self.protect_each(pages, Some(page));
        }
        self.region.downgrade(page)?;
        self.to_protect = self.readers.alone(page).or(self.to_protect);
        Ok(())
    }

    /// Takes a page from the program: another node writes it, or is about to.
    fn discard(&mut self, page: Page) -> Result<(), Fatal> {
        self.stats.invalidations += 1;
        if self.region.mapped(page)?.is_none() {
            self.writers.spared(page);
            return Ok(());
        }
        if let Some(pages) = self.to_unmap.take_if(|pages| pages.contains(page)) {
            return self.unmap_each(pages, Some(page));
        }
        self.region.discard(page)?;
        if let Some(block) = self.writers.alone(page) {
            // What stands beside it in another allocation has to do with other things, or is not there.
            let allocation = self.pages.homes().allocation(page);
            let (first, end) = (block.first.0.max(allocation.start), (block.first.0 + block.count).min(allocation.end));
            self.to_unmap = Some(PageRange::new(Page(first), end.saturating_sub(first)));
        }
        Ok(())
    }

    /// Whether the program, which could use the page that it has come to, was kept from it by [`Self::give_up_ahead`].
    fn was_given_up_ahead(&mut self, fault: &Fault) -> bool {
        match fault.kind {
            FaultKind::WriteProtect => self.readers.regretted(fault.page),
            _ => self.writers.regretted(fault.page),
        }
    }

    /// Protects pages that others will most likely read soon, and takes from the program those that they will most likely write.
    pub(super) fn give_up_ahead(&mut self) -> Result<(), Fatal> {
        if let Some(pages) = self.to_protect.take() {
            self.protect_each(pages, None)?;
        }
        self.to_unmap.take().map_or(Ok(()), |pages| self.unmap_each(pages, None))
    }

    /// Forbids stores to pages of `range` that nothing is happening to, and to one that goes to a reader now.
    fn protect_each(&self, range: PageRange, now: Option<Page>) -> Result<(), Fatal> {
        let may_write = |page| self.pages.access(page) == Some(Access::Write) && !self.pages.is_under_way(page);
        let pages: SmallVec<[Page; 32]> = range.iter().filter(|page| may_write(*page) || now == Some(*page)).collect();
        Ok(runs(&pages).try_for_each(|run| self.region.downgrade(run))?)
    }

    /// Takes pages of `range` that nothing is happening to from the program, and one that goes to a writer now.
    fn unmap_each(&self, range: PageRange, now: Option<Page>) -> Result<(), Fatal> {
        let is_at_rest = |page| !self.pages.is_under_way(page) || now == Some(page);
        let pages: SmallVec<[Page; 32]> = range.iter().filter(|page| is_at_rest(*page)).collect();
        Ok(runs(&pages).try_for_each(|run| self.region.discard(run))?)
    }

    /// Holds a page that was just mapped for as long as whoever waited for it deserves.
    pub(super) fn hold(&mut self, page: Page, epoch: Epoch) -> Result<(), Fatal> {
        match self.held_until.take() {
            Some(end) => {
                self.holds.start(end, page, epoch);
                Ok(())
            }
            // A thread that waited for the page before may not have got to it.
            None if self.holds.runs(page, epoch) => Ok(()),
            None => self.end_hold(page, epoch),
        }
    }

    fn end_hold(&mut self, page: Page, epoch: Epoch) -> Result<(), Fatal> {
        let mut effects = std::mem::take(&mut self.page_effects);
        self.pages.hold_expired(page, epoch, &mut effects);
        self.carry_out(effects)
    }

    /// The bytes of `page`, which came with the message that is handled now.
    fn page_bytes<'a>(&self, page: Page, received: Option<Received<'a>>) -> Result<&'a [u8], Fatal> {
        let Some(Received { from, bytes }) = received else { return Err(Fatal::NoBytes { node: self.me, page }) };
        if bytes.len() == PAGE_BYTES { Ok(bytes) } else { Err(Fatal::NoBytes { node: from, page }) }
    }

    fn send_page(&mut self, to: NodeId, message: PageMessage) -> Result<(), Fatal> {
        let Some(peer) = self.peers.peer(to) else { return Ok(()) };
        self.stats.pages_sent += 1;
        self.urgent = true;
        self.encoded.clear();
        Message::Page(message).encode(&mut self.encoded);
        let (driver, header) = (&mut self.driver, &self.encoded);
        let sent =
            self.region.with_frame(message.page(), |frame| driver.send(peer, Channel::MEMORY, &[header, frame]))?;
        self.pages_unsent += PAGE_BYTES;
        if self.pages_unsent >= FLUSH_BYTES {
            // The receiver can go on with what fills a datagram while the rest is made.
            self.flush();
        }
        self.check_sent(to, sent)
    }

    /// The page is mapped: whoever waited for it goes on. `bytes` are what stands in it, where they are at hand.
    pub(super) fn installed(&mut self, page: Page, bytes: Option<&[u8]>) -> Result<(), Fatal> {
        // What is earned for one page must not stay for the next: a page that was here already is mapped and not held.
        self.held_until = None;
        if !self.waiting_faults.is_empty() {
            let now = time::now();
            let (waited, held_until) = (&mut self.stats.fault_wait, &mut self.held_until);
            let (holds, region, resumed) = (&mut self.holds, self.region, &mut self.resumed);
            self.waiting_faults.retain(|fault| {
                let here = fault.page == page;
                if here {
                    *resumed = true;
                    *waited += now - fault.since;
                    let end = (fault.hold > NOBODY_WAITS).then(|| now + fault.hold);
                    *held_until = end.max(*held_until);
                    let word = bytes.and_then(|bytes| bytes.get(fault.offset..)?.first_chunk());
                    let word = word.map(|word| u64::from_ne_bytes(*word));
                    holds.installed(fault.thread, word.or_else(|| region.word(page, fault.offset).ok()));
                }
                !here
            });
        }
        self.perform_atomics(page)
    }
}

/// Runs of consecutive pages.
fn runs(pages: &[Page]) -> impl Iterator<Item = PageRange> {
    let parts = pages.chunk_by(|page, next| page.0 + 1 == next.0);
    parts.filter_map(|part| Some(PageRange::new(*part.first()?, part.len() as u64)))
}

fn allowed(access: Access) -> mem::Access {
    match access {
        Access::Read => mem::Access::Read,
        Access::Write => mem::Access::Write,
    }
}

/// Where in its page the aligned word around `address` begins.
fn word_of(address: usize) -> usize {
    address % PAGE_BYTES / 8 * 8
}
