//! Two drivers over the loopback interface, traced; and a reader of pcapng of its own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::describe::{Fate, describe};
use super::{Packet, Pcapng, Trace, Way};
use crate::call::message::{self, Call, CallId, How, MethodId, ServiceId, Status};
use crate::driver::{Driver, DriverConfig, Inbox, Incoming};
use crate::impair::Impairments;
use crate::transport::Channel;
use crate::wire::sums::internet;

/// A file in memory.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes so many bytes, and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One sends messages of these sizes to the other; returns when they have arrived and been acknowledged.
fn talk(trace: &Trace, impairments: Impairments, sizes: &[usize]) -> (SocketAddr, SocketAddr) {
    let bodies: Vec<_> = sizes.iter().map(|size| vec![7; *size]).collect();
    say(trace, impairments, Channel(9), &bodies)
}

fn say(trace: &Trace, impairments: Impairments, channel: Channel, bodies: &[Vec<u8>]) -> (SocketAddr, SocketAddr) {
    let config = DriverConfig { trace: Some(trace.clone()), impairments, ..DriverConfig::plain() };
    let bind = |config| Driver::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
    let (mut a, mut b) = (bind(config.clone()), bind(DriverConfig { impairments: Impairments::default(), ..config }));
    let peer = a.connect(b.local_addr()).unwrap();
    for body in bodies {
        a.send(peer, channel, &[body]).unwrap();
    }
    a.flush();
    let (mut ours, mut theirs, mut arrived) = (Inbox::new(), Inbox::new(), 0);
    let guard = Instant::now();
    while arrived < bodies.len() || a.unacknowledged(peer) > 0 {
        assert!(guard.elapsed() < Duration::from_secs(60), "{arrived} arrived");
        a.receive(&mut ours).unwrap();
        ours.drain().for_each(drop);
        b.receive(&mut theirs).unwrap();
        arrived += theirs.drain().filter(|incoming| matches!(incoming, Incoming::Message { .. })).count();
    }
    (a.local_addr(), b.local_addr())
}

#[test]
fn a_ladder_tells_what_went_between_two_endpoints() {
    let (ladder, capture) = (Paper::default(), Paper::default());
    let trace = Trace::to(ladder.clone(), capture.clone()).unwrap();
    let (a, b) = talk(&trace, Impairments::default(), &[5, 200_000]);
    let text = ladder.text();
    let expect = |here: SocketAddr, arrow: &str, there: SocketAddr, what: &str| {
        let between = format!("{here} {arrow} {there}");
        let found = text.lines().any(|line| line.contains(&between) && line.contains(what));
        assert!(found, "no {what:?} from {between} in\n{text}");
    };
    expect(a, "-->", b, "HELLO by ");
    expect(b, "<--", a, "HELLO by ");
    expect(b, "-->", a, "HELLO ANSWERED");
    expect(a, "-->", b, "MESSAGE on channel 9, 5 bytes");
    expect(b, "<--", a, "FRAGMENT 1/4 of message 1");
    expect(b, "<--", a, "FRAGMENT 4/4 of message 1");
    expect(b, "-->", a, ": ACK");
    assert!(text.contains("SESSION OPEN"), "{text}");
    assert_eq!(trace.failure(), None);
}

#[test]
fn losses_and_copies_show_as_retransmissions_and_dropped_duplicates() {
    let ladder = Paper::default();
    let trace = Trace::to(ladder.clone(), io::sink()).unwrap();
    let impairments = Impairments { loss: 0.3, duplicate: 0.3, corrupt: 0.2, seed: 3, ..Impairments::default() };
    talk(&trace, impairments, &[100; 200].map(|size: usize| size * 300));
    for what in ["RETRANSMIT ", "DUPLICATE DROPPED", "DAMAGED, DROPPED"] {
        assert!(ladder.text().contains(what), "no {what}");
    }
}

