//! Memory that the machine really has, before anything is timed.
//!
//! To a virtual machine its host gives memory when it is first touched, page by page. That takes ten microseconds and more for each, as
//! long as to fetch the page from another node, and would pass for what the access costs. So memory is touched and given back until
//! it comes quickly: what the nodes get then is most likely of that.

use std::hint::black_box;
use std::time::{Duration, Instant};

use nix::sys::sysinfo::sysinfo;

/// How much is touched at a time.
const STEP_BYTES: usize = 256 << 20;
/// Memory that comes so quickly, a page, needed no host.
const QUICK: Duration = Duration::from_micros(2);
/// No more than this share of the free memory is touched, and not for longer.
const SHARE: u64 = 2;
const PATIENCE: Duration = Duration::from_secs(20);

/// Touches memory until it comes quickly.
pub fn memory() {
    let most = sysinfo().map_or(0, |info| info.ram_unused()) / SHARE;
    let (start, mut held) = (Instant::now(), Vec::new());
    while (held.len() + 1) as u64 * STEP_BYTES as u64 <= most && start.elapsed() < PATIENCE {
        let began = Instant::now();
        held.push(black_box(vec![1u8; STEP_BYTES]));
        if began.elapsed() < QUICK * (STEP_BYTES / dsm_core::PAGE_BYTES) as u32 {
            break;
        }
    }
}
