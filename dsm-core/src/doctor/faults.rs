//! Whether page faults can be served: may we, and do we.

use super::text::is_filtered;
use super::{Finding, Options};
use crate::mem::{
    Access, BASE_DEFAULT, FaultKind, FaultReader, OpenError, Opened, OpenedBy, PAGE_BYTES, Region, RegionError, open,
};
use nix::poll::{PollFd, PollFlags, poll};
use protocol::Page;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// A fault takes microseconds; this only bounds a kernel that never sends it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether a userfaultfd may be opened, and how.
pub(super) fn permission() -> Finding {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let contained = ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists());
    judge_permission(open().map(|Opened { by, .. }| by), is_filtered(&status) || contained)
}

fn judge_permission(opened: Result<OpenedBy, OpenError>, contained: bool) -> Finding {
    const TOPIC: &str = "userfaultfd";
    match opened {
        Ok(by @ (OpenedBy::Device | OpenedBy::SystemCall)) => {
            Finding::fine(TOPIC, format!("opened by {by}; serves all faults"))
        }
        Ok(by @ OpenedBy::SystemCallUserMode) => Finding::degraded(
            TOPIC,
            format!("opened by {by}: read(2) and write(2) on region pages that are not here fail with EFAULT"),
            "sudo setfacl -m u:$USER:rw /dev/userfaultfd, or sudo sysctl -w vm.unprivileged_userfaultfd=1",
        ),
        Err(error @ OpenError::Refused { .. }) if contained => Finding::missing(
            TOPIC,
            error.to_string(),
            "start the container with --device /dev/userfaultfd, or with a seccomp profile that allows userfaultfd (docker run \
             --security-opt seccomp=PROFILE.json)",
        ),
        Err(error @ OpenError::Refused { .. }) => {
            Finding::missing(TOPIC, error.to_string(), "sudo setfacl -m u:$USER:rw /dev/userfaultfd")
        }
        Err(error) => Finding::missing(TOPIC, error.to_string(), "run Linux 6.4 or later with CONFIG_USERFAULTFD=y"),
    }
}

/// Whether the region that a job asks for can be made, and whether the faults in one arrive and can be answered. Nothing where
/// no userfaultfd may be opened: that is said already.
pub(super) fn region(options: &Options) -> Vec<Finding> {
    let made = Region::new(options.region_bytes, options.base);
    if matches!(made, Err(RegionError::Open(_))) {
        return Vec::new();
    }
    let place = judge_region(made.as_ref().map(|region| region.bytes()).map_err(Clone::clone), options.base);
    // Without the region asked for, a small one elsewhere still tells whether the kernel does its part.
    let elsewhere = options.base.wrapping_add(BASE_DEFAULT / 2) & !(PAGE_BYTES - 1);
    let faults = match made.or_else(|_| Region::new(4 * PAGE_BYTES as u64, elsewhere)) {
        Ok(region) => judge_exercise(exercise(region)),
        Err(error) => judge_exercise(Err(error.to_string())),
    };
    vec![place, faults]
}

fn judge_region(made: Result<u64, RegionError>, base: usize) -> Finding {
    const TOPIC: &str = "region";
    match made {
        Ok(bytes) => Finding::fine(TOPIC, format!("{} at {base:#x}", super::text::human(bytes))),
        Err(error @ RegionError::Taken { .. }) => Finding::missing(
            TOPIC,
            error.to_string(),
            "ask for a smaller region, or run without preloaded libraries that map there",
        ),
        Err(error @ RegionError::FileLimit { .. }) => Finding::missing(TOPIC, error.to_string(), "ulimit -f unlimited"),
        Err(error) => Finding::missing(TOPIC, error.to_string(), "ask for a smaller region, or ulimit -v unlimited"),
    }
}

fn judge_exercise(exercise: Result<(), String>) -> Finding {
    const TOPIC: &str = "page faults";
    match exercise {
        Ok(()) => Finding::fine(TOPIC, "a missing page, a protected page and a discarded page fault and are served"),
        Err(what) => {
            Finding::missing(TOPIC, what, "run a stock Linux 6.4 or later; emulated kernels do not serve these faults")
        }
    }
}

