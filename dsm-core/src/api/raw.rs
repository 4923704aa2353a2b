//! The same powers by number and address, for interfaces in other languages. Nothing here is unsafe: addresses are only
//! compared and counted with.

use protocol::Page;
use protocol::message::AtomicOperation;

use super::{Dsm, Placement};
use crate::error::Error;
use crate::mem::PAGE_BYTES;

impl Dsm {
    /// [`Dsm::alloc`] for `bytes` bytes; returns the address of the first.
    ///
    /// # Errors
    ///
    /// As [`Dsm::alloc`].
    pub fn alloc_bytes(&self, bytes: u64, placement: Placement) -> Result<usize, Error> {
        Ok(self.region.base() + self.alloc_offset(bytes, placement)? as usize)
    }

    /// [`Dsm::lock`] without a guard.
    pub fn acquire(&self, lock: u64) {
        self.acquire_lock(lock);
    }

    /// Releases a lock that a thread of this node acquired.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`].
    pub fn release(&self, lock: u64) -> Result<(), Error> {
        self.release_lock(lock)
    }

    /// [`SharedArray::fetch_add`](crate::SharedArray::fetch_add) on the word at `address`.
    ///
    /// # Errors
    ///
    /// [`Error::NotAWord`].
    pub fn fetch_add_at(&self, address: usize, value: u64) -> Result<u64, Error> {
        Ok(self.atomic(self.word(address)?, AtomicOperation::FetchAdd { value }))
    }

    /// [`SharedArray::compare_swap`](crate::SharedArray::compare_swap) on the word at `address`.
    ///
    /// # Errors
    ///
    /// [`Error::NotAWord`].
    pub fn compare_swap_at(&self, address: usize, expect: u64, new: u64) -> Result<u64, Error> {
        Ok(self.atomic(self.word(address)?, AtomicOperation::CompareSwap { expect, new }))
    }

    /// [`SharedArray::prefetch`](crate::SharedArray::prefetch) for the `bytes` bytes from `address` on, as far as they are shared.
    pub fn prefetch_at(&self, address: usize, bytes: u64) {
        let base = self.region.base();
        let start = (address.max(base) - base) as u64;
        let end = (address as u64).saturating_add(bytes).saturating_sub(base as u64).min(self.region.bytes());
        self.prefetch(start, end.saturating_sub(start));
    }

    /// The offset into the region of the allocated, aligned word at `address`.
    fn word(&self, address: usize) -> Result<u64, Error> {
        let offset = address.checked_sub(self.region.base()).ok_or(Error::NotAWord(address))? as u64;
        let page = Page(offset / PAGE_BYTES as u64);
        let allocated = self.shared.enter(|engine| Ok(page.0 < engine.pages_allocated()));
        if allocated && offset.is_multiple_of(8) { Ok(offset) } else { Err(Error::NotAWord(address)) }
    }
}
