//! What is put off until the datagrams that are due have left: nothing that anybody asks for may show it.

use std::time::Duration;

use super::network::{MS, Network, addr};
use crate::impair::Impairments;
use crate::transport::path::fragment_bytes;
use crate::transport::send::FRAGMENT_CHARGE;
use crate::transport::{Channel, Peer, SendError, TransportConfig};
use crate::wire::{Integrity, Protection};

const SECOND: Duration = Duration::from_secs(1);

/// Two nodes with a session that is at rest, as each of them knows it.
fn met(config: TransportConfig) -> (Network, [Peer; 2]) {
    let mut network = Network::new(2, config, Impairments::default());
    let now = network.now;
    network.nodes[0].transport.connect(now, addr(1)).unwrap();
    network.run(SECOND);
    let peers = [0, 1].map(|node| network.nodes[node].transport.connect(network.now, addr(1 - node)).unwrap());
    (network, peers)
}

fn send(network: &mut Network, node: usize, peer: Peer, bytes: usize) -> Result<(), SendError> {
    let now = network.now;
    network.nodes[node].transport.send(now, peer, Channel(3), &[&vec![7; bytes]])
}

/// The next datagram of a node arrives at the other one, which does nothing about it yet.
fn carry(network: &mut Network, node: usize) -> bool {
    let (now, mut out) = (network.now, Vec::new());
    let written = network.nodes[node].transport.transmit(now, &mut out).is_some();
    if written {
        network.deliver(1 - node, addr(node), &out);
    }
    written
}

/// A message of node 0 to the other one, and its answer, which has the acknowledgement of it and was only received.
fn called(network: &mut Network, peers: [Peer; 2], bytes: usize) {
    send(network, 0, peers[0], bytes).unwrap();
    assert!(carry(network, 0) && !carry(network, 0));
    send(network, 1, peers[1], 1).unwrap();
    assert!(carry(network, 1) && !carry(network, 1));
}

#[test]
fn an_acknowledgement_counts_before_it_is_taken() {
    let (mut network, peers) = met(TransportConfig::plain());
    called(&mut network, peers, 100);
    let a = &mut network.nodes[0].transport;
    assert!(a.is_behind() && a.queued() > 0);
    assert_eq!((a.unacknowledged(peers[0]), a.has_room(peers[0])), (0, true));
    send(&mut network, 0, peers[0], 10).unwrap();
    assert_eq!(network.nodes[0].transport.unacknowledged(peers[0]), 1);
    // What is to be sent goes before; then it is taken.
    assert!(carry(&mut network, 0) && network.nodes[0].transport.is_behind());
    assert!(!carry(&mut network, 0) && !network.nodes[0].transport.is_behind());
    assert_eq!(network.nodes[0].transport.queued(), 10 + FRAGMENT_CHARGE);
}

#[test]
fn an_acknowledgement_of_a_part_is_taken_at_once() {
    let (mut network, peers) = met(TransportConfig { keep_alive: None, ..TransportConfig::plain() });
    send(&mut network, 0, peers[0], 100).unwrap();
    assert!(carry(&mut network, 0) && !carry(&mut network, 0));
    // One more leaves, and is lost.
    send(&mut network, 0, peers[0], 10).unwrap();
    let now = network.now;
    assert!(network.nodes[0].transport.transmit(now, &mut Vec::new()).is_some());
    send(&mut network, 1, peers[1], 1).unwrap();
    assert!(carry(&mut network, 1));
    let a = &network.nodes[0].transport;
    assert_eq!((a.queued(), a.unacknowledged(peers[0])), (10 + FRAGMENT_CHARGE, 1));
    assert!(a.next_timeout().is_some_and(|at| at < now + SECOND), "it will be sent again");
}

#[test]
fn room_in_the_window_that_an_acknowledgement_makes_is_there_before_it_is_taken() {
    let (mut network, peers) = met(TransportConfig { window_fragments: 2, ..TransportConfig::plain() });
    called(&mut network, peers, 100);
    send(&mut network, 0, peers[0], 10).unwrap();
    assert!(network.nodes[0].transport.has_room(peers[0]));
    send(&mut network, 0, peers[0], 10).unwrap();
    assert!(!network.nodes[0].transport.has_room(peers[0]));
}

