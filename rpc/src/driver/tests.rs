//! Two drivers over the loopback interface.

mod lanes;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Driver, DriverConfig, Inbox, Incoming};
use crate::impair::Impairments;
use crate::time;
use crate::transport::{Channel, LostReason, Outgoing, Peer};

/// What one driver has seen.
struct Side {
    driver: Driver,
    inbox: Inbox,
    ups: usize,
    lost: Vec<LostReason>,
    messages: Vec<Vec<u8>>,
}

impl Side {
    fn at(addr: &str, impairments: Impairments) -> Side {
        let config = DriverConfig { impairments, ..DriverConfig::plain() };
        let driver = Driver::bind(addr.parse().unwrap(), config).unwrap();
        Side { driver, inbox: Inbox::new(), ups: 0, lost: Vec::new(), messages: Vec::new() }
    }

    fn new(impairments: Impairments) -> Side {
        Self::at("127.0.0.1:0", impairments)
    }

    fn addr(&self) -> SocketAddr {
        self.driver.local_addr()
    }

    fn poll(&mut self, mut message: impl FnMut(&mut Driver, Peer, &[u8])) -> usize {
        let count = self.driver.receive(&mut self.inbox).unwrap();
        for incoming in self.inbox.drain() {
            match incoming {
                Incoming::Up { .. } => self.ups += 1,
                Incoming::Lost { reason, .. } => self.lost.push(reason),
                Incoming::Message { peer, body, .. } => {
                    self.messages.push(body.to_vec());
                    message(&mut self.driver, peer, &body);
                }
            }
        }
        self.driver.flush();
        count
    }

    /// Looks once: how long the messages that came have waited.
    fn waits(&mut self) -> Vec<Duration> {
        self.driver.receive(&mut self.inbox).unwrap();
        let waited = |incoming| match incoming {
            Incoming::Message { waited, .. } => Some(waited),
            _ => None,
        };
        self.inbox.drain().filter_map(waited).collect()
    }
}

#[test]
fn a_message_tells_how_long_it_has_waited() {
    let (mut a, mut b) = (Side::new(Impairments::default()), Side::new(Impairments::default()));
    b.driver.time_arrivals();
    let peer = a.driver.connect(b.addr()).unwrap();
    let mut looked = Instant::now();
    until(&mut a, &mut b, |a, b| a.ups == 1 && b.ups == 1);
    let pause = Duration::from_millis(10);
    // The first socket that wants it makes the kernel note times, a little later.
    for attempt in 1.. {
        let before = looked;
        b.driver.rests(time::now());
        for _ in 0..3 {
            a.driver.send(peer, Channel(1), &[b"tell"]).unwrap();
            a.driver.flush();
            std::thread::sleep(pause);
        }
        let mut waits = Vec::new();
        while waits.len() < 3 {
            waits.extend(b.waits());
        }
        // Nothing has waited since before the socket was last found empty.
        assert!(waits[0] <= before.elapsed(), "{waits:?}");
        if waits[0] >= waits[1] + pause && waits[1] >= waits[2] + pause && waits[2] >= pause {
            return;
        }
        assert!(attempt < 100, "{waits:?}");
        looked = Instant::now();
        assert_eq!(b.driver.receive(&mut b.inbox).unwrap(), 0);
    }
}

