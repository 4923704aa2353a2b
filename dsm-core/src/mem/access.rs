//! How safe code of the program reads and writes the region: relaxed atomic accesses, one for each element.
//!
//! Other threads of this node work on the same elements, so an ordinary access would be a data race, which Rust leaves
//! without a meaning. A relaxed atomic load or store compiles to the same instruction.

use super::region::Region;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

mod sealed {
    /// How a type is loaded and stored.
    pub trait Cell: Copy {
        /// A relaxed load.
        ///
        /// # Safety
        /// The pointer is aligned to the type's size, and valid for as long as the call takes; the bytes behind it are
        /// accessed atomically only.
        unsafe fn load(from: *const Self) -> Self;
        /// A relaxed store.
        ///
        /// # Safety
        /// As for `load`.
        unsafe fn store(to: *mut Self, value: Self);
    }
}

/// A number that a region can hold: every bit pattern is a value, and the processor moves it in one step.
pub trait Element: sealed::Cell + Send + Sync + Default + std::fmt::Debug + 'static {}

macro_rules! word {
    ($($word:ty, $atomic:ty, $bits:ty, $from:expr, $to:expr;)*) => {$(
        impl sealed::Cell for $word {
            #[inline]
            unsafe fn load(from: *const Self) -> Self {
                // SAFETY: the caller vouches for the pointer; the atomic type has the size of the word.
                let bits: $bits = unsafe { (*from.cast::<$atomic>()).load(Ordering::Relaxed) };
                $from(bits)
            }
            #[inline]
            unsafe fn store(to: *mut Self, value: Self) {
                let bits: $bits = $to(value);
                // SAFETY: as in `load`.
                unsafe { (*to.cast::<$atomic>()).store(bits, Ordering::Relaxed) }
            }
        }
        impl Element for $word {}
    )*};
}

word! {
    u8, AtomicU8, u8, |bits| bits, |value| value;
    i8, AtomicU8, u8, |bits| bits as i8, |value| value as u8;
    u16, AtomicU16, u16, |bits| bits, |value| value;
    i16, AtomicU16, u16, |bits| bits as i16, |value| value as u16;
    u32, AtomicU32, u32, |bits| bits, |value| value;
    i32, AtomicU32, u32, |bits| bits as i32, |value| value as u32;
    u64, AtomicU64, u64, |bits| bits, |value| value;
    i64, AtomicU64, u64, |bits| bits as i64, |value| value as u64;
    usize, AtomicU64, u64, |bits| bits as usize, |value| value as u64;
    isize, AtomicU64, u64, |bits| bits as isize, |value| value as u64;
    f32, AtomicU32, u32, f32::from_bits, f32::to_bits;
    f64, AtomicU64, u64, f64::from_bits, f64::to_bits;
}

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a region needs 64-bit addresses");

impl Region {
    /// Loads the element `offset` bytes into the region, as the program. Waits while the page is fetched.
    ///
    /// # Panics
    /// When no aligned element of the region begins there.
    #[inline]
    pub fn load<T: Element>(&self, offset: u64) -> T {
        let from = self.element(offset, 1);
        // SAFETY: `element` checked range and alignment; the mapping lives as long as `self`, and safe code
        // accesses it by atomics only.
        unsafe { T::load(from) }
    }

    /// Stores to the element `offset` bytes into the region, as the program. Waits while the page is fetched.
    ///
    /// # Panics
    /// When no aligned element of the region begins there.
    #[inline]
    pub fn store<T: Element>(&self, offset: u64, value: T) {
        let to = self.element::<T>(offset, 1);
        // SAFETY: as in `load`.
        unsafe { T::store(to, value) }
    }

    /// Loads as many elements as `into` has, from `offset` bytes into the region on; each by itself, as [`Region::load`].
    ///
    /// # Panics
    /// When they are not all in the region, or not aligned.
    pub fn load_slice<T: Element>(&self, offset: u64, into: &mut [T]) {
        let from = self.element::<T>(offset, into.len());
        for (index, element) in into.iter_mut().enumerate() {
            // SAFETY: as in `load`; `element` checked all of them.
            *element = unsafe { T::load(from.wrapping_add(index)) };
        }
    }

    /// Stores the elements of `values` from `offset` bytes into the region on; each by itself, as [`Region::store`].
    ///
    /// # Panics
    /// When they do not all fit in the region, or are not aligned.
    pub fn store_slice<T: Element>(&self, offset: u64, values: &[T]) {
        let to = self.element::<T>(offset, values.len());
        for (index, value) in values.iter().enumerate() {
            // SAFETY: as in `load`; `element` checked all of them.
            unsafe { T::store(to.wrapping_add(index), *value) };
        }
    }

    /// Where `count` elements begin.
    #[inline]
    fn element<T: Element>(&self, offset: u64, count: usize) -> *mut T {
        let fits = (count as u64)
            .checked_mul(size_of::<T>() as u64)
            .and_then(|bytes| offset.checked_add(bytes))
            .is_some_and(|end| end <= self.bytes());
        assert!(fits, "{count} elements at byte {offset} are not all in the region of {} bytes", self.bytes());
        assert!(offset.is_multiple_of(size_of::<T>() as u64), "byte {offset} of the region is no element's first");
        self.program.at(offset as usize).cast()
    }
}
