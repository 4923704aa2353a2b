//! A launcher that has run jobs, good ones and bad ones, is as it was before. Alone in its program, because it counts what the whole
//! process has open.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use common::{run, run_watching, spec};
use nix::sys::signal::{Signal, kill};

/// The names in a folder.
fn names(folder: &str) -> BTreeSet<PathBuf> {
    fs::read_dir(folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default()
}

/// What this process has open, by what it points to, without the numbers of sockets and pipes.
fn descriptors() -> Vec<String> {
    let links = names("/proc/self/fd").into_iter().filter_map(|entry| fs::read_link(entry).ok());
    let mut kinds: Vec<String> =
        links.map(|link| link.to_string_lossy().split(':').next().unwrap_or_default().to_string()).collect();
    kinds.sort_unstable();
    kinds
}

/// Shared memory objects and sockets with a name that somebody of ours could have made.
fn objects() -> BTreeSet<PathBuf> {
    let ours = |path: &PathBuf| path.to_string_lossy().to_lowercase().contains("dsm");
    names("/dev/shm").into_iter().filter(ours).collect()
}

fn named_sockets() -> usize {
    fs::read_to_string("/proc/net/unix").unwrap_or_default().lines().filter(|line| line.contains("dsm")).count()
}

/// Waits until no more than `count` threads are left: those that were told to end may take a moment, and hold what they use.
fn wait_for_threads(count: usize) {
    let start = Instant::now();
    while threads() > count {
        assert!(start.elapsed() < Duration::from_secs(60), "{} threads instead of {count}", threads());
        thread::yield_now();
    }
}

fn threads() -> usize {
    names("/proc/self/task").len()
}

#[test]
fn jobs_leave_no_descriptor_no_thread_no_process_and_no_object_behind() {
    let threads_before = threads();
    // What is made once for a process is made by the first job.
    run(spec(2, "collectives")).expect_success("collectives");
    wait_for_threads(threads_before);
    let before = (descriptors(), objects(), named_sockets());
    let mut pids = Vec::new();
    for signal in [None, Some(Signal::SIGKILL), Some(Signal::SIGSTOP)] {
        let part = if signal.is_some() { "wait fault" } else { "shared 2 20 2" };
        run_watching(spec(3, part), |job| {
            pids.extend(job.pids.clone());
            if let Some(signal) = signal {
                job.stdout.wait_for(|text| (text.matches("ready pid=").count() == 3).then_some(()));
                kill(job.pids[1], signal).unwrap();
            }
        });
    }
    wait_for_threads(threads_before);
    assert_eq!((descriptors(), objects(), named_sockets()), before);
    for pid in pids {
        assert_eq!(kill(pid, None), Err(nix::errno::Errno::ESRCH), "process {pid} is still there");
    }
}
