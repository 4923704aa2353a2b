//! Openings, restarts, refusals, silence.

use std::time::Duration;

use super::network::{MS, Network, addr};
use crate::impair::Impairments;
use crate::transport::{Channel, Event, LostReason, Peer, SendError, TransportConfig};
use crate::wire::{Integrity, Kind, Prefix, SessionId, VERSION};

const SECOND: Duration = Duration::from_secs(1);

fn connect(network: &mut Network, node: usize, to: usize) -> Peer {
    let now = network.now;
    network.nodes[node].transport.connect(now, addr(to)).unwrap()
}

fn send(network: &mut Network, node: usize, peer: Peer, bytes: &[u8]) -> Result<(), SendError> {
    let now = network.now;
    network.nodes[node].transport.send(now, peer, Channel(2), &[bytes])
}

fn silence(seed: u64) -> Impairments {
    Impairments { loss: 1.0, seed, ..Default::default() }
}

#[test]
fn connecting_twice_gives_the_same_session() {
    let mut network = Network::perfect(2);
    let peer = connect(&mut network, 0, 1);
    assert_eq!(connect(&mut network, 0, 1), peer);
    network.run(SECOND);
    assert_eq!(connect(&mut network, 0, 1), peer);
    assert_eq!((network.ups(0), network.ups(1)), (1, 1));
}

#[test]
fn the_side_that_was_called_hears_of_the_session_even_if_nothing_is_sent() {
    for keep_alive in [TransportConfig::plain().keep_alive, None] {
        for seed in 0..50 {
            let config = TransportConfig { keep_alive, ..TransportConfig::plain() };
            let impairments = Impairments { loss: 0.3, seed, ..Default::default() };
            let mut network = Network::new(2, config, impairments);
            connect(&mut network, 0, 1);
            network.run_until(5 * SECOND, |network| network.ups(0) == 1 && network.ups(1) == 1);
        }
    }
}

#[test]
fn crossing_hellos_give_one_session() {
    for seed in 0..200 {
        let impairments =
            Impairments { loss: 0.2, duplicate: 0.2, reorder: 0.3, delay: 5 * MS, seed, ..Default::default() };
        let mut network = Network::new(2, TransportConfig::plain(), impairments);
        let first = connect(&mut network, 0, 1);
        send(&mut network, 0, first, b"from 0").unwrap();
        network.run(Duration::from_micros(seed * 50));
        let second = connect(&mut network, 1, 0);
        send(&mut network, 1, second, b"from 1").unwrap();
        network
            .run_until(5 * SECOND, |network| network.messages(0) == [b"from 1"] && network.messages(1) == [b"from 0"]);
        network.run(SECOND);
        for node in 0..2 {
            assert_eq!((network.ups(node), network.losses(node)), (1, vec![]), "seed {seed}, node {node}");
            assert_eq!(network.messages(node).len(), 1);
        }
    }
}

#[test]
fn a_peer_that_was_restarted_is_a_new_session() {
    for seed in 0..50 {
        let impairments = Impairments { loss: 0.1, duplicate: 0.3, reorder: 0.3, seed, ..Default::default() };
        let mut network = Network::new(2, TransportConfig::plain(), impairments);
        let peer = connect(&mut network, 0, 1);
        send(&mut network, 0, peer, b"to the old one").unwrap();
        network.run_until(SECOND, |network| network.messages(1).len() == 1);
        network.restart(1, 999);
        let back = connect(&mut network, 1, 0);
        send(&mut network, 1, back, b"from the new one").unwrap();
        network.run_until(5 * SECOND, |network| network.messages(0).len() == 1);
        network.run(SECOND);
        assert_eq!(network.losses(0), [LostReason::Restarted], "seed {seed}");
        assert_eq!(network.ups(0), 2);
        assert_eq!(network.messages(1).len(), 0, "what was sent to the old process does not reach the new one");
        assert_eq!(send(&mut network, 0, peer, b"late"), Err(SendError::Gone));
        let again = connect(&mut network, 0, 1);
        assert_ne!(again, peer);
        send(&mut network, 0, again, b"to the new one").unwrap();
        network.run_until(SECOND, |network| network.messages(1) == [b"to the new one"]);
    }
}

