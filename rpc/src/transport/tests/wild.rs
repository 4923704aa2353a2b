//! Datagrams that a broken or hostile peer might send: no panic, and no memory without a bound.

use std::time::Duration;

use proptest::prelude::*;

use super::network::{MS, Network, addr};
use crate::impair::Impairments;
use crate::transport::{Channel, LostReason, TransportConfig};
use crate::wire::{AckBlock, Echo, Flags, Fragment, Integrity, Kind, Prefix, SessionId, write_frame_header};

/// A network of two with an open session, and the numbers by which node 0 knows it.
fn open() -> (Network, SessionId, SessionId) {
    let mut network = Network::perfect(2);
    let now = network.now;
    let peer = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    network.run(10 * MS);
    network.nodes[0].transport.send(network.now, peer, Channel(2), &[b"x"]).unwrap();
    let mut datagram = Vec::new();
    let now = network.now;
    network.nodes[0].transport.transmit(now, &mut datagram).unwrap();
    let prefix = Prefix::read(&mut crate::wire::Reader::new(&datagram)).unwrap();
    (network, prefix.from, prefix.to)
}

/// A well-formed datagram with any fields for node 0.
fn datagram(
    ids: (SessionId, SessionId),
    flags: u8,
    packet: u64,
    ack: &AckBlock,
    frames: &[(Fragment, usize)],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    Prefix { flags: Flags(flags), ..Prefix::new(Kind::Data, ids.0, ids.1) }.write(&mut bytes);
    bytes.extend_from_slice(&packet.to_be_bytes());
    ack.write(&mut bytes);
    for (fragment, length) in frames {
        write_frame_header(*fragment, *length, &mut bytes);
        bytes.resize(bytes.len() + length, 7);
    }
    Integrity::Crc32.seal(&mut bytes);
    bytes
}

fn any_u64() -> impl Strategy<Value = u64> {
    prop_oneof![0..8u64, 0..2_000u64, any::<u64>(), (0..3u64).prop_map(|low| u64::MAX - low)]
}

fn fragments() -> impl Strategy<Value = Vec<(Fragment, usize)>> {
    let full = 1_371usize;
    let fragment = (any_u64(), any::<u16>(), any::<u16>(), any::<u8>(), prop_oneof![Just(full), 0..1_400usize]);
    let fragment = fragment.prop_map(|(sequence, index, count, channel, length)| {
        (Fragment { sequence, index: index % count.max(1), count, channel }, length)
    });
    proptest::collection::vec(fragment, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn wild_fields_stay_bounded(
        wild in proptest::collection::vec(
            (any::<u8>(), any_u64(), any_u64(), any_u64(), any::<u32>(),
             proptest::collection::vec(any::<u64>(), 0..16), fragments()), 1..20)
    ) {
        let (mut network, local, remote) = open();
        for (flags, packet, next, echoed, waited_us, words, frames) in wild {
            let ack = AckBlock::new(next, Some(Echo { packet: echoed, waited_us }), &words);
            let bytes = datagram((local, remote), flags, packet, &ack, &frames);
            network.deliver(0, addr(1), &bytes);
        }
        let limit = network.config.max_reassembly_bytes_per_peer.max((16 << 20) + 131_014);
        prop_assert!(network.nodes[0].transport.reserved <= limit);
        network.run(Duration::from_secs(10));
    }

    #[test]
    fn any_bytes_are_counted_and_dropped(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (mut network, ..) = open();
        let before = network.nodes[0].seen.len();
        network.deliver(0, addr(1), &bytes);
        let counters = network.nodes[0].transport.counters();
        prop_assert_eq!(counters.garbage_dropped + counters.corrupt_dropped, 1);
        prop_assert_eq!(network.nodes[0].seen.len(), before);
    }
}

#[test]
fn a_flood_of_hellos_makes_no_session_and_bounded_answers() {
    let mut flood = Network::perfect(2);
    let mut hellos = Vec::new();
    for boot in 0..1_000u64 {
        flood.restart(1, boot);
        let now = flood.now;
        flood.nodes[1].transport.connect(now, addr(0)).unwrap();
        let mut hello = Vec::new();
        flood.nodes[1].transport.transmit(now, &mut hello).unwrap();
        hellos.push(hello);
    }
    let mut network = Network::perfect(1);
    hellos.iter().for_each(|hello| network.deliver(0, addr(1), hello));
    network.collect();
    assert!(network.sent <= 256);
    assert_eq!((network.ups(0), network.nodes[0].transport.next_timeout()), (0, None));
}

#[test]
fn resets_for_unknown_sessions_are_rate_limited_and_name_what_they_refuse() {
    let mut network = Network::perfect(1);
    let ack = AckBlock::new(0, None, &[]);
    for number in 0..1_000 {
        let bytes = datagram((SessionId(number), SessionId(5)), 0, 0, &ack, &[]);
        network.deliver(0, addr(1), &bytes);
    }
    let mut out = Vec::new();
    let now = network.now;
    network.nodes[0].transport.transmit(now, &mut out).unwrap();
    let prefix = Prefix::read(&mut crate::wire::Reader::new(&out)).unwrap();
    assert_eq!((prefix.kind, prefix.to, prefix.from), (Kind::Reset, SessionId(5), SessionId(0)));
    network.collect();
    assert!(network.sent < 100);
}

#[test]
fn a_reset_that_does_not_name_the_session_is_ignored() {
    let (mut network, local, remote) = open();
    for (to, from) in [(local, SessionId(1)), (SessionId(1), remote), (remote, local), (SessionId(0), SessionId(0))] {
        let mut bytes = Vec::new();
        Prefix::new(Kind::Reset, to, from).write(&mut bytes);
        bytes.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0]);
        Integrity::Crc32.seal(&mut bytes);
        network.deliver(0, addr(1), &bytes);
    }
    assert_eq!(network.losses(0), []);
}