#[test]
fn each_kind_of_call_message_has_a_name() {
    let call = Call {
        id: CallId::new(3, 8),
        how: How::AtMostOnce,
        session: 2,
        age: 0,
        time_left: None,
        service: ServiceId(0x1234),
        method: MethodId { number: 5, version: 1, schema: 9 },
    };
    let request = |how, age| message::request_header(&Call { how, age, ..call }).to_vec();
    let told = [
        (request(How::AtMostOnce, 0), "REQUEST call 3.8 of service 00001234, method 5, 0 bytes"),
        (request(How::Idempotent, 1), "REPEATED REQUEST call 3.8 of service 00001234, method 5, idempotent, 0 bytes"),
        (request(How::Oneway, 0), "ONEWAY call 3.8 of service 00001234, method 5, 0 bytes"),
        (message::reply_header(call.id, Status::Done).to_vec(), "REPLY to call 3.8: Done, 0 bytes"),
        (message::cancel(call.id).to_vec(), "CANCEL call 3.8"),
        (message::working(call.id).to_vec(), "WORKING on call 3.8"),
    ];
    let (bodies, expected): (Vec<_>, Vec<_>) = told.into_iter().unzip();
    let ladder = Paper::default();
    let trace = Trace::to(ladder.clone(), io::sink()).unwrap();
    say(&trace, Impairments::default(), Channel::CALL, &bodies);
    for line in expected {
        assert!(ladder.text().contains(line), "no {line:?} in\n{}", ladder.text());
    }
}

#[test]
fn a_disk_that_is_full_ends_the_trace_and_not_the_messages() {
    let trace = Trace::to(Full(2_000), Full(500)).unwrap();
    talk(&trace, Impairments::default(), &[1_000; 100]);
    assert!(trace.failure().is_some());
}

#[test]
fn wild_bytes_are_described_without_panic() {
    for seed in 0..2_000u64 {
        let mut random = crate::transport::random::Random::new(seed);
        let mut datagram: Vec<u8> = (0..random.below(120)).map(|_| random.below(256) as u8).collect();
        // Most are to look like ours for a while.
        for (place, byte) in [b'D', b'M', 1, 1 + (seed % 4) as u8].into_iter().enumerate().take(seed as usize % 6) {
            if let Some(slot) = datagram.get_mut(place) {
                *slot = byte;
            }
        }
        let mut line = String::new();
        describe(&mut line, &datagram, (seed % 20) as usize, Fate::default());
        assert!(!line.is_empty());
    }
}

/// A block of a capture: its kind, and what stands between its two lengths.
fn blocks(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let (kind, length) = (word(bytes, 0), word(bytes, 4) as usize);
        assert!(length >= 12 && length.is_multiple_of(4));
        assert_eq!(word(bytes, length - 4) as usize, length);
        blocks.push((kind, bytes[8..length - 4].to_vec()));
        bytes = &bytes[length..];
    }
    blocks
}

/// The options behind the fixed part of a block.
fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let half = |bytes: &[u8], at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let mut options = Vec::new();
    loop {
        let (code, length) = (half(bytes, 0), usize::from(half(bytes, 2)));
        let value = bytes[4..4 + length].to_vec();
        bytes = &bytes[4 + length.next_multiple_of(4)..];
        if code == 0 {
            assert!(bytes.is_empty() && length == 0);
            return options;
        }
        options.push((code, value));
    }
}

#[test]
fn a_capture_is_made_of_the_blocks_of_the_specification() {
    let capture = Paper::default();
    let trace = Trace::to(io::sink(), capture.clone()).unwrap();
    let (a, b) = talk(&trace, Impairments::default(), &[5, 70_000]);
    let blocks = blocks(&capture.bytes());
    let (kind, section) = &blocks[0];
    assert_eq!((*kind, &section[..8]), (0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..]));
    assert_eq!(options(&section[16..]), [(4, b"rpc".to_vec())]);
    for (place, endpoint) in [(1, a), (2, b)] {
        let (kind, interface) = &blocks[place];
        // LINKTYPE_RAW, packets of any length.
        assert_eq!((*kind, &interface[..8]), (1, &[101, 0, 0, 0, 0, 0, 0, 0][..]));
        assert_eq!(options(&interface[8..]), [(2, endpoint.to_string().into_bytes()), (9, vec![9])]);
    }
    let mut comments = Vec::new();
    let mut times = Vec::new();
    for (kind, packet) in &blocks[3..] {
        assert_eq!(*kind, 6);
        let words: Vec<u32> = packet[..20].chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        let &[interface, high, low, captured, original] = &words[..] else { unreachable!() };
        assert_eq!(captured, original);
        times.push((interface, u64::from(high) << 32 | u64::from(low)));
        let captured = captured as usize;
        let options = options(&packet[20 + captured.next_multiple_of(4)..]);
        assert_eq!((options[0].0, options[1].0), (2, 1));
        let outbound = options[0].1 == [2, 0, 0, 0];
        check_headers(&packet[20..20 + captured], [a, b], (interface == 0) == outbound);
        comments.push(String::from_utf8(options[1].1.clone()).unwrap());
    }
    assert!(comments.iter().any(|comment| comment.contains("FRAGMENT 2/2 of message 1")), "{comments:?}");
    for interface in [0, 1] {
        let own: Vec<u64> = times.iter().filter(|(of, _)| *of == interface).map(|(_, time)| *time).collect();
        assert!(own.is_sorted() && !own.is_empty());
        // 2020 to 2100.
        assert!((1_577_836_800_000_000_000..4_102_444_800_000_000_000).contains(&own[0]));
    }
}

