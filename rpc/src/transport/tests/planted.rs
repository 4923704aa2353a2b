//! What the halves alone cannot show: sessions, incarnations, damage and silence, in whole transports with a seed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::network::{MS, Network, addr};
use crate::Key;
use crate::impair::Impairments;
use crate::planted::Bug;
use crate::transport::{Channel, TransportConfig};

const MESSAGES: u64 = 30;
const SEEDS: u64 = 30;

/// A message of this number; its bytes follow from it.
fn message(number: u64) -> Vec<u8> {
    (0..=number % 40).flat_map(|place| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ place).to_be_bytes()).collect()
}

fn say(network: &mut Network, node: usize, numbers: std::ops::Range<u64>, pause: Duration) {
    let now = network.now;
    let peer = network.nodes[node].transport.connect(now, addr(1 - node)).unwrap();
    for number in numbers {
        // Where the session has ended, what was lost is seen at the end.
        let _ = network.nodes[node].transport.send(now, peer, Channel(3), &[&message(number)]);
        if !pause.is_zero() {
            network.run(pause);
        }
    }
}

/// Two nodes with a key talk over a bad network, and somebody sends everything again. Says what went wrong.
fn echoes(bug: Option<Bug>, seed: u64) -> Option<&'static str> {
    let bad = Impairments { duplicate: 0.1, reorder: 0.3, seed, ..Default::default() };
    let mut network = Network::new(2, TransportConfig::new(Key::from_bytes([7; 32])), bad);
    network.tape = Some(Vec::new());
    if let Some(bug) = bug {
        network.nodes.iter_mut().for_each(|node| node.transport.plant(bug));
    }
    say(&mut network, 0, 0..MESSAGES, MS);
    network.run(Duration::from_millis(300));
    let sent = network.sent;
    network.replay();
    network.tape = None;
    network.collect();
    (network.sent > sent).then_some("a copy is answered")
}

/// Two nodes talk over a bad network, one is started anew, the network heals, and at last it is cut. Says what went wrong.
fn trouble(bug: Option<Bug>, seed: u64) -> Option<&'static str> {
    let plant = |network: &mut Network| {
        if let Some(bug) = bug {
            network.nodes.iter_mut().for_each(|node| node.transport.plant(bug));
        }
    };
    let bad = Impairments { loss: 0.05, duplicate: 0.3, reorder: 0.3, corrupt: 0.02, delay: 3 * MS, seed };
    let mut network = Network::new(2, TransportConfig::plain(), bad);
    plant(&mut network);
    if seed.is_multiple_of(2) {
        say(&mut network, 0, 0..MESSAGES, 3 * MS / 10);
        say(&mut network, 1, 1_000..1_000 + MESSAGES, 3 * MS / 10);
    } else {
        say(&mut network, 1, 1_000..1_001, 4 * MS);
    }
    // The last words of the old incarnation come when the new one speaks.
    network.latency = 3 * MS;
    say(&mut network, 1, 1_500..1_500 + MESSAGES, Duration::ZERO);
    network.collect();
    network.latency = MS / 10;
    network.restart(1, 500 + seed);
    plant(&mut network);
    say(&mut network, 1, 2_000..2_000 + MESSAGES, 3 * MS / 10);
    network.impair(Impairments::default());
    network.run(Duration::from_secs(2));

    let said = [1_000, 1_500, 2_000].into_iter().flat_map(|first| first..first + MESSAGES);
    let known: BTreeSet<Vec<u8>> = said.map(message).collect();
    let arrived = network.messages(0);
    let once: BTreeSet<Vec<u8>> = arrived.iter().cloned().collect();
    let all = (2_000..2_000 + MESSAGES).all(|number| once.contains(&message(number)));
    let sessions = (network.losses(0).len(), network.losses(1).len());
    network.impair(Impairments { loss: 1.0, ..Default::default() });
    network.run(Duration::from_secs(6));
    let silences = (network.losses(0).len() - sessions.0, network.losses(1).len() - sessions.1);
    match () {
        _ if !once.is_subset(&known) => Some("a message that nobody sent"),
        _ if once.len() < arrived.len() => Some("a message twice"),
        _ if !all => Some("a message of the new incarnation is lost"),
        // The old session is lost where it was ever up; the new one never.
        _ if sessions != (network.ups(0) - 1, 0) || network.ups(0) > 2 => {
            Some("a session ends for no reason, or does not end")
        }
        _ if silences != (1, 1) => Some("silence is not noticed"),
        _ => None,
    }
}

#[test]
fn nothing_is_wrong_without_a_planted_bug() {
    for seed in 0..SEEDS {
        assert_eq!(trouble(None, seed), None, "seed {seed}");
        assert_eq!(echoes(None, seed), None, "seed {seed}");
    }
}

#[test]
fn every_broken_rule_of_sessions_is_seen() {
    for &bug in Bug::ALL.iter().filter(|bug| !bug.is_of_a_half()) {
        let check = if bug == Bug::ReplayAccepted { echoes } else { trouble };
        let found = (0..SEEDS).find_map(|seed| check(Some(bug), seed).map(|what| (seed, what)));
        println!("{}: {found:?}", bug.name());
        assert!(found.is_some(), "{bug:?} is not noticed");
    }
}
