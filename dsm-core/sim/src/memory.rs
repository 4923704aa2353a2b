//! A node's page frames and how its program sees them. Small pages, but each rule of the real ones.

use protocol::message::Access;
use protocol::{NodeId, Page};
use rpc::time::Time;

use crate::violation::Violation;

/// A page at one node.
#[derive(Clone, Debug, Default)]
struct View {
    /// Empty where there is no frame.
    frame: Vec<u64>,
    mapped: Option<Access>,
    /// The kernel has dropped the mapping, as it may: the next touch faults.
    dropped: bool,
    /// Nobody may take the page before.
    held_until: Time,
}

/// All pages of one node.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    node: NodeId,
    words_per_page: usize,
    views: Vec<View>,
}

type Checked = Result<(), Violation>;

impl Memory {
    pub fn new(node: NodeId, pages: u64, words_per_page: usize) -> Memory {
        Memory { node, words_per_page, views: vec![View::default(); pages as usize] }
    }

    /// What the program may do.
    pub fn mapped(&self, page: Page) -> Option<Access> {
        self.view(page).mapped
    }

    /// What the program may do without a fault.
    pub fn reach(&self, page: Page) -> Option<Access> {
        let view = self.view(page);
        view.mapped.filter(|_| !view.dropped)
    }

    /// The kernel drops the mapping of a page, where there is one.
    pub fn drop_mapping(&mut self, page: Page) {
        self.views[page.0 as usize].dropped = true;
    }

    /// The contents, where there are any.
    pub fn frame(&self, page: Page) -> &[u64] {
        &self.view(page).frame
    }

    /// The program loads or stores: its page is mapped so that it may.
    pub fn word(&mut self, page: Page, place: usize) -> &mut u64 {
        &mut self.views[page.0 as usize].frame[place]
    }

    fn view(&self, page: Page) -> &View {
        &self.views[page.0 as usize]
    }

    /// Bytes that came with a message go into the frame.
    pub fn fill(&mut self, page: Page, bytes: &[u8]) -> Checked {
        let node = self.node;
        if bytes.len() != self.words_per_page * 8 {
            return Err(Violation::NoBytes { page, node });
        }
        let view = &mut self.views[page.0 as usize];
        if view.mapped.is_some() {
            return Err(Violation::FilledLive { page, node });
        }
        view.frame.clear();
        view.frame.extend(bytes.as_chunks().0.iter().map(|word| u64::from_be_bytes(*word)));
        Ok(())
    }

    /// The frame exists from now on, all zero.
    pub fn zero(&mut self, page: Page, truth: &[u64]) -> Checked {
        let node = self.node;
        let view = &mut self.views[page.0 as usize];
        if view.mapped.is_some() {
            return Err(Violation::FilledLive { page, node });
        }
        if view.frame.iter().chain(truth).any(|word| *word != 0) {
            return Err(Violation::NotZero { page, node });
        }
        view.frame.resize(self.words_per_page, 0);
        Ok(())
    }

    pub fn map(&mut self, page: Page, access: Access) -> Checked {
        let view = &mut self.views[page.0 as usize];
        if view.frame.is_empty() {
            return Err(Violation::NoFrame { page, node: self.node });
        }
        view.mapped = view.mapped.max(Some(access));
        view.dropped = false;
        Ok(())
    }

    pub fn upgrade(&mut self, page: Page) -> Checked {
        self.expect(page, Access::Read, "upgraded")?;
        self.views[page.0 as usize].mapped = Some(Access::Write);
        Ok(())
    }

    pub fn protect(&mut self, now: Time, page: Page) -> Checked {
        self.expect(page, Access::Write, "protected")?;
        self.check_hold(now, page)?;
        self.views[page.0 as usize].mapped = Some(Access::Read);
        Ok(())
    }

    pub fn discard(&mut self, now: Time, page: Page) -> Checked {
        if self.view(page).mapped.is_none() {
            return Err(Violation::Misplaced { page, node: self.node, what: "discarded" });
        }
        self.check_hold(now, page)?;
        self.views[page.0 as usize].mapped = None;
        Ok(())
    }

    /// The page may not be taken away before `until`.
    pub fn hold(&mut self, page: Page, until: Time) {
        self.views[page.0 as usize].held_until = until;
    }

    /// A copy of the page leaves: appends its bytes.
    pub fn copy(&self, page: Page, bytes: &mut Vec<u8>) -> Checked {
        let (view, node) = (self.view(page), self.node);
        if view.mapped == Some(Access::Write) {
            return Err(Violation::CopiedLive { page, node });
        }
        if view.frame.is_empty() {
            return Err(Violation::NoFrame { page, node });
        }
        view.frame.iter().for_each(|word| bytes.extend_from_slice(&word.to_be_bytes()));
        Ok(())
    }

    fn expect(&self, page: Page, access: Access, what: &'static str) -> Checked {
        let is_so = self.view(page).mapped == Some(access);
        if is_so { Ok(()) } else { Err(Violation::Misplaced { page, node: self.node, what }) }
    }

    fn check_hold(&self, now: Time, page: Page) -> Checked {
        let is_held = now < self.view(page).held_until;
        if is_held { Err(Violation::HoldIgnored { page, node: self.node }) } else { Ok(()) }
    }
}
