//! Two transports, and a network that delivers their datagrams in any order, again, to the wrong one, damaged, and forged with a
//! right checksum. Nothing panics, nothing grows beyond its limit, and afterwards the two can talk.

use std::net::SocketAddr;
use std::time::Duration;

use rpc::time::Time;
use rpc::transport::{BootEpoch, Channel, Event, Peer, SendError, Transport, TransportConfig};
use rpc::wire::Integrity;
use rpc::{Key, Security};

/// Datagrams that the network keeps, to deliver any of them again.
const KEPT_MAX: usize = 64;
const MAX_MESSAGE: usize = 4_096;

/// One thing that happens. Sides are 0 or 1, by their lowest bit.
#[derive(Clone, Debug)]
pub enum Step {
    Connect {
        side: u8,
    },
    Send {
        side: u8,
        length: u16,
    },
    /// Everything that a side has to send goes to the network.
    Transmit {
        side: u8,
    },
    /// One of the network's datagrams arrives, at whom it was sent to or at its own sender.
    Deliver {
        pick: u8,
        reflected: bool,
        damage: Option<Damage>,
    },
    Raw {
        side: u8,
        bytes: Vec<u8>,
    },
    Wait {
        ms: u16,
    },
    Close {
        side: u8,
    },
    Refused {
        side: u8,
    },
    /// A new process at the same address.
    Restart {
        side: u8,
    },
}

/// One byte is another one; with `sealed`, the checksum is right again.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    pub at: u16,
    pub with: u8,
    pub sealed: bool,
}

/// Reads steps from bytes that mean nothing, for as far as they go.
pub fn steps(mut bytes: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    while let [kind, side, a, b, c, rest @ ..] = bytes {
        let number = u16::from_be_bytes([*a, *b]);
        let side = *side;
        bytes = rest;
        steps.push(match kind % 16 {
            0 => Step::Connect { side },
            1 => Step::Send { side, length: number },
            2..=4 => Step::Transmit { side },
            5..=8 => Step::Deliver { pick: side, reflected: false, damage: None },
            9 | 10 => {
                let damage = Damage { at: number, with: *c, sealed: kind & 0x80 != 0 };
                Step::Deliver { pick: side, reflected: kind & 0x40 != 0, damage: Some(damage) }
            }
            11 => {
                let (raw, rest) = bytes.split_at(usize::from(number % 200).min(bytes.len()));
                bytes = rest;
                Step::Raw { side, bytes: raw.to_vec() }
            }
            12 => Step::Wait { ms: number },
            13 => Step::Close { side },
            14 => Step::Refused { side },
            _ => Step::Restart { side },
        });
    }
    steps
}

/// Runs the steps, and then lets both sides talk over a good network; without a key, and with one.
pub fn handshake(steps: &[Step]) {
    for security in [Security::Plain(Integrity::Crc32), Security::PreShared(Key::from_bytes([3; 32]))] {
        let mut pair = Pair::new(security);
        for step in steps {
            pair.step(step);
            pair.expect_bounds();
        }
        pair.talk();
    }
}

fn config(security: &Security) -> TransportConfig {
    TransportConfig {
        max_message: MAX_MESSAGE,
        max_queued_bytes: 4 * MAX_MESSAGE,
        max_reassembly_bytes_per_peer: 1,
        max_reassembly_bytes: 1,
        max_peers: 2,
        ..TransportConfig::new(security.clone())
    }
}

fn addr(side: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 7_000 + side as u16))
}

struct Pair {
    security: Security,
    now: Time,
    sides: [Transport; 2],
    peers: [Option<Peer>; 2],
    boots: u64,
    kept: Vec<(usize, Vec<u8>)>,
    heard: [Vec<Vec<u8>>; 2],
}

