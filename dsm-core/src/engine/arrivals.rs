//! Pages that have come for reading: they are filled and mapped together, neighbours in one step each. That saves the greater part of
//! two system calls a page.

use protocol::{Epoch, Page};
use smallvec::SmallVec;

use super::{Engine, Fatal};
use crate::mem::{Access, PageRange};

/// Pages that are mapped together, at most: what two of the largest datagrams hold.
const ARRIVALS_MAX: usize = 30;

/// A page that is granted, and whose bytes stand in a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) page: Page,
    pub(super) epoch: Epoch,
    pub(super) bytes: &'a [u8],
}

/// What has come and is not mapped, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Arrivals<'a> {
    pages: SmallVec<[Arrival<'a>; ARRIVALS_MAX]>,
}

impl Engine {
    /// Takes a page; maps what has come, if that is enough now.
    pub(super) fn arrive<'a>(&mut self, arrival: Arrival<'a>, arrivals: &mut Arrivals<'a>) -> Result<(), Fatal> {
        self.stats.pages_received += 1;
        arrivals.pages.push(arrival);
        if arrivals.pages.len() == ARRIVALS_MAX { self.map_arrivals(arrivals) } else { Ok(()) }
    }

    /// Maps what has come. To be called before anything else is done to pages: it may be about one of these.
    pub(super) fn map_arrivals(&mut self, arrivals: &mut Arrivals<'_>) -> Result<(), Fatal> {
        if arrivals.pages.is_empty() {
            return Ok(());
        }
        let pages = std::mem::take(&mut arrivals.pages);
        for run in pages.chunk_by(|arrival, next| arrival.page.0 + 1 == next.page.0) {
            let Some(first) = run.first() else { continue };
            let bytes: SmallVec<[&[u8]; ARRIVALS_MAX]> = run.iter().map(|arrival| arrival.bytes).collect();
            self.region.fill_run(first.page, &bytes)?;
            self.map_run(run)?;
        }
        for Arrival { page, epoch, bytes } in pages {
            self.installed(page, Some(bytes))?;
            self.hold(page, epoch)?;
        }
        Ok(())
    }

    /// Maps consecutive pages. The first page of what was fetched ahead stays unmapped until somebody comes to it: that is how it
    /// is noticed.
    fn map_run(&self, run: &[Arrival<'_>]) -> Result<(), Fatal> {
        let is_left_out = |arrival: &Arrival<'_>| {
            let page = arrival.page;
            let is_marker = self.streams.as_ref().is_some_and(|streams| streams.is_marker(page));
            is_marker && self.waiting_faults.iter().all(|fault| fault.page != page)
        };
        for part in run.split(is_left_out) {
            if let Some(first) = part.first() {
                self.region.map(PageRange::new(first.page, part.len() as u64), Access::Read)?;
            }
        }
        Ok(())
    }
}
