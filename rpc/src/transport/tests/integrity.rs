//! What guards the data: the same at both ends, or no session.

use std::time::Duration;

use super::network::{Network, addr};
use crate::Security;
use crate::impair::Impairments;
use crate::transport::{BootEpoch, Channel, LostReason, Transport, TransportConfig};
use crate::wire::{Integrity, Kind, Prefix, Protection, Reader};

const SECOND: Duration = Duration::from_secs(1);

fn config(integrity: Integrity) -> TransportConfig {
    TransportConfig::new(Security::Plain(integrity))
}

/// Node 0 guards its data with one check, node 1 with another.
fn pair(ours: Integrity, theirs: Integrity) -> Network {
    let mut network = Network::new(2, config(ours), Impairments::default());
    network.nodes[1].transport = Transport::new(config(theirs), BootEpoch(101), 101);
    network
}

fn send(network: &mut Network, from: usize, to: usize, bytes: &[u8]) {
    let (now, transport) = (network.now, &mut network.nodes[from].transport);
    let peer = transport.connect(now, addr(to)).unwrap();
    transport.send(now, peer, Channel(2), &[bytes]).unwrap();
}

#[test]
fn who_asks_for_nothing_but_plain_gets_the_crc() {
    assert_eq!(TransportConfig::plain().security, Security::Plain(Integrity::Crc32));
}

#[test]
fn two_endpoints_with_the_same_check_exchange_messages_of_every_size() {
    for integrity in Integrity::ALL {
        let mut network = pair(integrity, integrity);
        for length in [0, 1, 1_000, 1_370, 1_371, 1_372, 1_373, 1_374, 1_375, 1_376, 100_001] {
            let message: Vec<u8> = (0..length).map(|at: usize| (at % 251) as u8).collect();
            send(&mut network, 0, 1, &message);
            network.run(SECOND);
            assert_eq!(network.messages(1).last(), Some(&message), "{integrity}, {length} bytes");
        }
        assert_eq!(network.nodes[1].transport.counters().corrupt_dropped, 0);
    }
}

#[test]
fn endpoints_with_different_checks_refuse_each_other_and_say_which_they_have() {
    for ours in Integrity::ALL {
        for theirs in Integrity::ALL.into_iter().filter(|theirs| *theirs != ours) {
            let mut network = pair(ours, theirs);
            send(&mut network, 0, 1, b"never read");
            network.run(SECOND);
            assert_eq!(
                network.losses(0),
                [LostReason::Protection { ours: Protection::Plain(ours), theirs: Protection::Plain(theirs) }]
            );
            assert_eq!((network.ups(0), network.ups(1), network.messages(1).len()), (0, 0, 0));
            for node in &network.nodes {
                let counters = node.transport.counters();
                assert_eq!((counters.protection_mismatches, counters.corrupt_dropped), (1, 0), "{ours}, {theirs}");
            }
        }
    }
}

#[test]
fn crossing_hellos_with_different_checks_end_both_openings() {
    let mut network = pair(Integrity::Crc32, Integrity::None);
    send(&mut network, 0, 1, b"never read");
    send(&mut network, 1, 0, b"never read");
    network.run(SECOND);
    let reason =
        |ours, theirs| LostReason::Protection { ours: Protection::Plain(ours), theirs: Protection::Plain(theirs) };
    assert_eq!(network.losses(0), [reason(Integrity::Crc32, Integrity::None)]);
    assert_eq!(network.losses(1), [reason(Integrity::None, Integrity::Crc32)]);
    let words = network.losses(0)[0].to_string();
    assert_eq!(
        words,
        "guards its data with none, this side with crc32: give both the same key, or both the same integrity"
    );
}

#[test]
fn a_peer_that_answers_without_knowing_our_check_is_refused_by_us() {
    let mut network = pair(Integrity::Fletcher32, Integrity::Crc32);
    send(&mut network, 0, 1, b"never read");
    let (now, mut hello, mut answer) = (network.now, Vec::new(), Vec::new());
    network.nodes[0].transport.transmit(now, &mut hello).unwrap();
    // It does not look at the flags of a hello: for it they are as if they were zero.
    hello.truncate(hello.len() - 4);
    hello[4] = 0;
    Integrity::Crc32.seal(&mut hello);
    network.deliver(1, addr(0), &hello);
    network.nodes[1].transport.transmit(now, &mut answer).unwrap();
    assert_eq!(Prefix::read(&mut Reader::new(&answer)).unwrap().kind, Kind::HelloAck);
    network.deliver(0, addr(1), &answer);
    let (ours, theirs) = (Integrity::Fletcher32, Integrity::Crc32);
    assert_eq!(
        network.losses(0),
        [LostReason::Protection { ours: Protection::Plain(ours), theirs: Protection::Plain(theirs) }]
    );
}

#[test]
fn a_refusal_that_names_another_opening_or_our_own_check_ends_nothing() {
    let mut network = pair(Integrity::Crc32, Integrity::None);
    send(&mut network, 0, 1, b"read later");
    let (now, mut hello, mut refusal) = (network.now, Vec::new(), Vec::new());
    network.nodes[0].transport.transmit(now, &mut hello).unwrap();
    network.deliver(1, addr(0), &hello);
    network.nodes[1].transport.transmit(now, &mut refusal).unwrap();
    let changed = |at: usize, with: u8| {
        let mut bytes = refusal[..refusal.len() - 4].to_vec();
        bytes[at] = with;
        Integrity::Crc32.seal(&mut bytes);
        bytes
    };
    let session_byte = 5;
    network.deliver(0, addr(1), &changed(session_byte, refusal[session_byte] ^ 1));
    network.deliver(0, addr(1), &changed(4, 0));
    network.deliver(0, addr(1), &changed(4, 0xf0));
    assert_eq!(network.losses(0), []);
    network.nodes[1].transport = Transport::new(config(Integrity::Crc32), BootEpoch(7), 7);
    network.run(SECOND);
    assert_eq!(network.messages(1), [b"read later"]);
}

#[test]
fn without_a_check_damage_is_delivered_and_with_one_it_is_dropped_and_counted() {
    for integrity in Integrity::ALL {
        let mut network = pair(integrity, integrity);
        send(&mut network, 0, 1, b"first");
        network.run(SECOND);
        send(&mut network, 0, 1, &[0; 100]);
        let (now, mut datagram) = (network.now, Vec::new());
        network.nodes[0].transport.transmit(now, &mut datagram).unwrap();
        let last_of_message = datagram.len() - integrity.trailer_bytes() - 1;
        datagram[last_of_message] = 1;
        network.deliver(1, addr(0), &datagram);
        let delivered = network.messages(1).len() == 2;
        assert_eq!(delivered, integrity == Integrity::None);
        assert_eq!(network.nodes[1].transport.counters().corrupt_dropped, u64::from(!delivered));
    }
}
