//! The end-to-end argument, with real processes: a relay damages what it keeps, and only the ends can tell.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use examples::file_transfer::{Destination, Link, Order, Receiver, Relay, Report, Source, TransferError, send};
use rpc::wire::Integrity;

const PROGRAM: &str = env!("CARGO_BIN_EXE_file_transfer");

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A directory of its own for each test, with a file of a length that is no multiple of anything.
struct Scene {
    directory: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("file_transfer.{name}"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let scene = Scene { directory };
        let bytes: Vec<u8> = (0..300_001u32).flat_map(|number| number.to_be_bytes()).skip(1).collect();
        fs::write(scene.path("original"), bytes).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Runs the one command on the file.
    fn transfer(&self, more: &[&str]) -> Output {
        let (original, copy) = (self.path("original"), self.path("copy"));
        let files = ["--file", original.to_str().unwrap(), "--to", copy.to_str().unwrap()];
        run(&[&files, more].concat())
    }

    fn original(&self) -> Vec<u8> {
        fs::read(self.path("original")).unwrap()
    }

    fn copy(&self) -> Vec<u8> {
        fs::read(self.path("copy")).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The last column of the lines about hops: datagrams that their checks found damaged.
fn damaged(output: &str) -> Vec<u64> {
    let hops = output.lines().filter(|line| line.contains(", of what the "));
    hops.map(|line| line.split_whitespace().last().unwrap().parse().unwrap()).collect()
}

#[test]
fn the_ends_notice_what_the_relay_damages_in_its_memory_and_repeat_it_until_it_is_right() {
    let scene = Scene::new("compared");
    let output = scene.transfer(&["--corrupt-in-memory", "5", "--chunk", "10000"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert!(scene.copy() == scene.original());
    assert!(said.contains("round 1: 121 chunks sent; the ends differ in 24 chunks"), "{said}");
    assert!(said.contains("the ends agree") && said.contains("the received file is right"), "{said}");
    assert_eq!(damaged(&said), [0; 4], "{said}");
    assert_eq!(scene.names(), ["copy", "original"]);
}

#[test]
fn who_trusts_the_hops_gets_a_wrong_file_that_no_hop_complained_of() {
    let scene = Scene::new("trusted");
    let output = scene.transfer(&["--corrupt-in-memory", "5", "--chunk", "10000", "--trust-the-hops"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}{}", text(&output.stderr));
    assert!(said.contains("THE RECEIVED FILE IS WRONG in 24 of 121 chunks"), "{said}");
    assert_eq!(damaged(&said), [0; 4], "{said}");
    let (original, copy) = (scene.original(), scene.copy());
    assert_eq!(copy.len(), original.len());
    let wrong_bits: u32 = original.iter().zip(&copy).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!(wrong_bits, 24);
}

#[test]
fn a_relay_that_damages_everything_is_not_tried_for_ever_and_nothing_is_kept() {
    let scene = Scene::new("hopeless");
    let output = scene.transfer(&["--corrupt-in-memory", "1", "--rounds", "3"]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("still wrong after 3 rounds: 37 of 37 chunks differ"), "{said}");
    assert!(said.contains("replace the relay"), "{said}");
    assert_eq!(scene.names(), ["original"]);
}

#[test]
fn three_processes_that_were_started_by_hand_do_the_same() {
    let scene = Scene::new("by-hand");
    let (original, copy) = (scene.path("original"), scene.path("copy"));
    let (receiver, addr) = start(&["receive", "--listen", "127.0.0.1:0", "--to", copy.to_str().unwrap()]);
    let memory = ["--corrupt-in-memory", "7"];
    let (relay, addr) = start(&[&["relay", "--listen", "127.0.0.1:0", "--next", &addr], &memory[..]].concat());
    let output = run(&["send", "--next", &addr, "--file", original.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for mut station in [receiver, relay] {
        assert!(station.wait().unwrap().success(), "dismissed by the sender");
    }
    assert!(scene.copy() == scene.original());
}

#[test]
fn a_sender_with_another_check_is_refused_with_both_names() {
    let (mut receiver, addr) = start(&["receive", "--listen", "127.0.0.1:0"]);
    let output = run(&["send", "--next", &addr, "--integrity", "additive"]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("guards its data with crc32, this side with additive"), "{said}");
    terminate(&receiver);
    assert_eq!(receiver.wait().unwrap().code(), Some(128 + 15));
}

#[test]
fn a_receiver_that_is_told_to_end_removes_what_it_has_not_kept() {
    let scene = Scene::new("ended");
    let copy = scene.path("copy");
    let (mut receiver, _) = start(&["receive", "--listen", "127.0.0.1:0", "--to", copy.to_str().unwrap()]);
    assert_eq!(scene.names().len(), 2, "the part is there");
    terminate(&receiver);
    receiver.wait().unwrap();
    assert_eq!(scene.names(), ["original"]);
}

#[test]
fn the_stations_leave_when_the_process_that_started_them_is_killed() {
    let scene = Scene::new("killed");
    let (original, copy) = (scene.path("original"), scene.path("copy"));
    // Never right, so that it is killed in the middle.
    let mut parent = Command::new(PROGRAM)
        .args(["--corrupt-in-memory", "1", "--rounds", "1000", "--chunk", "100"])
        .args(["--file".as_ref(), original.as_os_str(), "--to".as_ref(), copy.as_os_str()])
        .spawn()
        .unwrap();
    let of_parent = format!("/proc/{0}/task/{0}/children", parent.id());
    let children = until(|| {
        let ids: Vec<u32> = fs::read_to_string(&of_parent).ok()?.split_whitespace().flat_map(str::parse).collect();
        (ids.len() == 2).then_some(ids)
    });
    // The receiver makes room when the transfer begins.
    let is_under_way = |name: &String| {
        name.ends_with(".part") && fs::metadata(scene.path(name)).is_ok_and(|about| about.len() == 1_200_003)
    };
    until(|| scene.names().iter().any(is_under_way).then_some(()));
    parent.kill().unwrap();
    parent.wait().unwrap();
    until(|| children.iter().all(|id| has_ended(*id)).then_some(()));
    assert_eq!(scene.names(), ["original"]);
}

#[test]
fn bad_arguments_are_refused_with_what_to_do() {
    let scene = Scene::new("arguments");
    let there = scene.path("original");
    let there = there.to_str().unwrap();
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = nobody.local_addr().unwrap().to_string();
    let refusals: [(&[&str], &str); 9] = [
        (&["--file", "/nonexistent"], "cannot read /nonexistent: No such file"),
        (&["--file", "/dev/zero"], "no ordinary file: give one whose length is known"),
        (&["--to", there], "exists: remove it, or give another name"),
        (&["--to", "/nonexistent/copy"], "give a place where you may write"),
        (&["--integrity", "md5"], "write none, additive, fletcher32 or crc32"),
        (&["--chunk", "0"], "1..=1048576"),
        (&["--corrupt-in-memory", "0"], "--corrupt-in-memory"),
        (&["--corrupt-on-the-wire", "2"], "write 0.05 or 5%"),
        (&["send", "--next", &nobody], "see that a station runs there"),
    ];
    for (args, words) in refusals {
        let output = run(args);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{args:?}: {said}");
    }
}

#[test]
fn the_checks_of_the_hops_catch_what_is_damaged_on_the_wire_unless_there_are_none() {
    let wire = |integrity| Link { integrity, corrupt: 0.05, seed: 11, trace: None };
    let report = transfer(None, true, wire(Integrity::Crc32)).unwrap();
    assert_eq!((report.wrong, report.flipped), (0, 0));
    assert!(report.damaged() > 0, "{report}");
    // Few bits are changed, and only a sum that knows nothing of their places could miss them: once in thousands of times.
    let report = transfer(None, true, wire(Integrity::Fletcher32)).unwrap();
    assert!(report.wrong == 0 && report.damaged() > 0, "{report}");
}

#[test]
fn with_nothing_to_guard_the_hops_the_ends_still_make_the_file_right() {
    // Only the relay damages here: what becomes of sessions whose own numbers are damaged is another lesson.
    let link = Link { integrity: Integrity::None, ..Link::default() };
    let report = transfer(NonZeroU64::new(4), false, link.clone()).unwrap();
    assert!(report.wrong == 0 && report.flipped > 0, "{report}");
    let report = transfer(NonZeroU64::new(4), true, link).unwrap();
    assert_eq!(report.wrong, report.flipped, "{report}");
}

/// A sample of 100 chunks, with all stations in this process.
fn transfer(corrupt_every: Option<NonZeroU64>, trust_the_hops: bool, link: Link) -> Result<Report, TransferError> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let station = |number| Link { seed: link.seed + number, ..link.clone() };
    let receiver = Receiver::start(any, &Destination::Nowhere, station(1))?;
    let relay = Relay::start(any, receiver.local_addr(), corrupt_every, station(2))?;
    let source = Source::sample(400_000, 1)?;
    let report = send(&source, relay.local_addr(), &Order { chunk_bytes: 4_000, rounds: 20, trust_the_hops, link });
    if report.is_ok() {
        relay.wait();
        receiver.wait();
    }
    report
}

/// A station, and where it says that it listens.
fn start(args: &[&str]) -> (Child, String) {
    let mut station = Command::new(PROGRAM).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(station.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addr = line.trim_end().strip_prefix("listening at ").unwrap_or_else(|| panic!("{args:?}: {line}")).to_owned();
    (station, addr)
}

fn terminate(process: &Child) {
    let killed = Command::new("sh").args(["-c", &format!("kill -TERM {}", process.id())]).status().unwrap();
    assert!(killed.success());
}

fn until<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    loop {
        match probe() {
            Some(value) => return value,
            None => std::thread::yield_now(),
        }
    }
}

/// Gone, or waiting to be buried by whoever inherits orphans here.
fn has_ended(process: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return true };
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
}
