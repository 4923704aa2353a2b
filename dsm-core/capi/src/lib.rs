//! The C interface: `include/dsm.h`, which has the documentation, and `libdsm`.
//!
//! Every function runs under one read lock on the node, so that [`dsm_finalize`] cannot take it away from under a call; and no
//! panic crosses into C.

mod call;
mod options;

use std::ffi::{c_char, c_double, c_int, c_void};
use std::ptr;

use call::{NODE, Refusal, report, with_node};
use dsm_core::Dsm;
pub use options::DsmAllocOpts;

/// Joins the job. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_init(_argc: *mut c_int, _argv: *mut *mut *mut c_char) -> c_int {
    report(|| {
        let mut node = NODE.try_write().map_err(|_| Refusal::Busy)?;
        if node.is_some() {
            return Err(Refusal::JoinedBefore);
        }
        *node = Some(Dsm::join()?);
        Ok(())
    })
    .map_or(-1, |()| 0)
}

/// Leaves the job. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_finalize() -> c_int {
    report(|| {
        let dsm = NODE.try_write().map_err(|_| Refusal::Busy)?.take().ok_or(Refusal::NotJoined)?;
        Ok(dsm.finalize()?)
    })
    .map_or(-1, |()| 0)
}

/// This node's number. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_rank() -> c_int {
    with_node(|dsm| Ok(dsm.rank() as c_int)).unwrap_or(-1)
}

/// How many nodes there are. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_size() -> c_int {
    with_node(|dsm| Ok(dsm.size() as c_int)).unwrap_or(-1)
}

/// Allocates shared memory. See `dsm.h`.
///
/// # Safety
///
/// `opts` is NULL or points to a `dsm_alloc_opts`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dsm_alloc(bytes: usize, opts: *const DsmAllocOpts) -> *mut c_void {
    // SAFETY: the caller vouches for the pointer.
    let opts = unsafe { opts.as_ref() }.copied().unwrap_or_default();
    with_node(|dsm| Ok(dsm.alloc_bytes(bytes as u64, opts.placement()?)?))
        .map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
}

/// Fetches shared memory before it is read. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_prefetch(start: *const c_void, bytes: usize) {
    with_node(|dsm| {
        dsm.prefetch_at(start.expose_provenance(), bytes as u64);
        Ok(())
    });
}

/// Takes a lock. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_lock(id: u64) -> c_int {
    with_node(|dsm| {
        dsm.acquire(id);
        Ok(())
    })
    .map_or(-1, |()| 0)
}

/// Releases a lock. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_unlock(id: u64) -> c_int {
    with_node(|dsm| Ok(dsm.release(id)?)).map_or(-1, |()| 0)
}

/// Waits for all nodes. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_barrier() -> c_int {
    with_node(|dsm| Ok(dsm.try_barrier()?)).map_or(-1, |()| 0)
}

/// Adds to a word, atomically across nodes. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_fetch_add(word: *mut u64, value: u64) -> u64 {
    with_node(|dsm| Ok(dsm.fetch_add_at(word.expose_provenance(), value)?)).unwrap_or(0)
}

/// Compares and swaps a word, atomically across nodes. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_compare_swap(word: *mut u64, expect: u64, desired: u64) -> u64 {
    with_node(|dsm| Ok(dsm.compare_swap_at(word.expose_provenance(), expect, desired)?)).unwrap_or(0)
}

/// Seconds since this node joined. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_clock() -> c_double {
    with_node(|dsm| Ok(dsm.clock())).unwrap_or(0.0)
}

/// What the last call of this thread did not do. See `dsm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn dsm_last_error() -> *const c_char {
    call::last_error()
}
