//! Whatever the network does, every message arrives once, and everything drains when it heals.

use std::collections::BTreeMap;
use std::time::Duration;

use super::network::{MS, Network, addr};
use crate::Key;
use crate::impair::Impairments;
use crate::transport::random::Random;
use crate::transport::{Channel, Peer, TransportConfig};
use crate::wire::Flags;

/// A message whose bytes follow from its number.
fn message(number: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(number);
    let mut bytes = number.to_be_bytes().to_vec();
    while bytes.len() < length + 8 {
        bytes.extend_from_slice(&random.next().to_be_bytes());
    }
    bytes.truncate(length + 8);
    bytes
}

fn length(random: &mut Random) -> usize {
    match random.below(20) {
        0 => 0,
        1 => random.below(300_000) as usize,
        2..5 => random.below(20_000) as usize,
        _ => random.below(200) as usize,
    }
}

fn check(network: &Network, node: usize, sent: &BTreeMap<u64, Vec<u8>>) {
    let mut arrived = BTreeMap::new();
    for bytes in network.messages(node) {
        let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
        assert!(sent.get(&number).is_some_and(|message| *message == bytes), "message {number} is damaged");
        assert!(arrived.insert(number, ()).is_none(), "message {number} came twice");
    }
    assert_eq!(arrived.len(), sent.len());
}

fn torture(impairments: Impairments, config: TransportConfig, messages: u64) {
    let mut network = Network::new(2, config, impairments);
    let mut random = Random::new(impairments.seed.wrapping_mul(77));
    let now = network.now;
    let peers: Vec<Peer> =
        (0..2).map(|node| network.nodes[node].transport.connect(now, addr(1 - node)).unwrap()).collect();
    let mut sent = [BTreeMap::new(), BTreeMap::new()];
    for number in 0..messages {
        let node = random.below(2) as usize;
        let body = message(number, length(&mut random));
        let now = network.now;
        let (head, tail) = body.split_at(body.len() / 3);
        network.nodes[node].transport.send(now, peers[node], Channel(3), &[head, &[], tail]).unwrap();
        sent[1 - node].insert(number, body);
        if random.below(3) == 0 {
            network.run(Duration::from_micros(random.below(3_000)));
        }
    }
    network.run(100 * MS);
    network.impair(Impairments::default());
    network.run_until(Duration::from_secs(60), |network| {
        (0..2).all(|node| network.nodes[node].transport.unacknowledged(peers[node]) == 0)
    });
    network.run(10 * MS);
    for (node, sent) in sent.iter().enumerate() {
        check(&network, node, sent);
        assert_eq!((network.ups(node), network.losses(node)), (1, vec![]));
        assert_eq!(network.nodes[node].transport.reserved, 0);
    }
}

#[test]
fn every_message_arrives_once_over_a_bad_network() {
    for seed in 0..60 {
        torture(
            Impairments { loss: 0.1, duplicate: 0.1, reorder: 0.2, corrupt: 0.05, delay: MS / 5, seed },
            TransportConfig::plain(),
            60,
        );
    }
}

#[test]
fn every_message_arrives_once_over_a_terrible_network() {
    for seed in 100..120 {
        torture(
            Impairments { loss: 0.4, duplicate: 0.4, reorder: 0.4, corrupt: 0.1, delay: MS, seed },
            TransportConfig::plain(),
            30,
        );
    }
}

#[test]
fn every_message_arrives_once_with_a_key_however_bad_the_network() {
    let config = || TransportConfig::new(Key::from_bytes([9; 32]));
    for seed in 300..340 {
        let bad = Impairments { loss: 0.1, duplicate: 0.1, reorder: 0.2, corrupt: 0.05, delay: MS / 5, seed };
        torture(bad, config(), 60);
        let terrible = Impairments { loss: 0.4, duplicate: 0.4, reorder: 0.4, corrupt: 0.1, delay: MS, seed };
        torture(terrible, config(), 30);
    }
}

#[test]
fn every_message_arrives_once_through_a_small_window_and_small_datagrams() {
    for seed in 200..220 {
        let config = TransportConfig {
            window_fragments: 8,
            window_bytes: 2_000,
            datagram_max: 508,
            max_message: 400_000,
            ..TransportConfig::plain()
        };
        torture(Impairments { loss: 0.1, duplicate: 0.1, reorder: 0.2, seed, ..Default::default() }, config, 30);
    }
}

