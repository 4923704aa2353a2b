//! When what was not acknowledged is sent again.

use std::time::Duration;

use super::network::{MS, Network, addr};
use crate::impair::Impairments;
use crate::time::Time;
use crate::transport::rtt::{BACKED_OFF_MAX, FLOOR};
use crate::transport::{Channel, Countdown, Outgoing, Peer, TransportConfig};

const SECOND: Duration = Duration::from_secs(1);

/// A peer with whom so many messages have been exchanged, one in each `pause`: the way to it is known.
fn met(network: &mut Network, messages: usize, pause: Duration) -> Peer {
    let now = network.now;
    let peer = network.nodes[0].transport.connect(now, addr(1)).unwrap();
    network.run(SECOND);
    for _ in 0..messages {
        let now = network.now;
        network.nodes[0].transport.send(now, peer, Channel(3), &[b"heard"]).unwrap();
        network.run(pause);
    }
    peer
}

/// The pauses between one sending and the next of a message that is never acknowledged, on a path that was quick.
fn pauses(seed: u64) -> Vec<Duration> {
    let config = TransportConfig { keep_alive: None, give_up_after: 10 * SECOND, ..TransportConfig::plain() };
    let mut network = Network::new(2, config, Impairments { seed, ..Default::default() });
    let peer = met(&mut network, 20, 10 * MS);
    network.impair(Impairments { loss: 1.0, ..Default::default() });
    let now = network.now;
    network.nodes[0].transport.send(now, peer, Channel(3), &[b"not heard"]).unwrap();
    let mut times: Vec<Time> = vec![now];
    let end = now + 9 * SECOND;
    let mut before = network.nodes[0].transport.counters().retransmissions;
    loop {
        let goes_on = network.step(end);
        network.collect();
        let again = network.nodes[0].transport.counters().retransmissions;
        if again > before {
            assert_eq!(again, before + 1);
            times.push(network.now);
            before = again;
        }
        if !goes_on {
            break;
        }
    }
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn pauses_grow_by_half_up_to_a_cap_with_some_jitter() {
    let pauses = pauses(1);
    let with_jitter = |pause: Duration| pause..=pause * 9 / 8;
    assert!(pauses[0] >= FLOOR && pauses[0] <= 2 * FLOOR, "{pauses:?}");
    let mut expected = FLOOR;
    for pause in &pauses {
        assert!(with_jitter(expected).contains(pause), "{pause:?} for {expected:?}: {pauses:?}");
        expected = (expected * 3 / 2).min(BACKED_OFF_MAX);
    }
    assert!(pauses.iter().filter(|pause| **pause >= BACKED_OFF_MAX).count() > 20, "{pauses:?}");
}

#[test]
fn two_that_lost_together_do_not_come_back_together() {
    let (one, other) = (pauses(1), pauses(2));
    let same = one.iter().zip(&other).filter(|(one, other)| one == other).count();
    assert!(same <= 1, "{one:?} {other:?}");
}

#[test]
fn a_countdown_takes_off_the_way_there_and_what_was_lost_on_it() {
    let mut network = Network::perfect(2);
    network.latency = 10 * MS;
    let peer = met(&mut network, 50, 100 * MS);
    for lost in [false, true] {
        let until = network.now + SECOND;
        let countdown = Some(Countdown { place: 0, until });
        network.impair(Impairments { loss: if lost { 1.0 } else { 0.0 }, ..Default::default() });
        let message = Outgoing { countdown, ..Outgoing::of(&[&[0; 4]]) };
        network.nodes[0].transport.send_message(peer, Channel(4), message).unwrap();
        network.collect();
        network.impair(Impairments::default());
        let before = network.messages(1).len();
        network.run_until(SECOND, |network| network.messages(1).len() > before);
        let told = network.messages(1).pop().unwrap();
        let told = Duration::from_micros(u64::from(u32::from_be_bytes(told.try_into().unwrap())));
        let true_one = until - network.now;
        assert!(told.abs_diff(true_one) <= MS, "{told:?} said, {true_one:?} left");
        assert_eq!(lost, true_one < SECOND - 15 * MS);
    }
}
