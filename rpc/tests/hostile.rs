//! What a broken or hostile peer can do to a decoder and to a transport: nothing that panics, nothing without a bound.

#[path = "../fuzz/targets/call.rs"]
mod call;
#[path = "../fuzz/targets/handshake.rs"]
mod handshake;
#[path = "../fuzz/targets/packet.rs"]
mod packet;
#[path = "../fuzz/targets/reassembly.rs"]
mod reassembly;

use std::net::SocketAddr;

use handshake::{Damage, Step};
use proptest::prelude::*;
use reassembly::{Arrival, FRAGMENT_BYTES};
use rpc::call::message::{Call, CallId, How, MethodId, ServiceId, Status, reply_header, request_header};
use rpc::time::Time;
use rpc::transport::{BootEpoch, Channel, Event, SendError, Transport, TransportConfig};
use rpc::wire::{
    AckBlock, Echo, Flags, Fragment, Hello, Kind, MAX_WORDS, Prefix, Reset, ResetReason, SessionId, write_frame_header,
};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Small numbers collide with honest ones; the largest overflow what is careless.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0..70u64, 1 => any::<u64>(), 1 => (0..70u64).prop_map(|below| u64::MAX - below)]
}

fn prefix(kind: Kind) -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), number(), number()).prop_map(move |(flags, to, from)| {
        let mut bytes = Vec::new();
        Prefix { flags: Flags(flags), ..Prefix::new(kind, SessionId(to), SessionId(from)) }.write(&mut bytes);
        bytes
    })
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let echo = prop::option::of((0..u64::MAX, any::<u32>()));
    let words = prop::collection::vec(any::<u64>(), 0..=MAX_WORDS);
    let frame = (number(), any::<u16>(), any::<u16>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..40));
    (number(), number(), echo, words, prop::collection::vec(frame, 0..6)).prop_map(
        |(packet, next, echo, words, frames)| {
            let mut bytes = packet.to_be_bytes().to_vec();
            let echo = echo.map(|(packet, waited_us)| Echo { packet, waited_us });
            AckBlock::new(next, echo, &words).write(&mut bytes);
            for (sequence, index, count, channel, body) in frames {
                write_frame_header(Fragment { sequence, index, count, channel }, body.len(), &mut bytes);
                bytes.extend_from_slice(&body);
            }
            bytes
        },
    )
}

fn hello() -> impl Strategy<Value = Vec<u8>> {
    any::<(u64, u32, u32)>().prop_map(|(boot, datagram_max, message_max)| {
        let mut bytes = Vec::new();
        Hello { boot, datagram_max, message_max }.write(&mut bytes);
        bytes
    })
}

fn reset() -> impl Strategy<Value = Vec<u8>> {
    (any::<u64>(), any::<bool>()).prop_map(|(boot, version)| {
        let reason = if version { ResetReason::Version } else { ResetReason::NoSession };
        let mut bytes = Vec::new();
        Reset { reason, boot }.write(&mut bytes);
        bytes
    })
}

