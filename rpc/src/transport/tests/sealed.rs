//! With a key: who has another one stays out, and what is sent again, changed or forged does nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::network::{MS, Network, addr};
use crate::impair::Impairments;
use crate::security::data::PACKETS_MAX;
use crate::time::Time;
use crate::transport::peers::State;
use crate::transport::{BootEpoch, Channel, Counters, LostReason, Peer, Transport, TransportConfig};
use crate::wire::{Flags, SEAL_BYTES, SEALED_HEADER_BYTES};
use crate::wire::{Integrity, Kind, Prefix, Protection, Reader, Reset, ResetReason, VERSION};
use crate::{Key, Security};

const SECOND: Duration = Duration::from_secs(1);

fn key(fill: u8) -> Key {
    Key::from_bytes([fill; 32])
}

fn config() -> TransportConfig {
    TransportConfig::new(key(1))
}

fn sealed(nodes: usize) -> Network {
    let mut network = Network::new(nodes, config(), Impairments::default());
    network.tape = Some(Vec::new());
    network
}

/// Node 0 has a key; node 1 has this instead.
fn pair(theirs: impl Into<Security>) -> Network {
    let mut network = sealed(2);
    network.nodes[1].transport = Transport::new(TransportConfig::new(theirs), BootEpoch(101), 101);
    network
}

fn connect(network: &mut Network, from: usize, to: usize) -> Peer {
    let now = network.now;
    network.nodes[from].transport.connect(now, addr(to)).unwrap()
}

fn send(network: &mut Network, from: usize, to: usize, bytes: &[u8]) {
    let peer = connect(network, from, to);
    let now = network.now;
    network.nodes[from].transport.send(now, peer, Channel(2), &[bytes]).unwrap();
}

fn counters(network: &Network, node: usize) -> Counters {
    network.nodes[node].transport.counters()
}

/// What a node has to send now.
fn outgoing(network: &mut Network, node: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let (mut all, mut out) = (Vec::new(), Vec::new());
    let now = network.now;
    while let Some(to) = network.nodes[node].transport.transmit(now, &mut out) {
        all.push((to, out.clone()));
    }
    all
}

fn kind(datagram: &[u8]) -> Kind {
    Prefix::read(&mut Reader::new(datagram)).unwrap().kind
}

/// The last datagram of this kind on the tape that went to a node.
fn recorded(network: &Network, to: usize, of: Kind) -> Vec<u8> {
    let tape = network.tape.as_ref().unwrap().iter().rev();
    let found = tape.filter(|(_, at, bytes)| *at == addr(to) && kind(bytes) == of).map(|(_, _, bytes)| bytes.clone());
    found.into_iter().next().unwrap()
}

/// With its CRC made right again, as an attacker would.
fn resealed(mut datagram: Vec<u8>) -> Vec<u8> {
    datagram.truncate(datagram.len() - 4);
    Integrity::Crc32.seal(&mut datagram);
    datagram
}

#[test]
fn messages_of_every_size_cross_and_nobody_sees_them() {
    let mut network = sealed(2);
    for length in [0, 1, 16, 1_000, 1_360, 1_361, 1_362, 1_363, 1_364, 1_365, 100_001] {
        let message: Vec<u8> = (0..length).map(|at: usize| (at % 251) as u8).collect();
        send(&mut network, 0, 1, &message);
        network.run(SECOND);
        assert_eq!(network.messages(1).last(), Some(&message), "{length} bytes");
    }
    assert_eq!((counters(&network, 1).corrupt_dropped, counters(&network, 1).replays_dropped), (0, 0));
    let ramp: Vec<u8> = (100..132).collect();
    let tape = network.tape.unwrap();
    assert!(tape.iter().all(|(_, _, bytes)| bytes.windows(ramp.len()).all(|window| window != ramp)));
}

#[test]
fn what_is_sealed_are_whole_blocks_where_the_datagram_has_room_for_that() {
    let mut network = sealed(2);
    let peer = connect(&mut network, 0, 1);
    // How large datagrams may be is found out meanwhile.
    let mut sizes = BTreeSet::new();
    for length in (0..40).chain(1_050..1_400).chain([100_001]) {
        sizes.extend(network.nodes[0].transport.datagram_size(peer));
        send(&mut network, 0, 1, &vec![7; length]);
        network.run(SECOND);
    }
    let tape = network.tape.unwrap();
    // Those that find it out are as long as they must be.
    let about_the_path = |bytes: &[u8]| {
        let flags = Prefix::read(&mut Reader::new(bytes)).unwrap().flags;
        flags.has(Flags::PROBE) || flags.has(Flags::PROBED)
    };
    let data = tape.iter().filter(|(_, _, bytes)| kind(bytes) == Kind::Data && !about_the_path(bytes));
    let (whole, others): (Vec<_>, Vec<_>) = data
        .map(|(_, _, bytes)| bytes.len())
        .partition(|length| (length - SEALED_HEADER_BYTES - SEAL_BYTES).is_multiple_of(16));
    assert!(whole.len() > 700 && !others.is_empty(), "{} whole, {} others", whole.len(), others.len());
    let no_room = |length: usize| sizes.iter().any(|size| (length..length + 16).contains(size));
    assert!(others.iter().all(|length| no_room(*length)), "{others:?} of {sizes:?}");
}