#[test]
fn a_restarted_peer_that_says_nothing_is_noticed_when_it_is_spoken_to() {
    let mut network = Network::perfect(2);
    let peer = connect(&mut network, 0, 1);
    network.run(SECOND);
    network.restart(1, 999);
    send(&mut network, 0, peer, b"are you there?").unwrap();
    network.run(100 * MS);
    assert_eq!(network.losses(0), [LostReason::Restarted]);
}

#[test]
fn a_late_or_forged_hello_does_not_end_a_session() {
    let mut network = Network::perfect(2);
    let peer = connect(&mut network, 0, 1);
    network.run(SECOND);
    let mut stranger = Network::perfect(2);
    stranger.restart(1, 4_242);
    connect(&mut stranger, 1, 0);
    let mut hello = Vec::new();
    let now = stranger.now;
    stranger.nodes[1].transport.transmit(now, &mut hello).unwrap();
    network.deliver(0, addr(1), &hello);
    network.run(10 * SECOND);
    assert_eq!(network.losses(0), []);
    send(&mut network, 0, peer, b"still here").unwrap();
    network.run(SECOND);
    assert_eq!(network.messages(1), [b"still here"]);
}

#[test]
fn a_peer_that_closes_is_lost_by_reset() {
    let mut network = Network::perfect(2);
    let peer = connect(&mut network, 0, 1);
    network.run(SECOND);
    let now = network.now;
    network.nodes[0].transport.close(now, peer);
    network.run(100 * MS);
    assert_eq!(network.losses(1), [LostReason::Reset]);
    assert_eq!(network.losses(0), []);
    let again = connect(&mut network, 0, 1);
    send(&mut network, 0, again, b"again").unwrap();
    network.run(SECOND);
    assert_eq!((network.messages(1), network.ups(1)), (vec![b"again".to_vec()], 2));
}

#[test]
fn a_silent_peer_is_given_up_in_time_and_a_quiet_one_is_not() {
    let mut network = Network::perfect(2);
    connect(&mut network, 0, 1);
    network.run(60 * SECOND);
    assert_eq!((network.losses(0), network.losses(1)), (vec![], vec![]));
    network.impair(silence(1));
    network.run(5 * SECOND);
    assert_eq!((network.losses(0), network.losses(1)), (vec![LostReason::Silent], vec![LostReason::Silent]));
}

#[test]
fn a_quiet_peer_is_not_given_up_on_a_link_that_loses_a_third() {
    for seed in 0..4 {
        let impairments = Impairments { loss: 0.33, seed, ..Default::default() };
        let mut network = Network::new(2, TransportConfig::plain(), impairments);
        connect(&mut network, 0, 1);
        network.run(3_600 * SECOND);
        assert_eq!((network.losses(0), network.losses(1)), (vec![], vec![]), "seed {seed}");
    }
}

#[test]
fn late_copies_of_what_a_dead_peer_sent_are_no_sign_of_life() {
    let mut network = Network::perfect(2);
    let peer = connect(&mut network, 0, 1);
    network.run(SECOND);
    let now = network.now;
    let (from, mut copy) = (addr(0), Vec::new());
    network.nodes[0].transport.send(now, peer, Channel(2), &[b"once"]).unwrap();
    network.nodes[0].transport.transmit(now, &mut copy).unwrap();
    network.deliver(1, from, &copy);
    network.impair(silence(1));
    for _ in 0..5 {
        network.run(SECOND);
        network.deliver(1, from, &copy);
    }
    assert_eq!(network.losses(1), [LostReason::Silent]);
}

