//! Datagrams that leave in pieces.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::sharing::counted;
use crate::Security;
use crate::time::Time;
use crate::transport::{BootEpoch, Channel, Datagram, Event, Outgoing, Peer, Transport, TransportConfig};
use crate::wire::Integrity;

const NOW: Time = Time(1_000_000);
const LONG: usize = 200_000;

fn addr(side: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7_000 + side as u16))
}

/// What arrives is acknowledged at once: the clock stands still.
fn config(check: Integrity) -> TransportConfig {
    let security = Security::Plain(check);
    TransportConfig { security, ack_delay: Duration::ZERO, ..TransportConfig::plain() }
}

/// Two ends of a session on the loopback interface.
struct Pair {
    sides: [Transport; 2],
    peer: Peer,
    messages: Vec<Vec<u8>>,
}

impl Pair {
    fn new(config: &TransportConfig) -> Pair {
        let mut sides = [0, 1].map(|side| Transport::new(config.clone(), BootEpoch(side), side));
        let peer = sides[0].connect(NOW, addr(1)).unwrap();
        let mut pair = Pair { sides, peer, messages: Vec::new() };
        pair.settle();
        pair
    }

    /// Queues a message that is shared, and one that is not.
    fn send(&mut self, owner: &Bytes) {
        let parts: [&[u8]; 2] = [b"head", owner];
        let message = Outgoing { owner: Some(owner), ..Outgoing::of(&parts) };
        self.sides[0].send_message(self.peer, Channel(1), message).unwrap();
        self.sides[0].send(NOW, self.peer, Channel(1), &[b"after"]).unwrap();
    }

    fn deliver(&mut self, side: usize, mut datagram: Vec<u8>) {
        let mut events = Vec::new();
        self.sides[side].receive(NOW, addr(1 - side), &mut datagram, &mut events);
        let bodies = events.iter().filter_map(|event| match event {
            Event::Message { body, .. } => Some(body.bytes(&datagram).to_vec()),
            _ => None,
        });
        self.messages.extend(bodies);
    }

    /// Until nothing is under way any more.
    fn settle(&mut self) {
        let mut datagram = Datagram::default();
        for side in (0..100).map(|turn| turn % 2) {
            while self.sides[side].transmit_lending(NOW, &mut datagram).is_some() {
                self.deliver(1 - side, datagram.pieces().concat());
            }
        }
    }
}

fn is_inside(whole: &Bytes, part: &[u8]) -> bool {
    let (whole, part) = (whole.as_ptr_range(), part.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

#[test]
fn a_datagram_is_the_same_whether_it_lends_or_not_and_what_it_lends_was_not_copied() {
    let config = config(Integrity::Crc32);
    let (mut copying, mut lending) = (Pair::new(&config), Pair::new(&config));
    let owner = Bytes::from(counted(LONG));
    copying.send(&owner);
    lending.send(&owner);
    let (mut copied, mut lent, mut pieces) = (Vec::new(), Datagram::default(), 0);
    while copying.sides[0].transmit(NOW, &mut copied) == Some(addr(1)) {
        assert_eq!(lending.sides[0].transmit_lending(NOW, &mut lent), Some(addr(1)));
        assert_eq!((lent.pieces().concat(), lent.len()), (copied.clone(), copied.len()));
        if lent.whole().is_none() {
            assert!(is_inside(&owner, lent.pieces()[1]));
            pieces += 1;
        }
    }
    assert!(lending.sides[0].transmit_lending(NOW, &mut lent).is_none());
    assert!(pieces > 0);
    assert_eq!(copying.sides[0].counters(), lending.sides[0].counters());
}

#[test]
fn what_was_lent_arrives_with_what_follows_it_and_is_given_back() {
    let mut pair = Pair::new(&config(Integrity::Crc32));
    let owner = Bytes::from(counted(LONG));
    pair.send(&owner);
    pair.settle();
    pair.messages.sort_by_key(Vec::len);
    assert_eq!(pair.messages, [b"after".to_vec(), [b"head", &owner[..]].concat()]);
    assert_eq!(pair.sides[0].unacknowledged(pair.peer), 0);
    assert!(owner.is_unique());
}

#[test]
fn a_lent_datagram_that_is_lost_is_lent_again_and_one_that_has_left_holds_nothing() {
    let mut pair = Pair::new(&config(Integrity::Crc32));
    let owner = Bytes::from(counted(LONG));
    pair.send(&owner);
    let mut lost = Datagram::default();
    assert!(pair.sides[0].transmit_lending(NOW, &mut lost).is_some() && lost.whole().is_none());
    pair.settle();
    assert!(pair.messages.concat().ends_with(&owner), "three that left later have arrived");
    assert!(!owner.is_unique());
    lost.give_back();
    assert!(owner.is_unique());
}

#[test]
fn only_what_stands_under_a_crc_is_lent() {
    let others = Integrity::ALL.into_iter().filter(|check| *check != Integrity::Crc32).map(config);
    for config in others.chain([TransportConfig::new(crate::Key::from_bytes([7; 32]))]) {
        let mut pair = Pair::new(&config);
        let (owner, mut datagram) = (Bytes::from(counted(LONG)), Datagram::default());
        pair.send(&owner);
        assert!(pair.sides[0].transmit_lending(NOW, &mut datagram).is_some());
        assert!(datagram.whole().is_some_and(|bytes| bytes.len() > LONG / 4), "{:?}", config.security);
    }
}
