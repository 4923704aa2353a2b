//! A job in a bad neighbourhood: garbage, mutilated datagrams, strangers and another version at its ports.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use common::{Job, run, run_watching, spec};
use dsm_core::EXIT_PEER_LOST;
use dsm_core::launch::{JobKey, JobSpec, NodeEnd};
use nix::unistd::Pid;
use rpc::driver::{Driver, DriverConfig, Inbox};
use rpc::transport::Channel;
use rpc::wire::{Hello, Integrity, Kind, Prefix, Reader, SessionId, VERSION};

const NODES: usize = 3;

/// How many datagrams of each kind every port gets.
const VOLLEY: usize = 3_000;

/// A small linear congruential generator (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// The UDP ports that a process has open, as the kernel lists them.
fn udp_ports(pid: Pid) -> BTreeSet<u16> {
    let links =
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let sockets: BTreeSet<String> = links
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_string()))
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/udp")).unwrap();
    let port = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (local, inode) = (words.get(1)?, words.get(9)?);
        sockets.contains(*inode).then(|| u16::from_str_radix(local.rsplit(':').next()?, 16).ok())?
    };
    table.lines().skip(1).filter_map(port).collect()
}

/// Every port of the job: the nodes' and the launcher's, which is this process.
fn targets(job: &Job) -> Vec<SocketAddr> {
    let pids = job.pids.iter().copied().chain([Pid::this()]);
    let ports: BTreeSet<u16> = pids.flat_map(udp_ports).collect();
    assert!(ports.len() > NODES, "{ports:?}");
    ports.into_iter().map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
}

/// Runs a job that counts under a lock while `attack` goes on; it must count right, and stay small.
fn besieged(name: &str, key: JobKey, attack: impl FnOnce(&[SocketAddr])) {
    let end = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.end"));
    let _ = fs::remove_file(&end);
    let ended = run_watching(JobSpec { key, ..spec(NODES, &format!("besieged {}", end.display())) }, |job| {
        job.stdout.wait_for(|text| (text.matches("ready pid=").count() == NODES).then_some(()));
        attack(&targets(job));
        fs::write(&end, "").unwrap();
    })
    .expect_success(name);
    fs::remove_file(&end).unwrap();
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let peaks: Vec<u64> = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_once("VmHWM:")?.1.trim().strip_suffix(" kB")?.parse().ok())
        .collect();
    assert_eq!(peaks.len(), NODES, "{}", ended.stdout);
    assert!(peaks.iter().all(|kilobytes| *kilobytes < 128 << 10), "{peaks:?} kB");
}

/// A datagram of the given version and kind whose checksum is right, whatever `body` is.
fn sealed(version: u8, kind: Kind, to: u64, from: u64, body: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    Prefix { version, ..Prefix::new(kind, SessionId(to), SessionId(from)) }.write(&mut datagram);
    datagram.extend_from_slice(body);
    Integrity::Crc32.seal(&mut datagram);
    datagram
}

#[test]
fn random_bytes_at_every_port_change_nothing() {
    besieged("random", JobKey::Fresh, |targets| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut random = Random(1);
        for turn in 0..VOLLEY {
            let mut bytes = random.bytes([0, 1, 4, 21, 60, 1_400][turn % 6]);
            if turn % 2 == 0 {
                // Past the first look.
                bytes.iter_mut().zip(b"DM").for_each(|(byte, magic)| *byte = *magic);
            }
            targets.iter().for_each(|target| drop(socket.send_to(&bytes, target)));
        }
    });
}

#[test]
fn random_fields_under_a_right_checksum_change_nothing() {
    besieged("fields", JobKey::Fresh, |targets| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut random = Random(2);
        for turn in 0..VOLLEY {
            let kind = [Kind::Hello, Kind::HelloAck, Kind::Data, Kind::Reset][turn % 4];
            let length = random.below(120);
            let version = if turn % 3 == 0 { random.below(256) as u8 } else { VERSION };
            let body = random.bytes(length);
            let datagram = sealed(version, kind, random.below(4) as u64, random.below(4) as u64, &body);
            targets.iter().for_each(|target| drop(socket.send_to(&datagram, target)));
        }
    });
}

