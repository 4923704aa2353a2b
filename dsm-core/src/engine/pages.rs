//! Faults in, page protocol, memory and messages out.

use protocol::message::{Access, PageMessage};
use protocol::sequential::{Effect, Unallocated};
use protocol::{Message, NodeId, Page};
use rpc::transport::Channel;

use super::holds::NOBODY_WAITS;
use super::{Engine, Fatal, WaitingFault};
use crate::mem::{self, FaultKind, PAGE_BYTES, PageRange};

/// Where the bytes of a page message stand, and who sent them.
#[derive(Clone, Copy)]
struct Received<'a> {
    from: NodeId,
    bytes: &'a [u8],
}

impl Engine {
    /// Takes the faults that the kernel has for us.
    pub(super) fn read_faults(&mut self) -> Result<bool, Fatal> {
        let mut batch = std::mem::take(&mut self.fault_batch);
        batch.clear();
        self.faults.read(self.region, &mut batch)?;
        for fault in &batch {
            let access = if fault.write { Access::Write } else { Access::Read };
            *match (fault.kind, access) {
                (FaultKind::WriteProtect, _) => &mut self.stats.upgrade_faults,
                (_, Access::Write) => &mut self.stats.write_faults,
                (_, Access::Read) => &mut self.stats.read_faults,
            } += 1;
            let now = self.driver.now();
            let offset = word_of(fault.address);
            let region = self.region;
            let hold = self.holds.deserved(fault, || region.word(fault.page, offset).ok(), now);
            self.waiting_faults.push(WaitingFault { page: fault.page, offset, thread: fault.thread, since: now, hold });
            self.need(fault.page, access).map_err(|_| Fatal::Unallocated { address: fault.address })??;
        }
        let any = !batch.is_empty();
        self.fault_batch = batch;
        Ok(any)
    }

    /// While requests are on their way: makes ready the frames of pages that were just faulted on and have none.
    pub(super) fn prepare(&mut self) -> Result<(), Fatal> {
        for fault in std::mem::take(&mut self.fault_batch).drain(..) {
            if !self.region.has_frame(fault.page)? {
                self.region.prepare(fault.page)?;
            }
        }
        Ok(())
    }

    /// A thread of the program, or an atomic operation, needs `access` to `page`.
    pub(super) fn need(&mut self, page: Page, access: Access) -> Result<Result<(), Fatal>, Unallocated> {
        let mut effects = std::mem::take(&mut self.page_effects);
        self.pages.fault(page, access, &mut effects)?;
        Ok(self.carry_out(effects, None))
    }

    pub(super) fn page_message(&mut self, from: NodeId, message: PageMessage, bytes: &[u8]) -> Result<(), Fatal> {
        let mut effects = std::mem::take(&mut self.page_effects);
        self.pages.receive(from, message, &mut effects);
        self.carry_out(effects, Some(Received { from, bytes }))
    }

    pub(super) fn expire_holds(&mut self) -> Result<(), Fatal> {
        if self.holds.next().is_none() {
            return Ok(());
        }
        let now = self.driver.now();
        while let Some((page, epoch)) = self.holds.pop_expired(now) {
            let mut effects = std::mem::take(&mut self.page_effects);
            self.pages.hold_expired(page, epoch, &mut effects);
            self.carry_out(effects, None)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, mut effects: Vec<Effect>, received: Option<Received<'_>>) -> Result<(), Fatal> {
        let mut rest = effects.as_slice();
        while let [effect, after @ ..] = rest {
            rest = match (effect, after) {
                (Effect::Fill { page }, [Effect::Map { page: same, access }, after @ ..]) if page == same => {
                    self.install(*page, *access, received)?;
                    after
                }
                _ => {
                    self.effect(*effect, received)?;
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
            Effect::Send { to, message } if message.carries_bytes() => return self.send_page(to, message),
            Effect::Send { to, message } => return self.send(to, &Message::Page(message)),
            Effect::Fill { page } => {
                let bytes = self.page_bytes(page, received)?;
                self.region.fill(page, bytes)?;
            }
            Effect::Zero { page } => {
                self.stats.pages_zeroed += 1;
                self.region.make_present(page)?;
            }
            Effect::Map { page, access } => {
                self.region.map(PageRange::from(page), allowed(access))?;
                return self.installed(page, None);
            }
            Effect::Upgrade { page } => {
                self.region.upgrade(page)?;
                return self.installed(page, None);
            }
            Effect::Protect { page } => self.region.downgrade(page)?,
            Effect::Discard { page } => {
                self.stats.invalidations += 1;
                self.region.discard(PageRange::from(page))?;
            }
            Effect::Hold { page, epoch } => {
                let hold = std::mem::replace(&mut self.hold_earned, NOBODY_WAITS);
                self.holds.start(self.driver.now() + hold, page, epoch);
            }
        }
        Ok(())
    }

    /// Fills and maps a page in one step of the kernel's, where it has no frame yet.
    fn install(&mut self, page: Page, access: Access, received: Option<Received<'_>>) -> Result<(), Fatal> {
        let bytes = self.page_bytes(page, received)?;
        self.region.install(page, bytes, allowed(access))?;
        self.installed(page, Some(bytes))
    }

    /// The bytes of `page`, which came with the message that is handled now.
    fn page_bytes<'b>(&mut self, page: Page, received: Option<Received<'b>>) -> Result<&'b [u8], Fatal> {
        let Some(Received { from, bytes }) = received else { return Err(Fatal::NoBytes { node: self.me, page }) };
        if bytes.len() != PAGE_BYTES {
            return Err(Fatal::NoBytes { node: from, page });
        }
        self.stats.pages_received += 1;
        Ok(bytes)
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
        self.check_sent(to, sent)
    }

    /// The page is mapped: whoever waited for it goes on. `bytes` are what stands in it, where that is at hand.
    fn installed(&mut self, page: Page, bytes: Option<&[u8]>) -> Result<(), Fatal> {
        if !self.waiting_faults.is_empty() {
            let now = self.driver.now();
            let (waited, earned) = (&mut self.stats.fault_wait, &mut self.hold_earned);
            let (holds, region) = (&mut self.holds, self.region);
            self.waiting_faults.retain(|fault| {
                let here = fault.page == page;
                if here {
                    *waited += now - fault.since;
                    *earned = fault.hold.max(*earned);
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