/// Plays program and runtime on one page. The program is a thread that is left behind, asleep, if its fault is never
/// answered; it then holds the region, so that nothing wakes it with stale bytes.
fn exercise(region: Region) -> Result<(), String> {
    let region = Arc::new(region);
    let (sender, results) = channel();
    let (discarded, wait_for_discard) = channel();
    let program = Arc::clone(&region);
    thread::Builder::new()
        .name("doctor".to_string())
        .spawn(move || touch(&program, &sender, &wait_for_discard))
        .map_err(|error| format!("no thread can be started: {error}"))?;
    let page = Page(0);
    let said = |error: crate::mem::PageError| error.to_string();
    let next =
        || results.recv_timeout(PATIENCE).map_err(|error: RecvTimeoutError| format!("a thread was not woken: {error}"));

    expect_fault(&region, FaultKind::Missing)?;
    region.install(page, &[1; PAGE_BYTES], Access::Read).map_err(said)?;
    expect_value(next()?, 1)?;
    expect_fault(&region, FaultKind::WriteProtect)?;
    region.upgrade(page).map_err(said)?;
    expect_value(next()?, 2)?;
    region.downgrade(page).map_err(said)?;
    expect_value(region.with_frame(page, |frame| frame[0]).map_err(said)?, 2)?;
    region.discard(page).map_err(said)?;
    let _ = discarded.send(());
    expect_fault(&region, FaultKind::Minor)?;
    region.map(page, Access::Read).map_err(said)?;
    expect_value(next()?, 2)
}

/// What the program does: a load of a page that is not here, a store to it when it is protected, a load after it was discarded.
fn touch(region: &Region, results: &Sender<u8>, discarded: &Receiver<()>) {
    let _ = results.send(region.load(0));
    region.store(0, 2u8);
    let _ = results.send(2);
    if discarded.recv().is_ok() {
        let _ = results.send(region.load(0));
    }
}

fn expect_value(found: u8, expected: u8) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("a page shows {found} where {expected} was stored")) }
}

fn expect_fault(region: &Region, expected: FaultKind) -> Result<(), String> {
    let mut faults = Vec::new();
    let mut ready = [PollFd::new(region.as_fd(), PollFlags::POLLIN)];
    let timeout_ms = PATIENCE.as_millis() as u16;
    if poll(&mut ready, timeout_ms).map_err(|errno| format!("waiting for a fault failed: {errno}"))? == 0 {
        return Err(format!("no fault of the kind {expected:?} arrived"));
    }
    FaultReader::new(1).read(region, &mut faults).map_err(|error| error.to_string())?;
    match faults.first() {
        Some(fault) if fault.kind == expected => Ok(()),
        other => Err(format!("a fault of the kind {expected:?} was due, and {other:?} arrived")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn user_mode_is_degraded_and_names_both_ways_out() {
        let finding = judge_permission(Ok(OpenedBy::SystemCallUserMode), false);
        assert_eq!(finding.state, State::Degraded);
        let remedy = finding.remedy.unwrap();
        assert!(remedy.contains("/dev/userfaultfd") && remedy.contains("vm.unprivileged_userfaultfd=1"), "{remedy}");
    }

    #[test]
    fn a_refusal_inside_a_container_names_the_container() {
        let refused = OpenError::Refused { device: Errno::ENOENT, user_mode: Errno::EPERM };
        let inside = judge_permission(Err(refused.clone()), true);
        let outside = judge_permission(Err(refused), false);
        assert_eq!((inside.state, outside.state), (State::Missing, State::Missing));
        assert!(inside.remedy.unwrap().contains("--device /dev/userfaultfd"));
        assert!(!outside.remedy.unwrap().contains("container"));
        assert_eq!(judge_permission(Err(OpenError::NoSystemCall), false).state, State::Missing);
    }

    #[test]
    fn a_region_that_does_not_fit_is_missing_and_faults_are_tried_all_the_same() {
        let findings =
            region(&Options { region_bytes: 1 << 60, base: BASE_DEFAULT + (12 << 40), ..Options::default() });
        match findings.as_slice() {
            [] => eprintln!("skipped: no userfaultfd may be opened here"),
            [place, faults] => assert_eq!((place.state, faults.state), (State::Missing, State::Fine)),
            more => panic!("{more:?}"),
        }
    }
}