/// Sits between a driver and a port of the job, and mutilates what goes through.
fn mutilate(random: &mut Random, datagram: &[u8]) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    match random.below(4) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => bytes.extend(random.bytes(8)),
        // With the checksum put right again, so that what lies behind it is reached.
        2 => {
            bytes.truncate(bytes.len().saturating_sub(4));
            let place = random.below(bytes.len().max(1));
            bytes.iter_mut().skip(place).take(2).for_each(|byte| *byte ^= 0x55);
            Integrity::Crc32.seal(&mut bytes);
        }
        _ => {}
    }
    bytes
}

/// A driver of our own opens a session with `target` through a relay that mutilates half of its datagrams, and talks.
fn talk_to(target: SocketAddr, random: &mut Random) {
    let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
    relay.set_nonblocking(true).unwrap();
    let mut driver = Driver::bind("127.0.0.1:0".parse().unwrap(), DriverConfig::plain()).unwrap();
    let stranger = driver.local_addr();
    let (mut inbox, mut buffer) = (Inbox::new(), vec![0; 1 << 16]);
    let mut peer = driver.connect(relay.local_addr().unwrap()).unwrap();
    for turn in 0..VOLLEY / 10 {
        let body = random.bytes(turn % 200);
        if driver.send(peer, Channel([Channel::MEMORY.0, Channel::CALL.0, 77][turn % 3]), &[&body]).is_err() {
            peer = driver.connect(relay.local_addr().unwrap()).unwrap();
        }
        driver.flush();
        while let Ok((length, from)) = relay.recv_from(&mut buffer) {
            let to = if from == stranger { target } else { stranger };
            let bytes = if to == target { mutilate(random, &buffer[..length]) } else { buffer[..length].to_vec() };
            let _ = relay.send_to(&bytes, to);
        }
        driver.receive(&mut inbox).unwrap();
        inbox.drain().for_each(drop);
    }
}

#[test]
fn strangers_and_mutilated_datagrams_of_theirs_change_nothing() {
    // Where there is a key they do not get far.
    for (name, key) in [("strangers", JobKey::Plain), ("shut-out", JobKey::Fresh)] {
        besieged(name, key, |targets| {
            let mut random = Random(3);
            for _ in 0..5 {
                targets.iter().for_each(|target| talk_to(*target, &mut random));
            }
        });
    }
}

#[test]
fn a_peer_of_another_version_is_told_so_and_learns_why() {
    besieged("version", JobKey::Fresh, |targets| {
        for target in targets {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let mut hello = Vec::new();
            Hello { boot: 9, datagram_max: 1_472, message_max: 1 << 20 }.write(&mut hello);
            socket.send_to(&sealed(VERSION + 1, Kind::Hello, 0, 5, &hello), target).unwrap();
            let mut answer = [0; 100];
            let (length, from) = socket.recv_from(&mut answer).unwrap();
            assert_eq!(from, *target);
            let covered = Integrity::Crc32.open(&answer[..length]).unwrap();
            let prefix = Prefix::read(&mut Reader::new(covered)).unwrap();
            assert_eq!((prefix.version, prefix.kind, prefix.to), (VERSION, Kind::Reset, SessionId(5)));
        }
    });
}

#[test]
fn a_node_of_another_version_ends_the_job_with_a_clear_word() {
    let ended = run(spec(2, "other-version"));
    let told = "[0] dsm: node 0: lost node 1 (pid ";
    assert!(
        ended.stderr.contains(told) && ended.stderr.contains("speaks version 2 of the protocol"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.outcome.nodes[0].end, NodeEnd::Exited(EXIT_PEER_LOST));
    assert!(!ended.outcome.nodes[0].by_launcher);
}
