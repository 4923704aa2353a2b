//! Arrays in shared memory.

use std::marker::PhantomData;

use protocol::Page;
use protocol::message::AtomicOperation;

use super::Dsm;
use crate::engine::Awaited;
use crate::mem::{Element, PAGE_BYTES, PageRange};

/// An array in shared memory: the same elements at the same address on every node.
///
/// A small handle that can be copied. It borrows from the [`Dsm`], so that none is left when the job is over; threads share it in
/// a [`std::thread::scope`]. Each element is loaded and stored by itself, in one step (a relaxed atomic); several are not.
pub struct SharedArray<'d, T> {
    dsm: &'d Dsm,
    /// Of the first element, in bytes from the start of the region.
    offset: u64,
    len: usize,
    element: PhantomData<T>,
}

impl<T> Clone for SharedArray<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SharedArray<'_, T> {}

impl<'d, T: Element> SharedArray<'d, T> {
    pub(super) fn new(dsm: &'d Dsm, offset: u64, len: usize) -> SharedArray<'d, T> {
        SharedArray { dsm, offset, len, element: PhantomData }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address of element `index`, the same on every node.
    ///
    /// # Panics
    ///
    /// When there is no such element.
    pub fn addr(&self, index: usize) -> usize {
        self.dsm.region.base() + self.place(index, 1) as usize
    }

    /// Element `index`.
    ///
    /// # Panics
    ///
    /// When there is no such element.
    #[inline]
    pub fn get(&self, index: usize) -> T {
        self.dsm.region.load(self.place(index, 1))
    }

    /// Sets element `index`.
    ///
    /// # Panics
    ///
    /// When there is no such element.
    #[inline]
    pub fn set(&self, index: usize, value: T) {
        self.dsm.region.store(self.place(index, 1), value);
    }

    /// Copies the elements from `start` on into `into`, all of it.
    ///
    /// # Panics
    ///
    /// When there are not as many.
    pub fn read(&self, start: usize, into: &mut [T]) {
        self.dsm.region.load_slice(self.place(start, into.len()), into);
    }

    /// Copies `values` over the elements from `start` on.
    ///
    /// # Panics
    ///
    /// When there are not as many.
    pub fn write(&self, start: usize, values: &[T]) {
        self.dsm.region.store_slice(self.place(start, values.len()), values);
    }

    /// Says that this node will soon read the `count` elements from `start` on: their pages are fetched without waiting for them. Only
    /// a hint: no more than 1,024 pages are under way at a time; sequential and strided reads are recognised without it. A page that another
    /// node wants meanwhile is given up.
    ///
    /// # Panics
    ///
    /// When there are not as many.
    pub fn prefetch(&self, start: usize, count: usize) {
        self.dsm.prefetch(self.place(start, count), (count * size_of::<T>()) as u64);
    }

    /// Bytes from the start of the region to element `index`, having checked that `count` are there.
    #[inline]
    fn place(&self, index: usize, count: usize) -> u64 {
        let there = index.checked_add(count).is_some_and(|end| end <= self.len);
        assert!(there, "elements {index} and following ({count}) of an array of {}", self.len);
        self.offset + (index * size_of::<T>()) as u64
    }
}

impl SharedArray<'_, u64> {
    /// Adds `value` to element `index`, wrapping, in one step that no node can come between; returns what was there before.
    ///
    /// It is performed at the home of the element's page: a call to another node, unless this node is the home.
    ///
    /// # Panics
    ///
    /// When there is no such element.
    pub fn fetch_add(&self, index: usize, value: u64) -> u64 {
        self.atomic(index, AtomicOperation::FetchAdd { value })
    }

    /// Sets element `index` to `new` where it is `expect`, in one step that no node can come between; returns what was there before,
    /// which is `expect` exactly when it was set. Performed at the home, as [`SharedArray::fetch_add`].
    ///
    /// # Panics
    ///
    /// When there is no such element.
    pub fn compare_swap(&self, index: usize, expect: u64, new: u64) -> u64 {
        self.atomic(index, AtomicOperation::CompareSwap { expect, new })
    }

    fn atomic(&self, index: usize, operation: AtomicOperation) -> u64 {
        self.dsm.atomic(self.place(index, 1), operation)
    }
}

impl Dsm {
    /// Fetches the pages of `bytes` bytes, `offset` bytes into the region, which are in range.
    pub(super) fn prefetch(&self, offset: u64, bytes: u64) {
        if bytes > 0 {
            let (first, last) = (offset / PAGE_BYTES as u64, (offset + bytes - 1) / PAGE_BYTES as u64);
            self.shared.enter(|engine| engine.prefetch(PageRange::new(Page(first), last - first + 1)));
        }
    }

    /// Performs `operation` on the aligned and allocated word at `offset` bytes into the region.
    pub(super) fn atomic(&self, offset: u64, operation: AtomicOperation) -> u64 {
        let performed = self.shared.perform(
            Awaited::Answer,
            |stats| &mut stats.atomic_wait,
            |engine, signal| engine.atomic(offset, operation, signal.clone()).map(|()| true),
        );
        performed.unwrap_or_default()
    }
}