#[test]
fn of_two_that_are_quiet_only_one_asks() {
    let mut network = Network::perfect(2);
    connect(&mut network, 0, 1);
    network.run(SECOND);
    let pings = |network: &Network| [0, 1].map(|node| network.nodes[node].transport.counters().pings);
    let (before, sent) = (pings(&network), network.sent);
    network.run(30 * SECOND);
    let after = pings(&network);
    let mut asked = [after[0] - before[0], after[1] - before[1]];
    asked.sort_unstable();
    assert!(asked[0] <= 1 && (23..=24).contains(&asked[1]), "{asked:?}");
    assert_eq!(network.sent - sent, 2 * (asked[0] + asked[1]));
}

#[test]
fn without_keep_alive_only_a_peer_that_owes_an_acknowledgement_is_given_up() {
    let config = TransportConfig { keep_alive: None, ..TransportConfig::plain() };
    let mut network = Network::new(2, config, Impairments::default());
    let peer = connect(&mut network, 0, 1);
    network.run(SECOND);
    network.impair(silence(1));
    network.run(100 * SECOND);
    assert_eq!(network.losses(0), []);
    send(&mut network, 0, peer, b"hello?").unwrap();
    network.run(9 * SECOND);
    assert_eq!(network.losses(0), []);
    network.run(2 * SECOND);
    assert_eq!(network.losses(0), [LostReason::Silent]);
}

#[test]
fn an_endpoint_that_was_stopped_asks_before_it_judges() {
    let mut network = Network::perfect(2);
    connect(&mut network, 0, 1);
    network.run(SECOND);
    network.now += 100 * SECOND;
    network.run(10 * SECOND);
    assert_eq!((network.losses(0), network.losses(1)), (vec![], vec![]));
}

#[test]
fn nobody_there_is_unreachable_after_the_connect_timeout() {
    let mut network = Network::perfect(1);
    let peer = connect(&mut network, 0, 1);
    send(&mut network, 0, peer, b"anyone?").unwrap();
    let now = network.now;
    network.nodes[0].transport.refused(now, addr(1), &mut Vec::new());
    network.run(4 * SECOND);
    assert_eq!(network.losses(0), []);
    assert_eq!(network.nodes[0].transport.unacknowledged(peer), 1);
    network.run(2 * SECOND);
    assert_eq!(network.losses(0), [LostReason::Unreachable]);
    assert_eq!(network.nodes[0].transport.next_timeout(), None);
}

#[test]
fn a_refusal_ends_an_open_session() {
    let mut network = Network::perfect(2);
    let peer = connect(&mut network, 0, 1);
    network.run(SECOND);
    let mut events = Vec::new();
    let now = network.now;
    network.nodes[0].transport.refused(now, addr(1), &mut events);
    assert_eq!(events, [Event::Lost { peer, addr: addr(1), reason: LostReason::Refused }]);
}

#[test]
fn a_peer_of_another_version_is_named_as_such() {
    let mut network = Network::perfect(1);
    connect(&mut network, 0, 1);
    let mut hello = Vec::new();
    let now = network.now;
    network.nodes[0].transport.transmit(now, &mut hello).unwrap();
    // The other side, of version 9, refuses as the version-independent part of the format says.
    let prefix = Prefix::read(&mut crate::wire::Reader::new(&hello)).unwrap();
    let mut notice = Vec::new();
    let answer = Prefix { version: 9, ..Prefix::new(Kind::Reset, prefix.from, SessionId::UNKNOWN) };
    answer.write(&mut notice);
    notice.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 0]);
    Integrity::Crc32.seal(&mut notice);
    network.deliver(0, addr(1), &notice);
    assert_eq!(network.losses(0), [LostReason::Version { theirs: 9 }]);
}

#[test]
fn a_hello_of_another_version_is_refused_with_ours() {
    let mut network = Network::perfect(2);
    connect(&mut network, 1, 0);
    let (mut hello, mut answer) = (Vec::new(), Vec::new());
    let now = network.now;
    network.nodes[1].transport.transmit(now, &mut hello).unwrap();
    hello.truncate(hello.len() - 4);
    hello[2] = VERSION + 1;
    Integrity::Crc32.seal(&mut hello);
    network.deliver(0, addr(1), &hello);
    assert_eq!(network.nodes[0].transport.transmit(now, &mut answer), Some(addr(1)));
    assert!(answer.len() <= hello.len());
    assert_eq!(Prefix::read(&mut crate::wire::Reader::new(&answer)).unwrap().kind, Kind::Reset);
    assert_eq!(network.nodes[0].transport.counters().version_mismatches, 1);
    assert_eq!(network.ups(0), 0);
}

