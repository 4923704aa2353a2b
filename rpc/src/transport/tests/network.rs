//! The network between two transports: everything that happens is decided by a seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::impair::{Impairer, Impairments};
use crate::time::Time;
use crate::transport::{Body, BootEpoch, Datagram, Event, Transport, TransportConfig};

pub const MS: Duration = Duration::from_millis(1);

/// An event, with the bytes that a body refers to.
#[derive(Clone, Debug)]
pub struct Seen {
    pub event: Event,
    pub bytes: Vec<u8>,
}

pub struct Node {
    pub addr: SocketAddr,
    pub transport: Transport,
    pub seen: Vec<Seen>,
}

pub fn addr(node: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 7_000 + node as u16))
}

pub struct Network {
    pub now: Time,
    pub nodes: Vec<Node>,
    impairer: Impairer,
    /// By arrival time and a running number.
    flying: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    count: u64,
    pub latency: Duration,
    pub config: TransportConfig,
    /// Datagrams that were put on the wire.
    pub sent: u64,
    /// Larger ones vanish.
    pub mtu: usize,
    /// The largest that arrived somewhere.
    pub largest: usize,
    /// All of them, with sender and receiver, if somebody records.
    pub tape: Option<Vec<(SocketAddr, SocketAddr, Vec<u8>)>>,
}

impl Network {
    pub fn new(nodes: usize, config: TransportConfig, impairments: Impairments) -> Self {
        let nodes = (0..nodes).map(|node| Node {
            addr: addr(node),
            transport: Transport::new(config.clone(), BootEpoch(100 + node as u64), impairments.seed ^ node as u64),
            seen: Vec::new(),
        });
        Network {
            now: Time(1_000_000),
            nodes: nodes.collect(),
            impairer: Impairer::new(impairments),
            flying: BTreeMap::new(),
            count: 0,
            latency: MS / 10,
            config,
            sent: 0,
            mtu: usize::MAX,
            largest: 0,
            tape: None,
        }
    }

    pub fn perfect(nodes: usize) -> Self {
        Self::new(nodes, TransportConfig::plain(), Impairments::default())
    }

    pub fn impair(&mut self, impairments: Impairments) {
        self.impairer = Impairer::new(impairments);
    }

    /// A new process at the same address.
    pub fn restart(&mut self, node: usize, boot: u64) {
        let node = &mut self.nodes[node];
        node.transport = Transport::new(self.config.clone(), BootEpoch(boot), boot);
        node.seen.clear();
    }

    /// Takes everything that the transports want to send.
    pub fn collect(&mut self) {
        let mut datagram = Datagram::default();
        for node in &mut self.nodes {
            while let Some(to) = node.transport.transmit_lending(self.now, &mut datagram) {
                let out = datagram.pieces().concat();
                self.sent += 1;
                let limit = if to.ip().is_loopback() { 65_507 } else { self.config.datagram_max };
                assert!(out.len() <= limit, "{} bytes", out.len());
                if let Some(tape) = &mut self.tape {
                    tape.push((node.addr, to, out.clone()));
                }
                if out.len() > self.mtu {
                    continue;
                }
                self.largest = self.largest.max(out.len());
                let (from, count, flying) = (node.addr, &mut self.count, &mut self.flying);
                let arrival = self.now + self.latency;
                let mut put = |bytes: &[u8], to| {
                    *count += 1;
                    flying.insert((arrival, *count), (from, to, bytes.to_vec()));
                };
                // Held-back datagrams lose their sender in the impairer, so delays are made here.
                self.impairer.apply(self.now, &out, to, &mut put);
                self.impairer.due(Time::MAX, |bytes, to| {
                    let later = arrival + Duration::from_micros(100 * (1 + *count % 37));
                    *count += 1;
                    flying.insert((later, *count), (from, to, bytes.to_vec()));
                });
            }
        }
    }

    /// Hands a datagram to a node, as if it had come from `from`.
    pub fn deliver(&mut self, node: usize, from: SocketAddr, datagram: &[u8]) {
        let mut events = Vec::new();
        let node = &mut self.nodes[node];
        let datagram = &mut datagram.to_vec();
        node.transport.receive(self.now, from, datagram, &mut events);
        for event in events {
            let bytes = match &event {
                Event::Message { body: Body::InDatagram(range), .. } => datagram[range.clone()].to_vec(),
                Event::Message { body: Body::Whole(bytes), .. } => bytes.clone(),
                _ => Vec::new(),
            };
            node.seen.push(Seen { event, bytes });
        }
    }

    /// Sends everything on the tape again, as if it came from where it came from.
    pub fn replay(&mut self) {
        for (from, to, datagram) in self.tape.clone().unwrap_or_default() {
            if let Some(node) = self.nodes.iter().position(|node| node.addr == to) {
                self.deliver(node, from, &datagram);
            }
        }
    }

    /// Goes on to the next thing that happens, but not beyond `end`; false when nothing does before it.
    pub fn step(&mut self, end: Time) -> bool {
        self.collect();
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let timers = self.nodes.iter().filter_map(|node| node.transport.next_timeout());
        let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        while let Some(first) = self.flying.first_entry()
            && first.key().0 <= self.now
        {
            let (from, to, datagram) = first.remove();
            if let Some(node) = self.nodes.iter().position(|node| node.addr == to) {
                self.deliver(node, from, &datagram);
            }
        }
        for node in &mut self.nodes {
            let mut events = Vec::new();
            node.transport.timeout(self.now, &mut events);
            node.seen.extend(events.into_iter().map(|event| Seen { event, bytes: Vec::new() }));
        }
        true
    }

    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
    }

    /// Runs until `done`; panics after `limit` of virtual time.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Network) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.step(end), "not done within {limit:?} of virtual time");
        }
    }

    pub fn messages(&self, node: usize) -> Vec<Vec<u8>> {
        let is_message = |seen: &&Seen| matches!(seen.event, Event::Message { .. });
        self.nodes[node].seen.iter().filter(is_message).map(|seen| seen.bytes.clone()).collect()
    }

    pub fn ups(&self, node: usize) -> usize {
        self.nodes[node].seen.iter().filter(|seen| matches!(seen.event, Event::Up { .. })).count()
    }

    pub fn losses(&self, node: usize) -> Vec<crate::transport::LostReason> {
        let reason = |seen: &Seen| match seen.event {
            Event::Lost { reason, .. } => Some(reason),
            _ => None,
        };
        self.nodes[node].seen.iter().filter_map(reason).collect()
    }
}