#[test]
fn the_same_seeds_give_the_same_datagrams() {
    let tape = || {
        let mut network = sealed(2);
        send(&mut network, 0, 1, b"again");
        network.run(SECOND);
        network.tape.unwrap()
    };
    assert_eq!(tape(), tape());
}

#[test]
fn who_has_another_key_is_refused_and_counted_on_both_sides() {
    let mut network = pair(key(2));
    send(&mut network, 0, 1, b"never read");
    network.run(2 * SECOND);
    assert_eq!(network.losses(0), [LostReason::WrongKey]);
    assert_eq!((network.ups(0), network.ups(1), network.messages(1).len()), (0, 0, 0));
    assert!(counters(&network, 0).wrong_key >= 1 && counters(&network, 1).wrong_key >= 1);
}

#[test]
fn an_endpoint_with_a_key_and_a_plain_one_refuse_each_other_by_name() {
    for integrity in Integrity::ALL {
        let (with, without) = (Protection::Sealed, Protection::Plain(integrity));
        let mut network = pair(Security::Plain(integrity));
        send(&mut network, 0, 1, b"never read");
        network.run(2 * SECOND);
        assert_eq!(network.losses(0), [LostReason::Protection { ours: with, theirs: without }]);
        let mut network = pair(Security::Plain(integrity));
        send(&mut network, 1, 0, b"never read");
        network.run(2 * SECOND);
        assert_eq!(network.losses(1), [LostReason::Protection { ours: without, theirs: with }]);
        assert_eq!((network.ups(0), network.ups(1)), (0, 0));
        assert!(counters(&network, 0).protection_mismatches > 0 && counters(&network, 1).protection_mismatches > 0);
    }
}

#[test]
fn refusals_that_nobody_vouches_for_end_no_opening_that_a_genuine_answer_reaches() {
    for (reason, version, flags) in [
        (ResetReason::WrongKey, VERSION, 0x40),
        (ResetReason::Protection, VERSION, 0),
        (ResetReason::Version, VERSION + 1, 0x40),
        (ResetReason::NoSession, VERSION, 0x40),
    ] {
        let mut network = sealed(2);
        send(&mut network, 0, 1, b"read all the same");
        network.collect();
        let hello = Prefix::read(&mut Reader::new(&recorded(&network, 1, Kind::Hello))).unwrap();
        let mut forged = Vec::new();
        let prefix = Prefix::new(Kind::Reset, hello.from, hello.to);
        Prefix { version, flags: crate::wire::Flags(flags), ..prefix }.write(&mut forged);
        Reset { reason, boot: 101 }.write(&mut forged);
        Integrity::Crc32.seal(&mut forged);
        network.deliver(0, addr(1), &forged);
        network.run(SECOND);
        assert_eq!((network.ups(0), network.losses(0)), (1, vec![]), "{reason:?}");
        // And no such thing ends a session.
        network.deliver(0, addr(1), &forged);
        network.run(3 * SECOND);
        assert_eq!((network.messages(1).len(), network.losses(0)), (1, vec![]), "{reason:?}");
    }
}

#[test]
fn crossing_hellos_make_one_session_whatever_is_lost() {
    for seed in 0..200 {
        let impairments = Impairments { loss: 0.3, duplicate: 0.2, reorder: 0.3, seed, ..Default::default() };
        let mut network = Network::new(2, config(), impairments);
        send(&mut network, 0, 1, b"zero");
        if seed % 2 == 0 {
            network.run(MS / 20 * (seed as u32 % 40));
        }
        send(&mut network, 1, 0, b"one");
        network.run(300 * MS);
        network.impair(Impairments::default());
        network.run(3 * SECOND);
        for node in 0..2 {
            assert_eq!((network.ups(node), network.losses(node)), (1, vec![]), "seed {seed}, node {node}");
        }
        assert_eq!((network.messages(0), network.messages(1)), (vec![b"one".to_vec()], vec![b"zero".to_vec()]));
    }
}