/// A datagram without its trailer that decodes, or nearly does.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![
        2 => (prefix(Kind::Hello), hello()),
        1 => (prefix(Kind::HelloAck), hello()),
        1 => (prefix(Kind::Reset), reset()),
        6 => (prefix(Kind::Data), data()),
    ];
    body.prop_map(|(prefix, body)| [prefix, body].concat())
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let count = prop_oneof![4 => 1..6u16, 1 => any::<u16>()];
    let length = prop_oneof![6 => Just(FRAGMENT_BYTES), 1 => 0..2 * FRAGMENT_BYTES];
    (number(), any::<u16>(), count, 0..2u8, length, prop::bool::weighted(0.8)).prop_map(
        |(sequence, index, count, channel, length, honest)| {
            // Mostly messages that begin at multiples of their count: their fragments meet.
            let index = if honest { (sequence % u64::from(count.max(1))) as u16 } else { index };
            Arrival { fragment: Fragment { sequence, index, count, channel }, length }
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let side = any::<u8>;
    let damage = (prop_oneof![0..80u16, any::<u16>()], any::<u8>(), any::<bool>());
    let damage = prop::option::weighted(0.3, damage.prop_map(|(at, with, sealed)| Damage { at, with, sealed }));
    let step = prop_oneof![
        3 => side().prop_map(|side| Step::Connect { side }),
        4 => (side(), prop_oneof![0..100u16, 0..5_000u16]).prop_map(|(side, length)| Step::Send { side, length }),
        8 => side().prop_map(|side| Step::Transmit { side }),
        12 => (any::<u8>(), prop::bool::weighted(0.1), damage)
            .prop_map(|(pick, reflected, damage)| Step::Deliver { pick, reflected, damage }),
        1 => (side(), datagram()).prop_map(|(side, mut bytes)| {
            rpc::wire::Integrity::Crc32.seal(&mut bytes);
            Step::Raw { side, bytes }
        }),
        4 => prop_oneof![0..30u16, any::<u16>()].prop_map(|ms| Step::Wait { ms }),
        1 => side().prop_map(|side| Step::Close { side }),
        1 => side().prop_map(|side| Step::Refused { side }),
        1 => side().prop_map(|side| Step::Restart { side }),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn a_datagram_means_what_its_bytes_say(bytes in datagram()) {
        packet::packet(&bytes);
    }

    #[test]
    fn a_damaged_datagram_means_what_its_bytes_say(
        mut bytes in datagram(), at in any::<prop::sample::Index>(), with: u8, length in any::<prop::sample::Index>()
    ) {
        let at = at.index(bytes.len());
        bytes[at] = with;
        packet::packet(&bytes);
        bytes.truncate(length.index(bytes.len()));
        packet::packet(&bytes);
    }

    #[test]
    fn random_bytes_behind_a_prefix_mean_what_they_say(
        prefix in prop_oneof![prefix(Kind::Data), prefix(Kind::Hello), prefix(Kind::Reset)],
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 0..120)
    ) {
        packet::packet(&bytes);
        packet::packet(&[prefix, bytes].concat());
    }

    #[test]
    fn a_call_means_what_its_bytes_say(
        ids in any::<(u64, u32, u16)>(), at in 0..31usize, with: u8, mut body in prop::collection::vec(any::<u8>(), 0..40)
    ) {
        call::call(&body);
        let mut request = request_header(&Call {
            id: CallId(ids.0),
            how: How::AtMostOnce,
            session: ids.1,
            age: with,
            time_left: None,
            service: ServiceId(ids.1),
            method: MethodId { number: ids.2, version: ids.2, schema: ids.1 },
        }).to_vec();
        let mut reply = reply_header(CallId(ids.0), Status::Done).to_vec();
        request.append(&mut body.clone());
        reply.append(&mut body);
        for bytes in [&mut request, &mut reply] {
            call::call(bytes);
            let at = at % bytes.len();
            bytes[at] = with;
            call::call(bytes);
        }
    }

    #[test]
    fn fragments_are_taken_once_and_messages_never_invented(arrivals in prop::collection::vec(arrival(), 0..200)) {
        reassembly::reassembly(&arrivals);
    }

    #[test]
    fn two_transports_survive_each_others_datagrams_in_any_state(steps in steps()) {
        handshake::handshake(&steps);
    }

    #[test]
    fn bytes_as_sequences_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        reassembly::reassembly(&reassembly::arrivals(&bytes));
        handshake::handshake(&handshake::steps(&bytes));
    }
}

#[test]
fn an_acknowledgement_without_an_echo_has_no_waiting_time() {
    let mut bytes = vec![0; 8];
    bytes.extend_from_slice(&[0xff; 8]);
    bytes.extend_from_slice(&[0, 0, 0, 1, 0]);
    assert!(AckBlock::read(&mut rpc::wire::Reader::new(&bytes)).is_err());
}

fn addr(number: usize) -> SocketAddr {
    // Loopback addresses: datagrams are as large as they can be, and so is what an attacker may send before it hears anything.
    SocketAddr::from(([127, 0, (number >> 8) as u8, number as u8], 7_000))
}

/// A victim, and attackers that do everything by the rules.
struct Siege {
    now: Time,
    victim: Transport,
    attackers: Vec<Transport>,
    events: Vec<Event>,
}

impl Siege {
    fn new(attackers: usize, config: TransportConfig) -> Siege {
        let side = |number: usize| Transport::new(config.clone(), BootEpoch(number as u64), number as u64);
        let attackers = (1..=attackers).map(side).collect();
        Siege { now: Time(1_000_000), victim: side(0), attackers, events: Vec::new() }
    }

