//! What each switch of `Lessons` breaks, beside the same run without it.

use std::time::Duration;

use super::network::{MS, Network, addr};
use crate::impair::Impairments;
use crate::transport::{Channel, Lessons, SendError, TransportConfig};

const MESSAGES: usize = 400;

/// Node 0 sends messages to node 1, each when the one before should be acknowledged, over a network of this latency with these faults.
fn run(lessons: Lessons, impairments: Impairments, latency: Duration) -> Network {
    let config = TransportConfig { lessons, ..TransportConfig::plain() };
    let mut network = Network::new(2, config, impairments);
    network.latency = latency;
    let now = network.now;
    let peer = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    // The opening, and its loss, are not what is to be seen.
    network.run(200 * MS);
    for number in 0..MESSAGES {
        let now = network.now;
        network.nodes[0].transport.send(now, peer, Channel(2), &[&number.to_be_bytes()]).unwrap();
        network.run(2 * latency + 2 * MS);
    }
    network.run(Duration::from_secs(2));
    network
}

fn lossy() -> Impairments {
    Impairments { loss: 0.1, seed: 5, ..Impairments::default() }
}

#[test]
fn without_retransmission_what_is_lost_stays_lost() {
    let taught = run(Lessons { no_retransmission: true, ..Lessons::default() }, lossy(), MS / 10);
    let arrived = taught.messages(1).len();
    assert!((MESSAGES * 8 / 10..MESSAGES * 97 / 100).contains(&arrived), "{arrived}");
    assert_eq!(taught.nodes[0].transport.counters().retransmissions, 0);
    let usual = run(Lessons::default(), lossy(), MS / 10);
    assert_eq!(usual.messages(1).len(), MESSAGES);
}

#[test]
fn without_duplicate_suppression_copies_are_delivered() {
    let copies = Impairments { duplicate: 0.2, seed: 6, ..Impairments::default() };
    let taught = run(Lessons { deliver_duplicates: true, ..Lessons::default() }, copies, MS / 10);
    assert!(taught.messages(1).len() > MESSAGES * 11 / 10, "{}", taught.messages(1).len());
    assert_eq!(run(Lessons::default(), copies, MS / 10).messages(1).len(), MESSAGES);
}

#[test]
fn a_fixed_timeout_that_is_shorter_than_the_round_trip_repeats_everything() {
    let fixed = Lessons { fixed_timeout: Some(4 * MS), ..Lessons::default() };
    let taught = run(fixed, Impairments::default(), 10 * MS).nodes[0].transport.counters();
    assert!(taught.retransmissions > MESSAGES as u64, "{taught:?}");
    let usual = run(Lessons::default(), Impairments::default(), 10 * MS).nodes[0].transport.counters();
    assert!(usual.retransmissions < 20, "{usual:?}");
}

#[test]
fn without_back_off_a_peer_that_is_silent_gets_far_more() {
    // Nothing arrives any more, so the timer runs out again and again.
    let sent = |lessons: Lessons| {
        let config = TransportConfig { lessons, keep_alive: None, ..TransportConfig::plain() };
        let mut network = Network::new(2, config, Impairments::default());
        let now = network.now;
        let peer = network.nodes[0].transport.connect(now, addr(1)).unwrap();
        network.run(100 * MS);
        network.nodes[0].transport.send(network.now, peer, Channel(2), &[b"now"]).unwrap();
        network.run(100 * MS);
        network.latency = Duration::from_secs(100);
        network.nodes[0].transport.send(network.now, peer, Channel(2), &[b"never"]).unwrap();
        network.run(Duration::from_secs(1));
        network.nodes[0].transport.counters().retransmissions
    };
    let (taught, usual) = (sent(Lessons { no_back_off: true, ..Lessons::default() }), sent(Lessons::default()));
    assert!(taught > 10 * usual.max(5), "{taught} {usual}");
}

#[test]
fn without_fragmentation_what_does_not_fit_into_one_datagram_is_refused_by_name() {
    let lessons = Lessons { no_fragmentation: true, ..Lessons::default() };
    let mut network = run(lessons, Impairments::default(), MS / 10);
    let (now, transport) = (network.now, &mut network.nodes[0].transport);
    let peer = transport.connect(now, addr(1)).unwrap();
    let refused = transport.send(now, peer, Channel(2), &[&[7; 100_000]]);
    let Err(SendError::NotFragmented { bytes: 100_000, limit }) = refused else { panic!("{refused:?}") };
    assert!(limit < 65_507);
    transport.send(now, peer, Channel(2), &[&vec![7; limit]]).unwrap();
    network.run(100 * MS);
    assert_eq!(network.messages(1).last(), Some(&vec![7; limit]));
    assert_eq!(network.messages(1).len(), MESSAGES + 1);
}

#[test]
fn without_working_acknowledgements_a_request_is_repeated_until_its_reply_comes() {
    let lessons = Lessons { no_working_acks: true, ..Lessons::default() };
    let taught = run(lessons, Impairments::default(), MS / 10);
    assert_eq!(taught.messages(1).len(), MESSAGES);
    let counters = taught.nodes[0].transport.counters();
    assert!(counters.retransmissions > MESSAGES as u64 / 2, "{counters:?}");
    let usual = run(Lessons::default(), Impairments::default(), MS / 10);
    assert_eq!(usual.nodes[0].transport.counters().retransmissions, 0);
}
