//! The kernel and the processor.

use super::{Finding, text};
use crate::mem::PAGE_BYTES;
use nix::sys::utsname::uname;
use nix::unistd::{SysconfVar, sysconf};
use std::thread::available_parallelism;

/// The first Linux that maps a page write-protected in one step.
const KERNEL_MIN: (u32, u32) = (6, 4);

pub(super) fn kernel() -> Finding {
    let release = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    judge_kernel(&release)
}

fn judge_kernel(release: &str) -> Finding {
    let (major, minor) = KERNEL_MIN;
    match text::release(release) {
        Some(found) if found >= KERNEL_MIN => Finding::fine("kernel", format!("Linux {release}")),
        Some(_) => Finding::missing(
            "kernel",
            format!("Linux {release} cannot map a page write-protected in one step"),
            format!("run Linux {major}.{minor} or later"),
        ),
        None => Finding::degraded(
            "kernel",
            format!("the release {release:?} is none that is understood"),
            format!("make sure that it is Linux {major}.{minor} or later"),
        ),
    }
}

pub(super) fn processor() -> Finding {
    let page_bytes = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(0);
    judge_processor(std::env::consts::ARCH, page_bytes)
}

fn judge_processor(architecture: &str, page_bytes: i64) -> Finding {
    if page_bytes != PAGE_BYTES as i64 {
        let what = format!("{architecture} with pages of {page_bytes} bytes; pages of {PAGE_BYTES} bytes are needed");
        return Finding::missing("processor", what, "boot a kernel built for pages of 4 KiB");
    }
    let what = format!("{architecture}, pages of {page_bytes} bytes");
    match architecture {
        "x86_64" | "aarch64" => Finding::fine("processor", what),
        _ => Finding::degraded("processor", what, "prefer x86-64 or arm64: nothing else was tried"),
    }
}

pub(super) fn cores() -> Finding {
    judge_cores(available_parallelism().map_or(1, usize::from))
}

fn judge_cores(cores: usize) -> Finding {
    match cores {
        0 | 1 => Finding::degraded(
            "cores",
            "one core: waiting threads cannot poll, so each remote access costs a few sleeps and wakes more",
            "give the machine or the container two cores or more (`nproc` shows them)",
        ),
        _ => Finding::fine("cores", format!("{cores} cores")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn kernels_before_6_4_are_refused_and_unknown_ones_are_doubted() {
        for (release, state) in [
            ("6.4.0", State::Fine),
            ("6.18.44-x", State::Fine),
            ("7.0.0", State::Fine),
            ("6.3.13", State::Missing),
            ("5.15.0-generic", State::Missing),
            ("", State::Degraded),
        ] {
            assert_eq!(judge_kernel(release).state, state, "{release}");
        }
    }

    #[test]
    fn pages_of_another_size_are_refused() {
        assert_eq!(judge_processor("aarch64", 65536).state, State::Missing);
        assert_eq!(judge_processor("x86_64", 4096).state, State::Fine);
        assert_eq!(judge_processor("riscv64", 4096).state, State::Degraded);
    }

    #[test]
    fn one_core_is_enough_but_slow() {
        assert_eq!(judge_cores(1).state, State::Degraded);
        assert_eq!(judge_cores(2).state, State::Fine);
    }
}