#[test]
fn a_message_for_which_an_acknowledgement_makes_room_can_leave_at_once() {
    let whole = fragment_bytes(TransportConfig::plain().datagram_max, Protection::Plain(Integrity::Crc32));
    // Two datagrams of two fragments each.
    let (mut network, peers) = met(TransportConfig { window_bytes: 1, ..TransportConfig::plain() });
    send(&mut network, 0, peers[0], 3 * whole + 1).unwrap();
    while carry(&mut network, 0) {}
    send(&mut network, 1, peers[1], 1).unwrap();
    assert!(carry(&mut network, 1) && network.nodes[0].transport.queued() > 3 * whole);
    send(&mut network, 0, peers[0], whole).unwrap();
    assert!(network.nodes[0].transport.wants_transmit());
}

#[test]
fn who_asks_for_the_next_timeout_first_hears_of_what_was_put_off() {
    let (mut network, peers) = met(TransportConfig { keep_alive: None, ..TransportConfig::plain() });
    called(&mut network, peers, 100);
    let a = &mut network.nodes[0].transport;
    // The answer is to be acknowledged.
    let due = network.now + network.config.ack_delay;
    assert!(a.is_behind() && a.next_timeout().is_some_and(|at| at <= due));
    let mut events = Vec::new();
    a.timeout(due, &mut events);
    assert!(a.transmit(due, &mut Vec::new()).is_none(), "nobody sleeps so long without having caught up");
    assert!(a.next_timeout().is_some_and(|at| at <= due));
    a.timeout(due, &mut events);
    assert!(a.transmit(due, &mut Vec::new()).is_some() && events.is_empty());
    assert_eq!(a.counters().acks_bare, 1);
}

#[test]
fn who_takes_long_to_answer_does_not_give_its_caller_up() {
    let config = TransportConfig { keep_alive: None, give_up_after: SECOND, ..TransportConfig::plain() };
    let (mut network, peers) = met(config);
    called(&mut network, peers, 100);
    // A minute passes, in which the program does not come to ask.
    network.now += 60 * SECOND;
    send(&mut network, 0, peers[0], 10).unwrap();
    assert!(carry(&mut network, 0) && !carry(&mut network, 0));
    let (now, mut events) = (network.now, Vec::new());
    network.nodes[0].transport.timeout(now, &mut events);
    assert_eq!(events, []);
    network.run(10 * SECOND);
    assert_eq!((network.losses(0), network.losses(1)), (vec![], vec![]));
}

#[test]
fn what_was_acknowledged_makes_room_for_what_is_queued_before_anything_leaves() {
    let own = TransportConfig { max_queued_bytes: 1_000, ..TransportConfig::plain() };
    let of_all = TransportConfig { max_queued_bytes_of_all: 1_000, ..TransportConfig::plain() };
    for config in [own, of_all] {
        let (mut network, peers) = met(config);
        called(&mut network, peers, 600);
        assert_eq!(send(&mut network, 0, peers[0], 601), Ok(()));
        let queued = 601 + FRAGMENT_CHARGE;
        assert_eq!(network.nodes[0].transport.queued(), queued);
        assert_eq!(send(&mut network, 0, peers[0], 600), Err(SendError::Backlog { queued }));
    }
}

#[test]
fn a_session_that_ends_while_it_is_behind_leaves_nothing_behind() {
    let (mut network, peers) = met(TransportConfig::plain());
    called(&mut network, peers, 100);
    let (now, a) = (network.now, &mut network.nodes[0].transport);
    a.close(now, peers[0]);
    assert_eq!((a.queued(), a.unacknowledged(peers[0]), a.is_behind(), a.next_timeout()), (0, 0, false, None));
    network.run(MS);
    assert!(!network.nodes[0].transport.is_behind());
    assert_eq!(network.nodes[0].transport.next_timeout(), None);
}
