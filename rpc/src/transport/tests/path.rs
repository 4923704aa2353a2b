//! Paths that carry less than an Ethernet frame, or more, or less from some moment on.

use std::time::Duration;

use super::network::{MS, Network, addr};
use crate::impair::Impairments;
use crate::transport::{Channel, Event, LostReason, Peer, TransportConfig};

const SECOND: Duration = Duration::from_secs(1);
const MESSAGE: usize = 100_000;

/// Two nodes on a path that carries datagrams of up to `mtu` bytes, and the session of the first.
fn open(mtu: usize, datagram_max: usize, impairments: Impairments) -> (Network, Peer) {
    let config = TransportConfig { datagram_max, ..TransportConfig::plain() };
    let mut network = Network::new(2, config, impairments);
    network.mtu = mtu;
    let now = network.now;
    let peer = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    network.run_until(5 * SECOND, |network| network.ups(0) + network.ups(1) == 2);
    (network, peer)
}

/// Sends messages and sees them arrive.
fn carry(network: &mut Network, peer: Peer, messages: usize) {
    let before = network.messages(1).len();
    for _ in 0..messages {
        let now = network.now;
        network.nodes[0].transport.send(now, peer, Channel(3), &[&[7; MESSAGE]]).unwrap();
    }
    network.run_until(20 * SECOND, |network| network.messages(1).len() >= before + messages);
    assert!(network.messages(1).iter().all(|message| *message == [7; MESSAGE]));
}

#[test]
fn large_messages_find_out_what_the_path_carries() {
    for (mtu, datagram_max, found) in [
        (1_472, 1_472, 1_472),
        (1_300, 1_472, 1_232),
        (1_200, 1_472, 1_200),
        (9_000, 8_972, 8_972),
        (1_480, 8_972, 1_472),
    ] {
        let (mut network, peer) = open(mtu, datagram_max, Impairments::default());
        carry(&mut network, peer, 10);
        network.run(SECOND);
        network.largest = 0;
        let probes = network.nodes[0].transport.counters().probes;
        carry(&mut network, peer, 10);
        // Fragments fill datagrams up to less than one of them.
        assert!((found - 700..=found).contains(&network.largest), "{} for {found}", network.largest);
        assert_eq!(network.nodes[0].transport.counters().probes, probes, "all is known");
        assert_eq!(network.nodes[0].transport.counters().timeouts, 0, "a lost probe is no lost datagram");
    }
}

#[test]
fn small_messages_ask_nothing() {
    let (mut network, peer) = open(1_472, 1_472, Impairments::default());
    for _ in 0..100 {
        let now = network.now;
        network.nodes[0].transport.send(now, peer, Channel(3), &[&[7; 600]]).unwrap();
        network.run(MS);
    }
    assert_eq!(network.nodes[0].transport.counters().probes, 0);
}

#[test]
fn accidents_do_not_hide_what_the_path_carries() {
    for seed in 0..20 {
        let (mut network, peer) = open(1_472, 1_472, Impairments { loss: 0.2, seed, ..Default::default() });
        carry(&mut network, peer, 10);
        network.impair(Impairments::default());
        network.run(SECOND);
        carry(&mut network, peer, 1);
        network.run(SECOND);
        network.largest = 0;
        carry(&mut network, peer, 1);
        assert!(network.largest > 1_400, "seed {seed}: {}", network.largest);
    }
}

#[test]
fn a_path_that_shrinks_in_the_middle_of_a_message_loses_nothing() {
    for loss in [0.0, 0.05] {
        let (mut network, peer) = open(8_972, 8_972, Impairments { loss, seed: 9, ..Default::default() });
        carry(&mut network, peer, 10);
        for mtu in [1_472, 1_250] {
            let now = network.now;
            network.nodes[0].transport.send(now, peer, Channel(3), &[&[7; MESSAGE]]).unwrap();
            network.run(MS / 5);
            network.mtu = mtu;
            carry(&mut network, peer, 10);
        }
        network.run(SECOND);
        network.mtu = 8_972;
        network.largest = 0;
        carry(&mut network, peer, 10);
        assert!(network.largest <= 1_250 || loss > 0.0, "{}", network.largest);
        assert_eq!((network.losses(0), network.losses(1)), (vec![], vec![]));
    }
}

#[test]
fn what_the_kernel_says_of_the_path_counts_at_once() {
    let (mut network, peer) = open(8_972, 8_972, Impairments::default());
    carry(&mut network, peer, 10);
    let (now, mut events) = (network.now, Vec::new());
    network.nodes[0].transport.too_large(now, addr(1), 1_400, &mut events);
    network.largest = 0;
    network.mtu = 1_400;
    carry(&mut network, peer, 10);
    assert!(network.largest <= 1_400);
    assert_eq!(network.nodes[0].transport.counters().timeouts, 0);
    let now = network.now;
    network.nodes[0].transport.too_large(now, addr(1), 1_000, &mut events);
    assert_eq!(events, [Event::Lost { peer, addr: addr(1), reason: LostReason::Narrow { limit: 1_000 } }]);
}