#[test]
fn a_message_of_several_megabytes_arrives_over_a_lossy_network() {
    let impairments = Impairments { loss: 0.05, reorder: 0.05, seed: 5, ..Default::default() };
    let mut network = Network::new(2, TransportConfig::plain(), impairments);
    let now = network.now;
    let peer = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    let body = message(1, 16 << 20).split_off(8);
    network.nodes[0].transport.send(now, peer, Channel(9), &[&body]).unwrap();
    network.run_until(Duration::from_secs(100), |network| !network.messages(1).is_empty());
    assert!(network.messages(1) == [body]);
}

#[test]
fn a_call_and_its_reply_cost_two_datagrams() {
    let mut network = Network::perfect(2);
    let now = network.now;
    let client = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    network.run(10 * MS);
    let server = network.nodes[1].transport.connect(network.now, addr(0)).unwrap();
    let before = network.sent;
    for _ in 0..100 {
        let now = network.now;
        network.nodes[0].transport.send(now, client, Channel::CALL, &[b"request"]).unwrap();
        network.run(MS / 10);
        let now = network.now;
        network.nodes[1].transport.send(now, server, Channel::CALL, &[b"reply"]).unwrap();
        network.run(MS / 10);
    }
    assert_eq!(network.sent - before, 200);
    network.run(MS);
    assert_eq!(network.sent - before, 201, "the last reply gets a bare acknowledgement");
}

#[test]
fn a_request_whose_reply_takes_long_is_acknowledged_and_not_sent_again() {
    let mut network = Network::perfect(2);
    let now = network.now;
    let client = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    network.run(10 * MS);
    let before = network.nodes[1].transport.counters().acks_bare;
    network.nodes[0].transport.send(network.now, client, Channel::CALL, &[b"request"]).unwrap();
    network.run(400 * MS);
    assert_eq!(network.nodes[0].transport.unacknowledged(client), 0);
    assert_eq!(network.nodes[0].transport.counters().retransmissions, 0);
    assert_eq!(network.nodes[1].transport.counters().acks_bare, before + 1);
}

#[test]
fn where_the_window_is_four_datagrams_every_second_one_asks_for_its_acknowledgement() {
    let config = TransportConfig { window_bytes: 4 * 1_500, ..TransportConfig::plain() };
    let mut network = Network::new(2, config, Impairments::default());
    let now = network.now;
    let peer = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    network.nodes[0].transport.send(now, peer, Channel(1), &[&[1; 100_000]]).unwrap();
    network.run_until(Duration::from_secs(10), |network| network.messages(1).len() == 1);
    network.nodes[0].transport.send(network.now, peer, Channel(1), &[&[2; 100_000]]).unwrap();
    network.tape = Some(Vec::new());
    network.run_until(Duration::from_secs(10), |network| network.messages(1).len() == 2);
    let tape = network.tape.take().unwrap();
    let large = tape.iter().filter(|(from, _, datagram)| *from == addr(0) && datagram.len() > 1_400);
    let asks: Vec<bool> = large.map(|(_, _, datagram)| Flags(datagram[4]).has(Flags::PING)).collect();
    assert!(asks.len() > 60, "{asks:?}");
    assert!(asks.iter().filter(|asks| **asks).count() <= asks.len().div_ceil(2), "{asks:?}");
    // In each window some do, or it would not be opened again until the receiver has waited.
    assert!(asks.windows(4).all(|window| window.contains(&true)), "{asks:?}");
}

#[test]
fn small_messages_that_are_queued_together_share_a_datagram() {
    let mut network = Network::perfect(2);
    let now = network.now;
    let peer = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    network.run(10 * MS);
    let before = network.sent;
    for _ in 0..40 {
        network.nodes[0].transport.send(network.now, peer, Channel(2), &[b"tiny"]).unwrap();
    }
    network.collect();
    assert_eq!(network.sent - before, 1);
    network.run(10 * MS);
    assert_eq!(network.messages(1).len(), 40);
}

#[test]
fn without_acknowledgement_delay_a_call_costs_four_datagrams() {
    let config = TransportConfig { ack_delay: Duration::ZERO, ..TransportConfig::plain() };
    let mut network = Network::new(2, config, Impairments::default());
    let now = network.now;
    let client = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    network.run(10 * MS);
    let server = network.nodes[1].transport.connect(network.now, addr(0)).unwrap();
    let before = network.sent;
    for (node, peer) in [(0, client), (1, server)] {
        let now = network.now;
        network.nodes[node].transport.send(now, peer, Channel::CALL, &[b"body"]).unwrap();
        network.run(MS);
    }
    assert_eq!(network.sent - before, 4);
}
