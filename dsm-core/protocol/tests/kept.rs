//! Whether the machines say truly how much memory they keep: the only test of its process, which grows by nothing else.

#[allow(dead_code, reason = "the tests of scale need the rest")]
#[path = "scale/cluster.rs"]
mod cluster;

use cluster::Cluster;

#[test]
fn the_process_grows_by_what_the_machines_say_they_keep() {
    let mut alive = Vec::new();
    for (pages, distance) in [(1 << 18, 1), (1 << 14, 32), (1 << 13, 4_096)] {
        let before = resident_bytes();
        let cluster = Cluster::with_readers(2, pages, distance);
        let grown = resident_bytes().saturating_sub(before);
        let kept = cluster.kept(0).bytes() + cluster.kept(1).bytes();
        // So that what comes next finds no memory that is free again.
        alive.push(cluster);
        println!("{pages} pages, {distance} apart: {kept} bytes kept, {grown} grown");
        assert!(
            (kept * 9 / 10..=kept * 5 / 4).contains(&grown),
            "{pages} pages, {distance} apart: {kept} bytes kept, {grown} grown"
        );
    }
}

fn resident_bytes() -> u64 {
    let sizes = std::fs::read_to_string("/proc/self/statm").unwrap();
    let resident_pages: u64 = sizes.split_whitespace().nth(1).unwrap().parse().unwrap();
    resident_pages * 4096
}