#[test]
fn everything_sent_again_changes_nothing_and_is_counted() {
    let mut network = sealed(2);
    // A session that is over, with its reset, and one that is open.
    send(&mut network, 0, 1, b"first");
    network.run(100 * MS);
    let (now, peer) = (network.now, connect(&mut network, 0, 1));
    network.nodes[0].transport.close(now, peer);
    network.run(100 * MS);
    assert_eq!(network.losses(1), [LostReason::Reset]);
    send(&mut network, 1, 0, b"second");
    send(&mut network, 0, 1, b"third");
    network.run(100 * MS);
    let seen: Vec<usize> = network.nodes.iter().map(|node| node.seen.len()).collect();
    let before = [counters(&network, 0), counters(&network, 1)];
    let tape = network.tape.clone().unwrap();
    for of in [Kind::Hello, Kind::HelloAck, Kind::Data, Kind::Reset] {
        assert!(tape.iter().any(|(_, _, bytes)| kind(bytes) == of), "{of:?}");
    }
    network.replay();
    let answers: Vec<Kind> =
        (0..2).flat_map(|node| outgoing(&mut network, node)).map(|(_, bytes)| kind(&bytes)).collect();
    // A hello that was answered may be answered again, no more; data of a dead session is refused, and the refusal does nothing.
    assert!(!answers.contains(&Kind::Data) && !answers.contains(&Kind::Hello), "{answers:?}");
    network.run(5 * SECOND);
    assert_eq!(network.nodes.iter().map(|node| node.seen.len()).collect::<Vec<_>>(), seen);
    for (node, before) in before.iter().enumerate() {
        let after = counters(&network, node);
        let to_it = tape.iter().filter(|(_, to, bytes)| *to == addr(node) && kind(bytes) == Kind::Data).count() as u64;
        let dropped = after.replays_dropped - before.replays_dropped;
        let refused = after.resets_sent - before.resets_sent;
        assert!(dropped > 0 && dropped + refused >= to_it, "{dropped} + {refused} of {to_it}");
        assert_eq!(after.messages_delivered, before.messages_delivered);
    }
    send(&mut network, 0, 1, b"fourth");
    network.run(100 * MS);
    assert_eq!(network.messages(1).last().unwrap(), b"fourth");
}

/// A network just before this kind of datagram arrives at node 1, and the datagram.
fn before_arrival(of: Kind) -> (Network, Vec<u8>) {
    let mut network = sealed(2);
    let (from, to) = if of == Kind::HelloAck { (1, 0) } else { (0, 1) };
    send(&mut network, from, to, b"a message");
    match of {
        Kind::Hello => network.collect(),
        Kind::HelloAck => {
            network.collect();
            let hello = recorded(&network, 0, Kind::Hello);
            network.deliver(0, addr(1), &hello);
            network.collect();
        }
        Kind::Data => {
            network.run_until(SECOND, |network| network.ups(0) == 1);
            network.collect();
        }
        Kind::Reset => {
            network.run(100 * MS);
            let (now, peer) = (network.now, connect(&mut network, 0, 1));
            network.nodes[0].transport.close(now, peer);
            network.collect();
        }
    }
    let datagram = recorded(&network, 1, of);
    (network, datagram)
}

#[test]
fn a_change_in_any_byte_of_any_kind_of_datagram_makes_it_worth_nothing() {
    for of in [Kind::Hello, Kind::HelloAck, Kind::Data, Kind::Reset] {
        let (mut network, datagram) = before_arrival(of);
        let seen = network.nodes[1].seen.len();
        for place in 0..datagram.len() {
            let mut damaged = datagram.clone();
            damaged[place] ^= 1 << (place % 8);
            let mut variants = vec![damaged.clone()];
            if of != Kind::Data && place < datagram.len() - 4 {
                variants.push(resealed(damaged));
            }
            for variant in variants {
                network.deliver(1, addr(0), &variant);
                let answers = outgoing(&mut network, 1);
                let refusals =
                    answers.iter().all(|(_, bytes)| kind(bytes) == Kind::Reset && bytes.len() <= variant.len());
                // The address of an answer's sender in the answer itself counts, so one outside of it does not matter.
                let is_from = of == Kind::HelloAck && (13..21).contains(&place);
                assert!(refusals || is_from || of == Kind::Reset, "{of:?}, byte {place}");
                assert!(network.nodes[1].seen.len() == seen || is_from, "{of:?}, byte {place}");
            }
            if network.nodes[1].seen.len() > seen {
                (network, _) = before_arrival(of);
            }
        }
        network.deliver(1, addr(0), &datagram);
        let has_effect = network.nodes[1].seen.len() > seen || of == Kind::Hello;
        assert!(has_effect, "{of:?} itself is taken");
    }
}

