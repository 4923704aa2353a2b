//! How much memory there is for frames.

use super::Finding;
use super::text::{cgroup_limit, cgroup_limit_files, human, meminfo_bytes, number};
use std::fs;

/// Below this a job of several nodes on one machine is short of memory before it begins.
const COMFORTABLE_BYTES: u64 = 512 << 20;

pub(super) fn all() -> Vec<Finding> {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits =
        cgroup_limit_files(&groups).into_iter().filter_map(|file| cgroup_limit(&fs::read_to_string(file).ok()?));
    let policy = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    let mut findings = vec![judge_available(meminfo_bytes(&meminfo, "MemAvailable"))];
    findings.extend(judge_group(limits.min()));
    findings.push(judge_overcommit(number(&policy)));
    findings
}

fn judge_available(bytes: Option<u64>) -> Finding {
    match bytes {
        Some(bytes) if bytes >= COMFORTABLE_BYTES => Finding::fine("memory", format!("{} available", human(bytes))),
        Some(bytes) => Finding::degraded(
            "memory",
            format!("only {} available; every page that a node holds takes memory", human(bytes)),
            "stop other programs, or run fewer nodes on this machine",
        ),
        None => Finding::degraded("memory", "how much is available cannot be read", "check that /proc is mounted"),
    }
}

/// Nothing when no control group limits this process.
fn judge_group(limit: Option<u64>) -> Option<Finding> {
    let limit = limit?;
    Some(if limit >= COMFORTABLE_BYTES {
        Finding::fine("memory limit", format!("the control group allows {}", human(limit)))
    } else {
        Finding::degraded(
            "memory limit",
            format!("the control group allows only {}; beyond it the kernel kills the node", human(limit)),
            "give the container more: docker run --memory 2g, or systemd-run -p MemoryMax=2G",
        )
    })
}

fn judge_overcommit(policy: Option<u64>) -> Finding {
    match policy {
        Some(2) => Finding::degraded(
            "overcommit",
            "vm.overcommit_memory is 2: the kernel refuses memory beyond its commit limit, and a node then fails to \
             take a page",
            "sudo sysctl -w vm.overcommit_memory=0",
        ),
        Some(policy) => Finding::fine("overcommit", format!("vm.overcommit_memory is {policy}")),
        None => Finding::degraded(
            "overcommit",
            "the kernel's policy cannot be read",
            "check `sysctl vm.overcommit_memory` on the host: 0 or 1",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn little_memory_is_a_warning() {
        assert_eq!(judge_available(Some(8 << 30)).state, State::Fine);
        assert_eq!(judge_available(Some(100 << 20)).state, State::Degraded);
        assert_eq!(judge_available(None).state, State::Degraded);
    }

    #[test]
    fn a_group_without_a_limit_is_not_mentioned() {
        assert_eq!(judge_group(None), None);
        assert_eq!(judge_group(Some(4 << 30)).map(|finding| finding.state), Some(State::Fine));
        assert_eq!(judge_group(Some(64 << 20)).map(|finding| finding.state), Some(State::Degraded));
    }

    #[test]
    fn strict_accounting_is_a_warning() {
        assert_eq!(
            [0, 1, 2].map(|policy| judge_overcommit(Some(policy)).state),
            [State::Fine, State::Fine, State::Degraded]
        );
        assert_eq!(judge_overcommit(None).state, State::Degraded);
    }
}
