//! What this process is allowed.

use super::text::{human, number};
use super::{Finding, State};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use std::fs;

/// The launcher holds a few descriptors for each of 64 nodes, a node a dozen for itself.
const DESCRIPTORS_MIN: u64 = 256;
/// A region takes three mappings; the rest is the program's libraries and the stacks of its threads.
const MAPPINGS_MIN: u64 = 4096;
/// What a program needs besides the region: itself, its libraries, stacks, heap.
const PROGRAM_BYTES: u64 = 1 << 30;

/// Nothing when there is no limit.
pub(super) fn address_space(region_bytes: u64) -> Option<Finding> {
    judge_address_space(soft_limit(Resource::RLIMIT_AS), region_bytes)
}

fn judge_address_space(limit: u64, region_bytes: u64) -> Option<Finding> {
    // Two views, and a byte for each page.
    let needed = region_bytes.saturating_mul(2).saturating_add(region_bytes / 4096).saturating_add(PROGRAM_BYTES);
    let fine = || Finding::fine("address space", format!("the limit of {} is enough", human(limit)));
    let missing = || {
        let (limit, needed) = (human(limit), human(needed));
        Finding::missing(
            "address space",
            format!("limited to {limit}; the region, mapped twice, needs {needed}"),
            "ulimit -v unlimited, or ask for a smaller region",
        )
    };
    (limit != RLIM_INFINITY).then(|| if limit >= needed { fine() } else { missing() })
}

/// Nothing when there is no limit.
pub(super) fn file_size(region_bytes: u64) -> Option<Finding> {
    judge_file_size(soft_limit(Resource::RLIMIT_FSIZE), region_bytes)
}

fn judge_file_size(limit: u64, region_bytes: u64) -> Option<Finding> {
    (limit < region_bytes).then(|| {
        Finding::missing(
            "file size",
            format!("limited to {}, and the region is a memory file of {}", human(limit), human(region_bytes)),
            "ulimit -f unlimited, or ask for a smaller region",
        )
    })
}

pub(super) fn descriptors() -> Finding {
    judge_descriptors(soft_limit(Resource::RLIMIT_NOFILE))
}

fn judge_descriptors(limit: u64) -> Finding {
    match limit {
        RLIM_INFINITY => Finding::fine("descriptors", "as many as wanted"),
        DESCRIPTORS_MIN.. => Finding::fine("descriptors", format!("{limit} allowed")),
        _ => Finding::degraded(
            "descriptors",
            format!("{limit} allowed: too few for a job of many nodes"),
            format!("ulimit -n {}", DESCRIPTORS_MIN * 4),
        ),
    }
}

pub(super) fn mappings() -> Finding {
    judge_mappings(fs::read_to_string("/proc/sys/vm/max_map_count").ok().as_deref())
}

fn judge_mappings(text: Option<&str>) -> Finding {
    match text.and_then(number) {
        Some(count @ MAPPINGS_MIN..) => Finding::fine("mappings", format!("{count} allowed")),
        Some(count) => Finding {
            topic: "mappings",
            state: State::Degraded,
            what: format!("{count} allowed: few for a program with many threads and libraries"),
            remedy: Some("sudo sysctl -w vm.max_map_count=65530".to_string()),
        },
        None => {
            Finding::degraded("mappings", "the limit cannot be read", "check `sysctl vm.max_map_count` on the host")
        }
    }
}

fn soft_limit(resource: Resource) -> u64 {
    getrlimit(resource).map_or(RLIM_INFINITY, |(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_space_must_hold_the_region_twice() {
        assert_eq!(judge_address_space(RLIM_INFINITY, u64::MAX), None);
        assert_eq!(judge_address_space(100 << 30, 64 << 30).map(|finding| finding.state), Some(State::Missing));
        assert_eq!(judge_address_space(200 << 30, 64 << 30).map(|finding| finding.state), Some(State::Fine));
        assert_eq!(judge_address_space(1, u64::MAX).map(|finding| finding.state), Some(State::Missing));
    }

    #[test]
    fn a_file_limit_below_the_region_is_fatal() {
        assert_eq!(judge_file_size(RLIM_INFINITY, 64 << 30), None);
        assert_eq!(judge_file_size(1 << 30, 64 << 30).map(|finding| finding.state), Some(State::Missing));
    }

    #[test]
    fn few_descriptors_or_mappings_are_a_warning_with_a_command() {
        assert_eq!(judge_descriptors(1024).state, State::Fine);
        assert_eq!(judge_descriptors(RLIM_INFINITY).state, State::Fine);
        assert_eq!(judge_descriptors(64).remedy.as_deref(), Some("ulimit -n 1024"));
        assert_eq!(judge_mappings(Some("65530\n")).state, State::Fine);
        assert_eq!(judge_mappings(Some("100\n")).state, State::Degraded);
        assert_eq!(judge_mappings(Some("many")).state, State::Degraded);
        assert_eq!(judge_mappings(None).state, State::Degraded);
    }
}
