//! Thousands of sessions of one endpoint.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::time::Time;
use crate::transport::{BootEpoch, Channel, Event, KeepAlive, Peer, SendError, Transport, TransportConfig};

const CLIENTS: usize = 5_000;
/// Openings that are under way at a time: an endpoint remembers no more of them.
const AT_ONCE: usize = 200;

fn server_addr() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 7_000))
}

fn client_addr(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 1, (number >> 8) as u8, number as u8], 7_000))
}

/// One server and many clients on a network without faults or delay.
struct Crowd {
    now: Time,
    server: Transport,
    clients: Vec<Transport>,
    numbers: BTreeMap<SocketAddr, usize>,
    server_saw: Vec<Event>,
    clients_saw: Vec<(usize, Event)>,
    datagrams: u64,
}

impl Crowd {
    fn new(keep_alive: Option<KeepAlive>) -> Crowd {
        let config = TransportConfig { max_peers: CLIENTS, keep_alive, ..TransportConfig::plain() };
        let transport = |number: usize| Transport::new(config.clone(), BootEpoch(number as u64), number as u64);
        let mut crowd = Crowd {
            now: Time(1_000_000),
            server: transport(CLIENTS),
            clients: (0..CLIENTS).map(transport).collect(),
            numbers: (0..CLIENTS).map(|number| (client_addr(number), number)).collect(),
            server_saw: Vec::new(),
            clients_saw: Vec::new(),
            datagrams: 0,
        };
        for first in (0..CLIENTS).step_by(AT_ONCE) {
            for number in first..first + AT_ONCE {
                crowd.clients[number].connect(crowd.now, server_addr()).unwrap();
            }
            crowd.exchange();
        }
        crowd
    }

    /// Carries everything that anybody has to say, until nobody has.
    fn exchange(&mut self) {
        let mut out = Vec::new();
        loop {
            let before = self.datagrams;
            for (number, client) in self.clients.iter_mut().enumerate() {
                while client.transmit(self.now, &mut out).is_some() {
                    self.datagrams += 1;
                    self.server.receive(self.now, client_addr(number), &mut out, &mut self.server_saw);
                }
            }
            while let Some(to) = self.server.transmit(self.now, &mut out) {
                self.datagrams += 1;
                let number = self.numbers[&to];
                let mut events = Vec::new();
                self.clients[number].receive(self.now, server_addr(), &mut out, &mut events);
                self.clients_saw.extend(events.into_iter().map(|event| (number, event)));
            }
            if self.datagrams == before {
                return;
            }
        }
    }

    /// Goes on to the next timer of anybody, but not beyond `end`; false when there is none before it.
    fn step(&mut self, end: Time) -> bool {
        let timers = self.clients.iter().chain([&self.server]).filter_map(Transport::next_timeout);
        let Some(next) = timers.min().filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        // A little later, so that one step serves many.
        self.now = self.now.max(next) + Duration::from_millis(5);
        self.server.timeout(self.now, &mut self.server_saw);
        for (number, client) in self.clients.iter_mut().enumerate() {
            let mut events = Vec::new();
            client.timeout(self.now, &mut events);
            self.clients_saw.extend(events.into_iter().map(|event| (number, event)));
        }
        self.exchange();
        true
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
    }

    fn peers(&self) -> Vec<Peer> {
        let up = |event: &Event| match event {
            Event::Up { peer, .. } => Some(*peer),
            _ => None,
        };
        self.server_saw.iter().filter_map(up).collect()
    }

    fn is_lossless(&self) -> bool {
        let is_lost = |event: &Event| matches!(event, Event::Lost { .. });
        !self.server_saw.iter().any(is_lost) && !self.clients_saw.iter().any(|(_, event)| is_lost(event))
    }
}

#[test]
fn five_thousand_sessions_open_and_carry_messages_both_ways() {
    let mut crowd = Crowd::new(Some(KeepAlive::default()));
    let peers = crowd.peers();
    assert_eq!(peers.len(), CLIENTS);
    for peer in &peers {
        crowd.server.send(crowd.now, *peer, Channel(3), &[b"to each"]).unwrap();
    }
    for client in &mut crowd.clients {
        let peer = client.connect(crowd.now, server_addr()).unwrap();
        client.send(crowd.now, peer, Channel(3), &[b"from each"]).unwrap();
    }
    crowd.exchange();
    let is_message = |event: &Event| matches!(event, Event::Message { .. });
    assert_eq!(crowd.server_saw.iter().filter(|event| is_message(event)).count(), CLIENTS);
    assert_eq!(crowd.clients_saw.iter().filter(|(_, event)| is_message(event)).count(), CLIENTS);
    crowd.run(Duration::from_secs(2));
    assert!(crowd.is_lossless());
    assert_eq!((crowd.server.queued(), crowd.server.reserved()), (0, 0));
}

#[test]
fn idle_sessions_without_keep_alive_have_no_timer_and_send_nothing() {
    let mut crowd = Crowd::new(None);
    crowd.run(Duration::from_secs(1));
    assert_eq!(crowd.server.next_timeout(), None);
    assert!(crowd.clients.iter().all(|client| client.next_timeout().is_none()));
    let before = crowd.datagrams;
    crowd.run(Duration::from_secs(3_600));
    assert_eq!((crowd.datagrams - before, crowd.peers().len()), (0, CLIENTS));
    assert!(crowd.is_lossless());
}

#[test]
fn idle_sessions_with_keep_alive_cost_their_signs_of_life_and_no_more() {
    let keep_alive = KeepAlive { ping_every: Duration::from_secs(1), ..Default::default() };
    let mut crowd = Crowd::new(Some(keep_alive));
    crowd.run(Duration::from_secs(1));
    let before = crowd.datagrams;
    crowd.run(Duration::from_secs(10));
    // Whoever asks is answered, and both are signs of life.
    let seconds = 10 * CLIENTS as u64;
    assert!(
        (2 * seconds - 2 * CLIENTS as u64..=2 * seconds).contains(&(crowd.datagrams - before)),
        "{}",
        crowd.datagrams - before
    );
    assert!(crowd.is_lossless());
}

#[test]
fn what_is_queued_for_all_peers_together_is_bounded() {
    let config = TransportConfig { max_queued_bytes_of_all: 1 << 20, ..TransportConfig::plain() };
    let mut transport = Transport::new(config, BootEpoch(1), 1);
    let now = Time(1_000_000);
    let peers: Vec<Peer> = (0..100).map(|number| transport.connect(now, client_addr(number)).unwrap()).collect();
    let mut taken = 0;
    let refused = (0..10_000).find_map(|round| {
        let sent = transport.send(now, peers[round % 100], Channel(3), &[&[0; 1_000]]);
        taken += usize::from(sent.is_ok());
        sent.err()
    });
    assert!(matches!(refused, Some(SendError::Backlog { queued }) if queued == transport.queued()));
    assert!((900..1_049).contains(&taken), "{taken}");
    // What belonged to a peer that is given up is room for the others.
    transport.close(now, peers[0]);
    assert_eq!(transport.send(now, peers[1], Channel(3), &[&[0; 1_000]]), Ok(()));
    peers.iter().for_each(|peer| transport.close(now, *peer));
    assert_eq!(transport.queued(), 0);
}