    /// What the attackers have to say arrives, at most `limit` datagrams of each; with `answered`, they hear the victim.
    fn exchange(&mut self, limit: usize, answered: bool) {
        let mut out = Vec::new();
        for (number, attacker) in self.attackers.iter_mut().enumerate() {
            for _ in 0..limit {
                if attacker.transmit(self.now, &mut out).is_none() {
                    break;
                }
                self.victim.receive(self.now, addr(number + 1), &mut out, &mut self.events);
            }
        }
        while let Some(to) = self.victim.transmit(self.now, &mut out) {
            let number = (1..=self.attackers.len()).find(|number| addr(*number) == to);
            if let Some(number) = number.filter(|_| answered) {
                let mut events = Vec::new();
                self.attackers[number - 1].receive(self.now, addr(0), &mut out, &mut events);
            }
        }
    }
}

#[test]
fn no_more_sessions_than_the_limit_however_many_ask() {
    let mut siege = Siege::new(100, TransportConfig { max_peers: 10, ..TransportConfig::plain() });
    for attacker in &mut siege.attackers {
        attacker.connect(siege.now, addr(0)).unwrap();
    }
    (0..5).for_each(|_| siege.exchange(10, true));
    assert_eq!(siege.victim.counters().sessions_opened, 10);
    let limit = SendError::TooManyPeers { limit: 10 };
    assert_eq!(siege.victim.connect(siege.now, addr(5_000)), Err(limit));
}

#[test]
fn messages_that_never_end_hold_no_more_than_the_limit_of_all_peers_together() {
    let config = TransportConfig {
        max_message: 1 << 20,
        max_reassembly_bytes_per_peer: 2 << 20,
        max_reassembly_bytes: 5 << 20,
        ..TransportConfig::plain()
    };
    let mut siege = Siege::new(20, config.clone());
    let message = vec![1; 1 << 20];
    let mut peers = Vec::new();
    for attacker in &mut siege.attackers {
        peers.push(attacker.connect(siege.now, addr(0)).unwrap());
    }
    (0..3).for_each(|_| siege.exchange(10, true));
    for (attacker, peer) in siege.attackers.iter_mut().zip(&peers) {
        (0..8).for_each(|_| attacker.send(siege.now, *peer, Channel(3), &[&message]).unwrap());
    }
    for _ in 0..20 {
        siege.exchange(7, false);
        assert!(siege.victim.reserved() <= config.max_reassembly_bytes);
    }
    assert!(siege.victim.reserved() > 0 && siege.victim.counters().overflow_dropped > 0);
}

#[test]
fn messages_that_never_end_hold_no_more_than_the_limit_of_a_peer() {
    let limit = 1 << 19;
    let config = TransportConfig {
        max_message: 1 << 18,
        max_reassembly_bytes_per_peer: limit,
        window_bytes: 2 << 20,
        ..TransportConfig::plain()
    };
    let mut siege = Siege::new(1, config);
    let peer = siege.attackers[0].connect(siege.now, addr(0)).unwrap();
    (0..3).for_each(|_| siege.exchange(10, true));
    (0..8).for_each(|_| siege.attackers[0].send(siege.now, peer, Channel(3), &[&vec![1; 1 << 18]]).unwrap());
    let (mut out, mut count) = (Vec::new(), 0);
    while siege.attackers[0].transmit(siege.now, &mut out).is_some() {
        count += 1;
        // Every message lacks something.
        if count % 4 != 0 {
            siege.victim.receive(siege.now, addr(1), &mut out, &mut siege.events);
        }
        assert!(siege.victim.reserved() <= limit, "{}", siege.victim.reserved());
    }
    assert!(siege.victim.reserved() > 1 << 18 && siege.victim.counters().overflow_dropped > 0, "{count} datagrams");
}

#[test]
fn a_peer_that_acknowledges_nothing_fills_no_more_than_its_queue() {
    let config = TransportConfig { max_queued_bytes: 1 << 20, ..TransportConfig::plain() };
    let mut siege = Siege::new(1, config);
    siege.attackers[0].connect(siege.now, addr(0)).unwrap();
    (0..3).for_each(|_| siege.exchange(10, true));
    let [Event::Up { peer, .. }, ..] = siege.events[..] else { panic!("{:?}", siege.events) };
    for length in [0, 1, 100, 10_000] {
        let queued =
            (0..1 << 20).take_while(|_| siege.victim.send(siege.now, peer, Channel(3), &[&vec![0; length]]).is_ok());
        assert!(queued.count() * (length + 64) <= 1 << 20);
        siege.exchange(0, false);
    }
    assert!(siege.victim.unacknowledged(peer) <= (1 << 20) / 64);
}