/// Polls both until `done`.
fn until(a: &mut Side, b: &mut Side, mut done: impl FnMut(&Side, &Side) -> bool) {
    let guard = Instant::now();
    while !done(a, b) {
        assert!(guard.elapsed() < Duration::from_secs(60), "{:?} {:?}", a.driver.counters(), b.driver.counters());
        if a.poll(|_, _, _| {}) + b.poll(|_, _, _| {}) == 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn messages_of_all_sizes_cross_the_loopback_interface() {
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        if std::net::UdpSocket::bind(addr).is_err() {
            continue;
        }
        let (mut a, mut b) = (Side::at(addr, Impairments::default()), Side::at(addr, Impairments::default()));
        let peer = a.driver.connect(b.addr()).unwrap();
        let sizes = [0, 1, 100, 4_096, 65_000, 65_500, 200_000, 5_000_000];
        for (fill, size) in sizes.iter().enumerate() {
            a.driver.send(peer, Channel(4), &[&vec![fill as u8; *size]]).unwrap();
        }
        until(&mut a, &mut b, |a, b| b.messages.len() == sizes.len() && a.driver.unacknowledged(peer) == 0);
        let mut arrived: Vec<usize> = b.messages.iter().map(Vec::len).collect();
        arrived.sort_unstable();
        assert_eq!(arrived, sizes);
        assert!(b.messages.iter().all(|message| message.iter().all(|byte| sizes[usize::from(*byte)] == message.len())));
        assert_eq!((a.ups, b.ups), (1, 1));
    }
}

#[test]
fn many_small_messages_arrive_once_each_through_heavy_impairments() {
    let impairments = |seed| Impairments {
        loss: 0.2,
        duplicate: 0.2,
        reorder: 0.2,
        corrupt: 0.1,
        delay: Duration::from_micros(200),
        seed,
    };
    let (mut a, mut b) = (Side::new(impairments(1)), Side::new(impairments(2)));
    let peer = a.driver.connect(b.addr()).unwrap();
    let count = 3_000u32;
    for number in 0..count {
        let tail = vec![number as u8; if number % 50 == 0 { 70_000 } else { number as usize % 300 }];
        a.driver.send(peer, Channel(4), &[&number.to_be_bytes(), &tail]).unwrap();
        if number % 10 == 0 {
            a.poll(|_, _, _| {});
            b.poll(|_, _, _| {});
        }
    }
    until(&mut a, &mut b, |a, b| b.messages.len() as u32 >= count && a.driver.unacknowledged(peer) == 0);
    let numbers: BTreeSet<u32> =
        b.messages.iter().map(|message| u32::from_be_bytes(message[..4].try_into().unwrap())).collect();
    assert_eq!((numbers.len() as u32, b.messages.len() as u32), (count, count));
    assert!(b.messages.iter().all(|message| message[4..].iter().all(|byte| *byte == message[3])));
    let (sent, received) = (a.driver.counters(), b.driver.counters());
    assert!(sent.retransmissions > 0 && received.duplicates_dropped > 0 && received.corrupt_dropped > 0);
}

#[test]
fn an_inbox_that_is_not_drained_loses_nothing() {
    let (mut a, mut b) = (Side::new(Impairments::default()), Side::new(Impairments::default()));
    let peer = a.driver.connect(b.addr()).unwrap();
    until(&mut a, &mut b, |a, b| a.ups + b.ups == 2);
    for number in 0..10u8 {
        a.driver.send(peer, Channel(4), &[&[number]]).unwrap();
        a.driver.flush();
    }
    let mut seen = Vec::new();
    let guard = Instant::now();
    while seen.len() < 10 {
        assert!(guard.elapsed() < Duration::from_secs(60));
        b.driver.receive(&mut b.inbox).unwrap();
        // One at a time.
        if let Some(Incoming::Message { body, .. }) = b.inbox.drain().next() {
            seen.push(body[0]);
        }
        a.poll(|_, _, _| {});
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn what_a_full_socket_did_not_take_is_offered_again_without_anything_coming_in() {
    let (mut a, mut b) = (Side::new(Impairments::default()), Side::new(Impairments::default()));
    let peer = a.driver.connect(b.addr()).unwrap();
    until(&mut a, &mut b, |a, b| a.ups + b.ups == 2 && a.driver.unacknowledged(peer) == 0);
    // As `flush` leaves it when the socket is full; the loopback interface never lets one fill.
    a.driver.send(peer, Channel(4), &[b"held"]).unwrap();
    let now = time::now();
    let loaded = a.driver.load(now);
    a.driver.hold(0..loaded, now);
    let again = a.driver.next_timeout().unwrap();
    assert!(again > now && again <= now + super::SOCKET_FULL_RETRY, "{again:?} after {now:?}");
    let guard = Instant::now();
    while b.messages != [b"held"] {
        assert!(guard.elapsed() < Duration::from_secs(60));
        if time::now() >= again {
            a.poll(|_, _, _| {});
        }
        b.poll(|_, _, _| {});
    }
}

#[test]
fn what_a_full_socket_did_not_take_is_still_lent_and_given_back_when_it_has_left() {
    let (mut a, mut b) = (Side::new(Impairments::default()), Side::new(Impairments::default()));
    let peer = a.driver.connect(b.addr()).unwrap();
    until(&mut a, &mut b, |a, b| a.ups + b.ups == 2 && a.driver.unacknowledged(peer) == 0);
    let owner = Bytes::from(vec![7; 200_000]);
    a.driver.send_message(peer, Channel(4), Outgoing { owner: Some(&owner), ..Outgoing::of(&[&owner]) }).unwrap();
    let now = time::now();
    let loaded = a.driver.load(now);
    assert!(loaded == 1 && a.driver.departures[0].datagram.whole().is_none());
    a.driver.hold(0..loaded, now);
    until(&mut a, &mut b, |a, b| b.messages.len() == 1 && a.driver.unacknowledged(peer) == 0);
    assert_eq!(b.messages, [&owner[..]]);
    until(&mut a, &mut b, |_, _| owner.is_unique());
}

#[test]
fn a_peer_whose_process_is_gone_is_refused() {
    let (mut a, mut b) = (Side::new(Impairments::default()), Side::new(Impairments::default()));
    let peer = a.driver.connect(b.addr()).unwrap();
    until(&mut a, &mut b, |a, b| a.ups + b.ups == 2);
    drop(b);
    a.driver.send(peer, Channel(4), &[b"anyone?"]).unwrap();
    a.driver.flush();
    let guard = Instant::now();
    while a.lost.is_empty() {
        assert!(guard.elapsed() < Duration::from_secs(60));
        a.poll(|_, _, _| {});
        std::thread::yield_now();
    }
    assert!(matches!(a.lost[..], [LostReason::Refused | LostReason::Silent]), "{:?}", a.lost);
    assert_eq!(a.driver.address(peer), None);
}

#[test]
fn a_peer_that_starts_late_is_waited_for() {
    let late = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = late.local_addr().unwrap();
    drop(late);
    let mut a = Side::new(Impairments::default());
    let peer = a.driver.connect(addr).unwrap();
    a.driver.send(peer, Channel(4), &[b"early"]).unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(50) {
        a.poll(|_, _, _| {});
    }
    let mut b = Side::at(&addr.to_string(), Impairments::default());
    until(&mut a, &mut b, |_, b| b.messages == [b"early"]);
    assert!(a.lost.is_empty());
}

#[test]
fn one_call_after_another_costs_two_datagrams_each() {
    let (mut a, mut b) = (Side::new(Impairments::default()), Side::new(Impairments::default()));
    let peer = a.driver.connect(b.addr()).unwrap();
    until(&mut a, &mut b, |a, b| a.ups + b.ups == 2);
    let calls = 1_000;
    let sent = |a: &Side, b: &Side| a.driver.counters().datagrams_sent + b.driver.counters().datagrams_sent;
    let before = sent(&a, &b);
    for call in 1..=calls {
        a.driver.send(peer, Channel::CALL, &[b"request"]).unwrap();
        a.driver.flush();
        let guard = Instant::now();
        while a.messages.len() < call {
            assert!(guard.elapsed() < Duration::from_secs(60));
            b.poll(|driver, peer, _| driver.send(peer, Channel::CALL, &[b"reply"]).unwrap());
            a.poll(|_, _, _| {});
        }
    }
    // A thread that is put aside in between may owe a bare acknowledgement or a repetition now and then.
    assert!(sent(&a, &b) - before < 2 * calls as u64 + calls as u64 / 4);
}

#[test]
fn who_looked_at_the_clock_before_others_does_not_turn_the_transports_time_back() {
    let mut side = Side::new(Impairments::default());
    let peer = side.driver.connect("127.0.0.1:9".parse().unwrap()).unwrap();
    let (before, later) = (time::now(), time::now() + Duration::from_secs(3_600));
    assert_eq!(side.driver.tell(later), later);
    side.driver.send(peer, Channel::CALL, &[b"request"]).unwrap();
    assert!(side.driver.wants_flush());
    side.driver.flush_at(before);
    assert!(!side.driver.wants_flush());
    assert_eq!((side.driver.told, side.driver.tell(before)), (later, later));
}

#[test]
fn what_a_full_receive_buffer_lost_is_counted() {
    let config = DriverConfig { socket_buffer: 16 << 10, ..DriverConfig::plain() };
    let mut driver = Driver::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut inbox = Inbox::new();
    let mut burst = |count: usize| {
        for _ in 0..count {
            stranger.send_to(&[0; 1_000], driver.local_addr()).unwrap();
        }
        while driver.receive(&mut inbox).unwrap() > 0 {}
        driver.counters()
    };
    assert_eq!(burst(3).receive_overflows, 0);
    let full = burst(1_000);
    assert!(full.datagrams_received < 500, "{full:?}");
    assert_eq!(full.receive_overflows + full.datagrams_received, 1_003, "{full:?}");
}

#[test]
fn batches_are_tried_where_one_datagram_followed_another_and_go_on_until_they_are_none() {
    let mut batching = super::Batching::default();
    // Somebody waits for each answer: there is never more than one.
    for looks in 0..200 {
        (0..looks % 2).for_each(|_| batching.learn(false, 0, true));
        batching.learn(false, 1, looks % 2 == 0);
    }
    assert!(!batching.pays());
    // Three at a time, with pauses.
    for burst in 0..16 {
        assert!(!batching.pays(), "{burst}");
        (0..3).for_each(|_| batching.learn(false, 1, false));
        batching.learn(false, 0, true);
    }
    for count in [7, 0, 2] {
        assert!(batching.pays());
        batching.learn(true, count, false);
    }
    batching.learn(true, 1, false);
    assert!(!batching.pays());
}