/// The next datagram of a node, and the same with more in it than it says, under a right checksum.
fn next_and_lengthened(network: &mut Network, node: usize) -> [Vec<u8>; 2] {
    let (mut bytes, now) = (Vec::new(), network.now);
    network.nodes[node].transport.transmit(now, &mut bytes).unwrap();
    let mut longer = Integrity::Crc32.open(&bytes).unwrap().to_vec();
    longer.push(0);
    Integrity::Crc32.seal(&mut longer);
    [bytes, longer]
}

#[test]
fn an_opening_and_a_refusal_with_more_in_them_than_they_say_are_dropped() {
    let mut network = Network::perfect(2);
    let (now, mut out) = (network.now, Vec::new());
    let peer = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    network.nodes[0].transport.send(now, peer, Channel(2), &[b"x"]).unwrap();
    let garbage = |network: &Network, node: usize| network.nodes[node].transport.counters().garbage_dropped;

    let [hello, longer] = next_and_lengthened(&mut network, 0);
    network.deliver(1, addr(0), &longer);
    assert_eq!((garbage(&network, 1), network.nodes[1].transport.transmit(now, &mut out)), (1, None));
    network.deliver(1, addr(0), &hello);

    let [answer, longer] = next_and_lengthened(&mut network, 1);
    network.deliver(0, addr(1), &longer);
    assert_eq!((garbage(&network, 0), network.ups(0)), (1, 0));
    network.deliver(0, addr(1), &answer);
    assert_eq!(network.ups(0), 1);

    let [data, _] = next_and_lengthened(&mut network, 0);
    network.deliver(1, addr(0), &data);
    let peer = network.nodes[1].transport.connect(now, addr(0)).unwrap();
    network.nodes[1].transport.close(now, peer);
    let [refusal, longer] = next_and_lengthened(&mut network, 1);
    network.deliver(0, addr(1), &longer);
    assert_eq!((garbage(&network, 0), network.losses(0).len()), (2, 0));
    network.deliver(0, addr(1), &refusal);
    assert_eq!(network.losses(0), [LostReason::Reset]);
}

#[test]
fn reassembly_memory_is_shared_and_whole_messages_still_get_through() {
    let config = TransportConfig {
        max_message: 1 << 20,
        max_reassembly_bytes: 1 << 20,
        max_reassembly_bytes_per_peer: 1 << 20,
        ..TransportConfig::plain()
    };
    let impairments = Impairments { loss: 0.05, reorder: 0.1, seed: 3, ..Default::default() };
    let mut network = Network::new(4, config, impairments);
    for node in 1..4 {
        let now = network.now;
        let peer = network.nodes[node].transport.connect(now, addr(0)).unwrap();
        for _ in 0..3 {
            network.nodes[node].transport.send(now, peer, Channel(2), &[&vec![node as u8; 1 << 20]]).unwrap();
        }
    }
    network.run_until(Duration::from_secs(60), |network| {
        assert!(network.nodes[0].transport.reserved <= (1 << 20) + 131_014);
        network.messages(0).len() == 9
    });
}
