//! The wires: what becomes of a datagram.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rpc::time::Time;

use crate::random::Random;
use crate::scenario::Links;
use crate::trace::Trace;

/// What befell datagrams, and nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Datagrams that vanished.
    pub lost: u64,
    /// That came twice.
    pub duplicated: u64,
    /// That were overtaken by later ones.
    pub reordered: u64,
    /// That came with other bytes.
    pub corrupted: u64,
    /// That took more than twice as long as they should.
    pub delayed: u64,
    /// That a partition kept back for ever.
    pub partitioned: u64,
    /// That found the receiver's socket full.
    pub overflowed: u64,
    /// Times that a node stood still.
    pub pauses: u64,
}

impl Faults {
    /// How many kinds of network fault there were, out of seven.
    pub fn kinds(&self) -> usize {
        self.of_the_network().iter().filter(|(_, count)| *count > 0).count()
    }

    /// The kinds of network fault by name.
    pub fn of_the_network(&self) -> [(&'static str, u64); 7] {
        [
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("corrupted", self.corrupted),
            ("delayed", self.delayed),
            ("partitioned", self.partitioned),
            ("overflowed", self.overflowed),
        ]
    }
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub at: Time,
    pub from: usize,
    pub to: usize,
    pub bytes: Vec<u8>,
}

/// One direction between two nodes.
#[derive(Clone, Copy, Debug)]
struct Wire {
    /// Which part of the worst probability of loss is its own.
    share: f64,
    last_arrival: Time,
    /// Nothing passes before.
    cut_until: Time,
}

/// All wires of a cluster.
pub(crate) struct Network {
    links: Links,
    nodes: usize,
    wires: Vec<Wire>,
    random: Random,
    /// Emptied buffers.
    spare: Vec<Vec<u8>>,
    /// Datagrams that were just sent, for the cluster to take.
    pub sent: Vec<Datagram>,
    pub faults: Faults,
}

impl Network {
    pub fn new(links: Links, nodes: usize, mut random: Random) -> Network {
        let shares = (0..nodes * nodes).map(|_| random.fraction()).collect::<Vec<_>>();
        let wire = |share| Wire { share, last_arrival: Time::ZERO, cut_until: Time::ZERO };
        Network {
            links,
            nodes,
            wires: shares.into_iter().map(wire).collect(),
            random,
            spare: Vec::new(),
            sent: Vec::new(),
            faults: Faults::default(),
        }
    }

    /// Where a node is.
    pub fn addr(&self, node: usize) -> SocketAddr {
        let last = node as u8 + 1;
        let ip = if self.links.is_loopback { Ipv4Addr::new(127, 0, 0, last) } else { Ipv4Addr::new(10, 0, 0, last) };
        SocketAddr::new(IpAddr::V4(ip), 7_000)
    }

    /// Who is there.
    pub fn node(&self, addr: SocketAddr) -> Option<usize> {
        let IpAddr::V4(ip) = addr.ip() else { return None };
        let node = usize::from(ip.octets()[3]).checked_sub(1)?;
        (node < self.nodes).then_some(node)
    }

    /// No fault from now on.
    pub fn heal(&mut self) {
        let Links { is_loopback, delay, socket_bytes, .. } = self.links;
        let (loss, duplicate, reorder, corrupt) = (0.0, 0.0, 0.0, 0.0);
        let socket_bytes = socket_bytes.max(4 << 20);
        self.links =
            Links { is_loopback, delay, spread: Duration::ZERO, loss, duplicate, reorder, corrupt, socket_bytes };
        self.wires.iter_mut().for_each(|wire| wire.cut_until = Time::ZERO);
    }

    /// Cuts the wires from one set of nodes to another.
    pub fn cut(&mut self, from: u64, to: u64, until: Time) {
        for sender in (0..self.nodes).filter(|node| from >> node & 1 == 1) {
            for receiver in (0..self.nodes).filter(|node| to >> node & 1 == 1) {
                self.wires[sender * self.nodes + receiver].cut_until = until;
            }
        }
    }

    /// What a socket holds, bytes.
    pub fn socket_bytes(&self) -> usize {
        self.links.socket_bytes
    }

    /// A node puts a datagram on the wire.
    pub fn carry(&mut self, now: Time, from: usize, to: usize, bytes: &[u8], trace: &mut Trace<'_>) {
        let wire = from * self.nodes + to;
        let describe = |what: &str| format!("{from} -> {to}  datagram of {} bytes {what}", bytes.len());
        if self.wires[wire].cut_until > now {
            self.faults.partitioned += 1;
            return trace.say(|| describe("runs into a partition"));
        }
        let copies = if self.random.chance(self.links.duplicate) { 2 } else { 1 };
        self.faults.duplicated += copies - 1;
        for _ in 0..copies {
            if self.random.chance(self.links.loss * self.wires[wire].share.max(0.3)) {
                self.faults.lost += 1;
                trace.say(|| describe("is lost"));
                continue;
            }
            let mut copy = self.spare.pop().unwrap_or_default();
            copy.clear();
            copy.extend_from_slice(bytes);
            if self.random.chance(self.links.corrupt) {
                self.damage(&mut copy);
                trace.say(|| describe("is damaged"));
            }
            let at = now + self.journey();
            let last = &mut self.wires[wire].last_arrival;
            self.faults.reordered += u64::from(at < *last);
            *last = at.max(*last);
            self.sent.push(Datagram { at, from, to, bytes: copy });
        }
    }

    /// Gives an emptied buffer back.
    pub fn give_back(&mut self, buffer: Vec<u8>) {
        self.spare.push(buffer);
    }

    fn journey(&mut self) -> Duration {
        let spread = Duration::from_nanos(self.random.below(self.links.spread.as_nanos() as u64 + 1));
        let mut journey = self.links.delay + spread;
        if self.random.chance(self.links.reorder) {
            // Now and then one is so late that it meets another time.
            let most = if self.random.chance(0.02) { 1_000_000 } else { 3_000 };
            journey += self.random.micros(100, most);
        }
        self.faults.delayed += u64::from(journey > 2 * self.links.delay);
        journey
    }

    /// Flips one to four bits, or changes the length.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        self.faults.corrupted += 1;
        match self.random.below(10) {
            0 => bytes.truncate(self.random.index(bytes.len())),
            1 => bytes.extend((0..=self.random.below(8)).map(|count| count as u8)),
            _ => {
                for _ in 0..=self.random.below(4) {
                    let place = self.random.index(bytes.len());
                    bytes[place] ^= 1 << self.random.below(8);
                }
            }
        }
    }
}