/// IPv4 and UDP headers, from the first endpoint or to it.
fn check_headers(packet: &[u8], endpoints: [SocketAddr; 2], forwards: bool) {
    let [from, to] = if forwards { endpoints } else { [endpoints[1], endpoints[0]] };
    assert_eq!(packet[0], 0x45);
    assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
    assert_eq!(internet(&packet[..20]), 0);
    assert_eq!((packet[9], &packet[12..20]), (17, &[127, 0, 0, 1, 127, 0, 0, 1][..]));
    assert_eq!(packet[20..22], from.port().to_be_bytes());
    assert_eq!(packet[22..24], to.port().to_be_bytes());
    assert_eq!(usize::from(u16::from_be_bytes([packet[24], packet[25]])), packet.len() - 20);
    let pseudo = [&packet[12..20], &[0, 17], &packet[24..26], &packet[20..]].concat();
    assert_eq!(internet(&pseudo), 0);
    assert_eq!(&packet[28..30], b"DM");
}

#[test]
fn packets_of_ipv6_and_packets_that_were_sealed_have_their_headers_too() {
    let capture = Paper::default();
    let mut pcapng = Pcapng::new(capture.clone(), Duration::from_secs(1)).unwrap();
    let (here, there) = ("[::1]:7".parse().unwrap(), "[fe80::2]:8".parse().unwrap());
    let interface = pcapng.interface(here).unwrap();
    for wire_bytes in [3, 19] {
        let at = Duration::from_nanos(5);
        let packet = Packet { at, way: Way::In, here, there, bytes: b"abc", wire_bytes, line: "ACK" };
        pcapng.packet(interface, &packet).unwrap();
    }
    let blocks = blocks(&capture.bytes());
    let [whole, cut] = [&blocks[2].1, &blocks[3].1];
    assert_eq!(whole[4..12], [0, 0, 0, 0, 5, 0xca, 0x9a, 0x3b]);
    // 40 bytes of IPv6, 8 of UDP, and 3 of 3, or 3 of 19.
    assert_eq!((whole[12], whole[16], cut[12], cut[16]), (51, 51, 51, 67));
    let packet = &whole[20..71];
    assert_eq!(packet[..8], [0x60, 0, 0, 0, 0, 11, 17, 64]);
    let pseudo = [&packet[8..40], &[0, 0, 0, 11, 0, 0, 0, 17], &packet[40..]].concat();
    assert_eq!(internet(&pseudo), 0);
    assert_eq!((&packet[40..42], &packet[48..]), (&[0, 8][..], &b"abc"[..]));
    assert_eq!(cut[20 + 46..20 + 48], [0, 0]);
}

#[test]
fn the_files_of_a_trace_are_their_owners_alone_also_where_they_were_there_before() {
    let path = std::env::temp_dir().join(format!("rpc-trace-{}", std::process::id()));
    let capture = path.with_extension("pcapng");
    std::fs::write(&capture, [7; 10_000]).unwrap();
    std::fs::set_permissions(&capture, std::fs::Permissions::from_mode(0o644)).unwrap();
    let made = Trace::create(&path);
    let seen =
        [&path, &capture].map(|file| std::fs::metadata(file).map(|it| (it.permissions().mode() & 0o777, it.len())));
    for file in [&path, &capture] {
        let _ = std::fs::remove_file(file);
    }
    made.unwrap();
    for (mode, length) in seen.map(Result::unwrap) {
        assert!(mode == 0o600 && length < 1_000, "{mode:03o}, {length} bytes");
    }
}