#[test]
fn a_stolen_hello_from_another_address_draws_no_more_than_it_is_and_ends_nothing() {
    let mut network = sealed(2);
    send(&mut network, 0, 1, b"hello");
    network.run(100 * MS);
    let victim: SocketAddr = "10.9.9.9:53".parse().unwrap();
    let (hello, data) = (recorded(&network, 1, Kind::Hello), recorded(&network, 1, Kind::Data));
    let (mut paid, mut drawn) = (0, 0);
    for round in 0..2_000u32 {
        let mut datagram = if round % 3 == 0 { data.clone() } else { hello.clone() };
        if round % 5 == 0 {
            let length = datagram.len();
            datagram.truncate(21 + round as usize % (length - 20));
        }
        if round % 7 == 0 {
            datagram = resealed(datagram);
        }
        network.now += Duration::from_micros(100);
        paid += datagram.len();
        network.deliver(1, victim, &datagram);
        for (to, bytes) in outgoing(&mut network, 1) {
            drawn += if to == victim { bytes.len() } else { 0 };
            assert!(drawn <= paid, "{drawn} bytes for {paid}, in round {round}");
        }
    }
    assert!(drawn > 0);
    network.run(10 * SECOND);
    assert_eq!((network.losses(0), network.losses(1)), (vec![], vec![]));
    send(&mut network, 0, 1, b"still here");
    network.run(100 * MS);
    assert_eq!(network.messages(1).last().unwrap(), b"still here");
}

#[test]
fn no_refusal_of_the_peer_or_of_another_with_the_key_can_be_had_to_end_a_session() {
    let mut network = sealed(3);
    send(&mut network, 0, 1, b"hello");
    network.run(100 * MS);
    let data = recorded(&network, 1, Kind::Data);
    let attacker: SocketAddr = "10.9.9.9:53".parse().unwrap();
    // The peer itself, asked from elsewhere, says nothing.
    network.deliver(1, attacker, &data);
    assert_eq!(outgoing(&mut network, 1), []);
    // Somebody else who has the key refuses what it does not know, and that is shown to node 0 as if it came from node 1.
    network.deliver(2, attacker, &data);
    let refusals = outgoing(&mut network, 2);
    assert_eq!(refusals.len(), 1);
    network.deliver(0, addr(1), &refusals[0].1);
    assert_eq!(counters(&network, 0).resets_received, 1);
    network.run(10 * SECOND);
    assert_eq!((network.losses(0), network.losses(1)), (vec![], vec![]));
}

#[test]
fn a_peer_that_was_restarted_is_noticed_within_a_second() {
    let mut network = sealed(2);
    send(&mut network, 0, 1, b"hello");
    network.run(100 * MS);
    network.restart(1, 500);
    send(&mut network, 0, 1, b"are you there?");
    network.run(SECOND);
    assert_eq!(network.losses(0), [LostReason::Restarted]);
}

#[test]
fn the_networks_word_that_a_peer_is_gone_is_not_believed_while_it_answers() {
    let mut network = sealed(2);
    send(&mut network, 0, 1, b"hello");
    network.run(100 * MS);
    let now = network.now;
    network.nodes[0].transport.refused(now, addr(1), &mut Vec::new());
    network.run(2 * SECOND);
    assert_eq!(network.losses(0), []);
    network.impair(Impairments { loss: 1.0, ..Default::default() });
    let now = network.now;
    network.nodes[0].transport.refused(now, addr(1), &mut Vec::new());
    network.run(SECOND);
    assert_eq!(network.losses(0), [LostReason::Refused]);
}

#[test]
fn a_session_ends_before_a_packet_number_could_come_twice() {
    let mut network = sealed(2);
    send(&mut network, 0, 1, b"hello");
    network.run(100 * MS);
    let peer = connect(&mut network, 0, 1);
    let session = network.nodes[0].transport.peers.get_mut(peer).unwrap();
    let State::Up(link) = &mut session.state else { panic!("the session is open") };
    link.skip_to(PACKETS_MAX - 1);
    let now = network.now;
    network.nodes[0].transport.send(now, peer, Channel(2), &[b"last"]).unwrap();
    let out = outgoing(&mut network, 0);
    let packet = u64::from_be_bytes(out[0].1[21..29].try_into().unwrap());
    assert_eq!((out.len(), packet), (1, PACKETS_MAX - 1));
    assert_eq!(network.nodes[0].transport.next_timeout(), Some(Time::ZERO));
    network.run(MS);
    assert_eq!(network.losses(0), [LostReason::Exhausted]);
}
