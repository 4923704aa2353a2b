//! Reading what the kernel writes as text. Every function takes the text, so that odd ones can be tested.

use std::path::{Component, Path, PathBuf};

/// Major and minor number of a kernel release such as `6.4.0-rc1-generic`.
pub(super) fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}

/// The value of a line `Name: value`, as `/proc/meminfo` and `/proc/self/status` have them.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// The bytes that a line of `/proc/meminfo` gives in kibibytes.
pub(super) fn meminfo_bytes(text: &str, name: &str) -> Option<u64> {
    let kibibytes = field(text, name)?.strip_suffix("kB")?.trim_end();
    kibibytes.parse::<u64>().ok()?.checked_mul(1024)
}

/// Whether a process with this `/proc/self/status` runs under a seccomp filter.
pub(super) fn is_filtered(status: &str) -> bool {
    field(status, "Seccomp") == Some("2")
}

/// A number that is alone in its file.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The limit in a control group's file; `None` when there is none.
///
/// Version 2 writes `max` for that, version 1 the largest multiple of a page.
pub(super) fn cgroup_limit(text: &str) -> Option<u64> {
    number(text).filter(|&bytes| bytes < 1 << 60)
}

/// The files that may hold a memory limit of a process with this `/proc/self/cgroup`: its own groups', then those of each group
/// above.
pub(super) fn cgroup_limit_files(text: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|controller| controller == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // A group outside the namespace is shown with `..` in front; what can be seen of it is below the root.
        let inside: PathBuf =
            Path::new(group).components().filter(|part| matches!(part, Component::Normal(_))).collect();
        files.extend(inside.ancestors().map(|group| Path::new(root).join(group).join(name)));
    }
    files
}

/// A number of bytes for people.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut shown = format!("{bytes} bytes");
    let mut value = bytes as f64;
    for unit in UNITS {
        value /= 1024.0;
        if value < 1.0 {
            break;
        }
        shown = format!("{value:.1} {unit}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions_are_understood() {
        for (text, expected) in [
            ("6.4.0", Some((6, 4))),
            ("6.18.44-fc-v657\n", Some((6, 18))),
            ("5.15.153.1-microsoft-standard-WSL2", Some((5, 15))),
            ("7.0-rc1", Some((7, 0))),
            ("6.4", Some((6, 4))),
            ("6", None),
            ("", None),
            ("linux-6.4", None),
            ("99999999999.1", None),
        ] {
            assert_eq!(release(text), expected, "{text}");
        }
    }

    #[test]
    fn a_line_of_meminfo_is_bytes() {
        let text = "MemTotal:       24684092 kB\nMemAvailable:        12 kB\nHugePages_Total:       0\nOdd: 1 MB\nBig: 18446744073709551615 kB\n";
        assert_eq!(meminfo_bytes(text, "MemTotal"), Some(24_684_092 * 1024));
        assert_eq!(meminfo_bytes(text, "MemAvailable"), Some(12 * 1024));
        for absent in ["Mem", "HugePages_Total", "Odd", "Big", "Nothing", ""] {
            assert_eq!(meminfo_bytes(text, absent), None, "{absent}");
        }
        assert_eq!(meminfo_bytes("", "MemTotal"), None);
    }

    #[test]
    fn a_filter_is_seen_in_the_status() {
        assert!(is_filtered("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!is_filtered("Seccomp:\t0\nSeccomp_filters:\t2\n"));
        assert!(!is_filtered(""));
    }

    #[test]
    fn no_limit_is_written_in_two_ways() {
        assert_eq!(cgroup_limit("536870912\n"), Some(536_870_912));
        for none in ["max\n", "9223372036854771712\n", "", "-1", "1 2"] {
            assert_eq!(cgroup_limit(none), None, "{none}");
        }
    }

    #[test]
    fn limits_of_a_group_and_of_those_above_it_are_looked_at() {
        let text = "4:memory:/a/b\n3:cpu,cpuacct:/x\n1:name=systemd:/\n0::/user.slice\nnonsense\n";
        let expected = [
            "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/user.slice/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(cgroup_limit_files(text), expected.map(PathBuf::from));
        assert_eq!(cgroup_limit_files("0::/../../etc\n")[0], Path::new("/sys/fs/cgroup/etc/memory.max"));
        assert_eq!(cgroup_limit_files("5:net:memory:/a:b\n"), Vec::<PathBuf>::new());
        assert!(cgroup_limit_files("").is_empty());
    }

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        assert_eq!(
            [0, 1023, 1024, 64 << 30, u64::MAX].map(human),
            ["0 bytes", "1023 bytes", "1.0 KiB", "64.0 GiB", "16.0 EiB"]
        );
    }
}