#[test]
fn queues_are_bounded_and_sizes_checked() {
    let config =
        TransportConfig { max_message: 1_000, max_queued_bytes: 10_000, max_peers: 1, ..TransportConfig::plain() };
    let mut network = Network::new(2, config, silence(1));
    let peer = connect(&mut network, 0, 1);
    assert_eq!(send(&mut network, 0, peer, &[0; 1_001]), Err(SendError::TooLarge { bytes: 1_001, limit: 1_000 }));
    let taken = (0..1_000).take_while(|_| send(&mut network, 0, peer, &[]).is_ok()).count();
    assert!((100..200).contains(&taken));
    assert!(matches!(send(&mut network, 0, peer, &[]), Err(SendError::Backlog { .. })));
    let now = network.now;
    assert_eq!(network.nodes[0].transport.connect(now, addr(5)), Err(SendError::TooManyPeers { limit: 1 }));
    network.impair(Impairments::default());
    network.run(SECOND);
    assert_eq!(network.messages(1).len(), taken);
    network.impair(silence(2));
    let taken = (0..1_000).take_while(|_| send(&mut network, 0, peer, &[]).is_ok()).count();
    assert!((100..200).contains(&taken));
}

#[test]
fn a_message_that_the_peer_is_too_small_for_ends_the_session_instead_of_hanging() {
    let mut network = Network::perfect(2);
    network.config.max_message = 1_000;
    network.restart(1, 5);
    let peer = connect(&mut network, 0, 1);
    send(&mut network, 0, peer, &[0; 5_000]).unwrap();
    network.run(SECOND);
    assert_eq!(network.losses(0), [LostReason::TooSmall]);
    let peer = connect(&mut network, 0, 1);
    network.run(SECOND);
    assert!(matches!(send(&mut network, 0, peer, &[0; 5_000]), Err(SendError::TooLarge { limit: 1_000, .. })));
}

#[test]
fn the_late_first_words_of_a_dead_incarnation_do_not_end_the_session_of_the_next() {
    let mut network = Network::perfect(2);
    let peer = connect(&mut network, 1, 0);
    network.run_until(SECOND, |network| network.ups(1) == 1);
    send(&mut network, 1, peer, b"late").unwrap();
    let (now, mut late) = (network.now, Vec::new());
    network.nodes[1].transport.transmit(now, &mut late).unwrap();
    network.restart(1, 500);
    connect(&mut network, 1, 0);
    network.run(100 * MS);
    assert_eq!((network.ups(0), network.ups(1)), (1, 1));
    network.deliver(0, addr(1), &late);
    network.run(100 * MS);
    assert_eq!((network.losses(0), network.losses(1)), (vec![], vec![]));
    assert_eq!(network.messages(0), Vec::<Vec<u8>>::new());
}

#[test]
fn the_late_first_words_of_a_dead_incarnation_do_not_end_the_session_that_we_open_with_the_next() {
    let mut network = Network::perfect(2);
    let peer = connect(&mut network, 1, 0);
    network.run_until(SECOND, |network| network.ups(1) == 1);
    send(&mut network, 1, peer, b"late").unwrap();
    let (now, mut late) = (network.now, Vec::new());
    network.nodes[1].transport.transmit(now, &mut late).unwrap();
    network.restart(1, 500);
    connect(&mut network, 0, 1);
    network.run(100 * MS);
    assert_eq!((network.ups(0), network.ups(1)), (1, 1));
    network.deliver(0, addr(1), &late);
    network.run(100 * MS);
    assert_eq!((network.losses(0), network.losses(1)), (vec![], vec![]));
}