impl Pair {
    fn new(security: Security) -> Pair {
        let side = |boot| Transport::new(config(&security), BootEpoch(boot), boot);
        Pair {
            now: Time(1_000_000),
            sides: [side(1), side(2)],
            peers: [None; 2],
            boots: 2,
            kept: Vec::new(),
            heard: [Vec::new(), Vec::new()],
            security,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Connect { side } => {
                let side = usize::from(side & 1);
                self.peers[side] = self.sides[side].connect(self.now, addr(1 - side)).ok();
            }
            Step::Send { side, length } => {
                let (side, bytes) = (usize::from(side & 1), vec![*side; usize::from(*length)]);
                let Some(peer) = self.peers[side] else { return };
                match self.sides[side].send(self.now, peer, Channel(3), &[&bytes]) {
                    Err(SendError::NotFragmented { .. }) => unreachable!("everything may be cut"),
                    Err(SendError::TooManyPeers { .. }) => unreachable!("sending opens no session"),
                    Ok(()) => assert!(bytes.len() <= MAX_MESSAGE),
                    Err(SendError::Gone | SendError::TooLarge { .. } | SendError::Backlog { .. }) => {}
                }
            }
            Step::Transmit { side } => self.transmit(usize::from(side & 1)),
            Step::Deliver { pick, reflected, damage } => {
                if self.kept.is_empty() {
                    return;
                }
                let (to, mut bytes) = self.kept[usize::from(*pick) % self.kept.len()].clone();
                if let Some(damage) = damage {
                    damage.apply(&mut bytes);
                }
                self.receive(if *reflected { 1 - to } else { to }, &bytes);
            }
            Step::Raw { side, bytes } => self.receive(usize::from(side & 1), bytes),
            Step::Wait { ms } => self.wait(Duration::from_millis(u64::from(*ms))),
            Step::Close { side } => {
                let side = usize::from(side & 1);
                if let Some(peer) = self.peers[side].take() {
                    self.sides[side].close(self.now, peer);
                }
            }
            Step::Refused { side } => {
                let (side, mut events) = (usize::from(side & 1), Vec::new());
                self.sides[side].refused(self.now, addr(1 - side), &mut events);
            }
            Step::Restart { side } => {
                let side = usize::from(side & 1);
                self.boots += 1;
                self.sides[side] = Transport::new(config(&self.security), BootEpoch(self.boots), self.boots);
                self.peers[side] = None;
            }
        }
    }

    fn transmit(&mut self, side: usize) {
        let mut out = Vec::new();
        let mut left = 10_000;
        while let Some(to) = self.sides[side].transmit(self.now, &mut out) {
            assert_eq!(to, addr(1 - side));
            if self.kept.len() == KEPT_MAX {
                self.kept.remove(0);
            }
            self.kept.push((1 - side, out.clone()));
            left -= 1;
            assert!(left > 0, "datagrams without end");
        }
    }

    fn receive(&mut self, side: usize, bytes: &[u8]) {
        let (mut events, mut bytes) = (Vec::new(), bytes.to_vec());
        self.sides[side].receive(self.now, addr(1 - side), &mut bytes, &mut events);
        self.note(side, events, &bytes);
    }

    fn note(&mut self, side: usize, events: Vec<Event>, datagram: &[u8]) {
        for event in events {
            match event {
                Event::Up { peer, .. } => self.peers[side] = Some(peer),
                Event::Message { body, .. } => {
                    let bytes = body.bytes(datagram);
                    assert!(bytes.len() <= MAX_MESSAGE);
                    self.heard[side].push(bytes.to_vec());
                }
                Event::Lost { .. } => {}
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        for side in 0..2 {
            let mut events = Vec::new();
            self.sides[side].timeout(self.now, &mut events);
            self.note(side, events, &[]);
        }
    }

    fn expect_bounds(&self) {
        for (side, peer) in self.sides.iter().zip(self.peers) {
            // The smallest limit that a largest message fits into.
            assert!(side.reserved() <= MAX_MESSAGE + 2 * 65_507);
            let unacknowledged = peer.map_or(0, |peer| side.unacknowledged(peer));
            assert!(unacknowledged <= 4 * MAX_MESSAGE / 64 + MAX_MESSAGE / 300, "{unacknowledged} fragments queued");
        }
    }

    /// Side 0 opens a new session and is heard.
    fn talk(&mut self) {
        for side in 0..2 {
            if let Ok(peer) = self.sides[side].connect(self.now, addr(1 - side)) {
                self.sides[side].close(self.now, peer);
            }
        }
        self.wait(Duration::from_secs(60));
        (0..2).for_each(|side| self.transmit(side));
        self.kept.clear();
        let peer = self.sides[0].connect(self.now, addr(1)).expect("room for a session");
        self.sides[0].send(self.now, peer, Channel(3), &[b"at last"]).expect("room for a message");
        for _ in 0..1_000 {
            (0..2).for_each(|side| self.transmit(side));
            for (to, bytes) in std::mem::take(&mut self.kept) {
                self.receive(to, &bytes);
            }
            if self.heard[1].last().is_some_and(|bytes| bytes == b"at last") {
                return;
            }
            self.wait(Duration::from_millis(5));
        }
        panic!("the two cannot talk any more");
    }
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>) {
        if self.sealed {
            bytes.truncate(bytes.len().saturating_sub(4));
        }
        let length = bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(usize::from(self.at) % length) {
            *byte = self.with;
        }
        if self.sealed {
            Integrity::Crc32.seal(bytes);
        }
    }
}
