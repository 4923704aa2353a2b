//! Damaged datagrams by the million, offered to an open session: none may be taken for a good one.
//!
//! Each datagram is made by a sender that has a session with the receiver, and carries a message; damaged copies of it come first, of
//! every kind of [`Damage`], then the good one. Taken is a copy that has any effect: a message, a part of one, a duplicate.
//! Without any check some are, which shows that the damage is real.

use std::net::SocketAddr;

use rpc::time::Time;
use rpc::transport::{BootEpoch, Channel, Event, Transport, TransportConfig};
use rpc::wire::Integrity;
use rpc::{Key, Security};

use crate::checksum::contents::Contents;
use crate::checksum::damage::Damage;
use crate::checksum::random::Random;
use crate::figure::{Figure, Unit};

/// Damaged copies of each kind before the good datagram.
const COPIES: u64 = 64;
/// Largest message, bytes; with all headers it fits a datagram.
const MESSAGE_BYTES_MAX: usize = 1_300;
/// Of the datagrams that are damaged, so many are offered to a receiver without any check.
const CONTROL_SHARE: u64 = 100;

/// Takes everything.
const UNGUARDED: Security = Security::Plain(Integrity::None);

/// Offers `count` damaged datagrams, and calls `progress` with how many were.
///
/// # Errors
///
/// The two ends do not understand each other: a sentence for the user.
pub fn measure(count: u64, seed: u64, mut progress: impl FnMut(u64)) -> Result<Vec<Figure>, String> {
    let mut figures = vec![Figure::of("corrupted", Unit::Count, vec![count as f64])];
    let guards = [
        ("crc32", Security::Plain(Integrity::Crc32), count),
        ("aead", Security::PreShared(Key::from_bytes([7; 32])), count),
        ("none", UNGUARDED, count.div_ceil(CONTROL_SHARE)),
    ];
    for (name, security, count) in guards {
        let taken = taken(&security, count, seed, &mut progress)?;
        figures.push(Figure::of(&format!("corrupted_taken_{name}"), Unit::Count, vec![taken as f64]));
    }
    Ok(figures)
}

/// How many damaged datagrams had an effect.
fn taken(security: &Security, count: u64, seed: u64, progress: &mut impl FnMut(u64)) -> Result<u64, String> {
    let mut random = Random(seed);
    let (mut offered, mut taken) = (0, 0);
    let mut message = vec![0; MESSAGE_BYTES_MAX];
    while offered < count {
        // A new one each time: without a check, damage does not stop at the message.
        let mut pair = Pair::open(security)?;
        let contents = Contents::ALL[random.below(Contents::ALL.len())];
        contents.fill(&mut message, &mut random);
        let length = random.between(1, MESSAGE_BYTES_MAX);
        let good = pair.datagram(message.get(..length).unwrap_or_default())?;
        let mut bad = good.clone();
        for damage in Damage::ALL {
            for _ in 0..COPIES.min(count - offered) {
                bad.copy_from_slice(&good);
                damage.apply(&mut bad, &mut random);
                taken += u64::from(pair.takes(&mut bad));
                offered += 1;
            }
        }
        bad.copy_from_slice(&good);
        if *security != UNGUARDED && !pair.takes(&mut bad) {
            return Err("the good datagram was not taken either".to_owned());
        }
        progress(offered);
    }
    Ok(taken)
}

/// Two ends of a session.
struct Pair {
    sender: Transport,
    receiver: Transport,
    events: Vec<Event>,
}

const NOW: Time = Time::ZERO;

fn addresses() -> (SocketAddr, SocketAddr) {
    (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into())
}

impl Pair {
    fn open(security: &Security) -> Result<Pair, String> {
        let config = TransportConfig::new(security.clone());
        let sender = Transport::new(config.clone(), BootEpoch(1), 1);
        let receiver = Transport::new(config, BootEpoch(2), 2);
        let mut pair = Pair { sender, receiver, events: Vec::new() };
        let (ours, theirs) = addresses();
        let peer = pair.sender.connect(NOW, theirs).map_err(|error| error.to_string())?;
        pair.sender.send(NOW, peer, Channel(7), &[b"open"]).map_err(|error| error.to_string())?;
        let mut datagram = Vec::new();
        let mut moved = true;
        while moved {
            moved = false;
            while pair.sender.transmit(NOW, &mut datagram).is_some() {
                pair.receiver.receive(NOW, ours, &mut datagram, &mut pair.events);
                moved = true;
            }
            while pair.receiver.transmit(NOW, &mut datagram).is_some() {
                pair.sender.receive(NOW, theirs, &mut datagram, &mut pair.events);
                moved = true;
            }
        }
        pair.events.clear();
        let opened = pair.receiver.counters().messages_delivered == 1;
        if opened { Ok(pair) } else { Err("no session opens".to_owned()) }
    }

    /// A datagram that brings this message.
    fn datagram(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        let (_, theirs) = addresses();
        let peer = self.sender.connect(NOW, theirs).map_err(|error| error.to_string())?;
        self.sender.send(NOW, peer, Channel(7), &[message]).map_err(|error| error.to_string())?;
        let mut datagram = Vec::new();
        self.sender.transmit(NOW, &mut datagram).map(|_| datagram).ok_or_else(|| "nothing is sent".to_owned())
    }

    /// Whether it has an effect.
    fn takes(&mut self, datagram: &mut [u8]) -> bool {
        let effects = |transport: &Transport| {
            let counters = transport.counters();
            counters.fragments_received + counters.duplicates_dropped
        };
        let before = effects(&self.receiver);
        self.receiver.receive(NOW, addresses().0, datagram, &mut self.events);
        let taken = !self.events.is_empty() || effects(&self.receiver) != before;
        self.events.clear();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_crc_nor_encryption_lets_anything_pass_and_without_it_damage_is_taken() {
        let figures = measure(20_000, 1, |_| {}).unwrap();
        let value = |name: &str| figures.iter().find(|figure| figure.name == name).map(|figure| figure.p50);
        assert_eq!(value("corrupted"), Some(20_000.0));
        assert_eq!((value("corrupted_taken_crc32"), value("corrupted_taken_aead")), (Some(0.0), Some(0.0)));
        assert!(value("corrupted_taken_none").is_some_and(|taken| taken > 100.0), "{figures:?}");
    }
}
