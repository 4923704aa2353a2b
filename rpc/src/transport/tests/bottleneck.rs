//! Several senders behind one bottleneck: a queue of bounded length that is emptied at a fixed rate, a delay, and accidents.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::network::MS;
use crate::time::Time;
use crate::transport::random::Random;
use crate::transport::{BootEpoch, Channel, Event, Peer, Transport, TransportConfig};

/// What stands before a UDP payload in an Ethernet frame, and behind it.
const HEADERS: usize = 28 + 18;
const MESSAGE: usize = 32 << 10;

/// What stands between the senders and their receivers.
#[derive(Copy, Clone, Debug)]
struct Line {
    bits_per_second: u64,
    round_trip: Duration,
    /// The longest queue, bytes.
    buffer: usize,
    /// The probability that a datagram vanishes, in either direction.
    loss: f64,
}

impl Line {
    fn transfer_time(&self, bytes: usize) -> Duration {
        Duration::from_nanos(bytes as u64 * 8_000_000_000 / self.bits_per_second)
    }

    /// Payload that passes in this time when nothing is in its way: bytes.
    fn capacity(&self, time: Duration) -> f64 {
        time.as_secs_f64() * self.bits_per_second as f64 / 8.0 * 1_372.0 / (1_472 + HEADERS) as f64
    }
}

struct Flow {
    sender: Transport,
    receiver: Transport,
    peer: Option<Peer>,
    delivered: usize,
}

/// Flow `f` sends from address `2 f` to `2 f + 1`.
struct Bottleneck {
    now: Time,
    line: Line,
    random: Random,
    flows: Vec<Flow>,
    /// When the last datagram in the queue will have left it.
    busy_until: Time,
    /// By arrival time and a running number: to whom, and what.
    flying: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    count: u64,
    /// The sum over all datagrams of the time that they stood in the queue, and their number.
    waited: (Duration, u32),
    dropped: u64,
}

fn addr(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 7_000 + number as u16))
}

impl Bottleneck {
    fn new(line: Line, flows: usize, seed: u64) -> Bottleneck {
        let transport =
            |number: usize| Transport::new(TransportConfig::plain(), BootEpoch(number as u64), seed + number as u64);
        let flow = |number| Flow {
            sender: transport(2 * number),
            receiver: transport(2 * number + 1),
            peer: None,
            delivered: 0,
        };
        Bottleneck {
            now: Time(1_000_000),
            line,
            random: Random::new(seed),
            flows: (0..flows).map(flow).collect(),
            busy_until: Time::ZERO,
            flying: BTreeMap::new(),
            count: 0,
            waited: (Duration::ZERO, 0),
            dropped: 0,
        }
    }

    /// From now on this flow has something to send at any time.
    fn start(&mut self, flow: usize) {
        let now = self.now;
        self.flows[flow].peer = Some(self.flows[flow].sender.connect(now, addr(2 * flow + 1)).unwrap());
    }

    fn fly(&mut self, at: Time, to: usize, datagram: &[u8]) {
        if !self.random.chance(self.line.loss) {
            self.count += 1;
            self.flying.insert((at, self.count), (to, datagram.to_vec()));
        }
    }

    fn forward(&mut self, to: usize, datagram: &[u8]) {
        let queued = self.busy_until - self.now;
        if queued > self.line.transfer_time(self.line.buffer) {
            self.dropped += 1;
            return;
        }
        self.waited = (self.waited.0 + queued, self.waited.1 + 1);
        self.busy_until = self.busy_until.max(self.now) + self.line.transfer_time(datagram.len() + HEADERS);
        self.fly(self.busy_until + self.line.round_trip / 2, to, datagram);
    }

    fn collect(&mut self) {
        let mut out = Vec::new();
        for number in 0..self.flows.len() {
            let flow = &mut self.flows[number];
            while let Some(peer) = flow.peer
                && flow.sender.unacknowledged(peer) < 512
            {
                flow.sender.send(self.now, peer, Channel(3), &[&[7; MESSAGE]]).unwrap();
            }
            while self.flows[number].sender.transmit(self.now, &mut out).is_some() {
                self.forward(2 * number + 1, &out);
            }
            while self.flows[number].receiver.transmit(self.now, &mut out).is_some() {
                self.fly(self.now + self.line.round_trip / 2, 2 * number, &out);
            }
        }
    }

    fn deliver(&mut self, to: usize, datagram: &mut [u8]) {
        let flow = &mut self.flows[to / 2];
        let mut events = Vec::new();
        if to.is_multiple_of(2) {
            flow.sender.receive(self.now, addr(to + 1), datagram, &mut events);
        } else {
            flow.receiver.receive(self.now, addr(to - 1), datagram, &mut events);
        }
        flow.delivered += MESSAGE * events.iter().filter(|event| matches!(event, Event::Message { .. })).count();
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.collect();
            let arrival = self.flying.keys().next().map(|(at, _)| *at);
            let transports = self.flows.iter().flat_map(|flow| [&flow.sender, &flow.receiver]);
            let timers = transports.filter_map(Transport::next_timeout);
            let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(first) = self.flying.first_entry()
                && first.key().0 <= self.now
            {
                let (to, mut datagram) = first.remove();
                self.deliver(to, &mut datagram);
            }
            let mut events = Vec::new();
            for flow in &mut self.flows {
                flow.sender.timeout(self.now, &mut events);
                flow.receiver.timeout(self.now, &mut events);
            }
            assert_eq!(events, []);
        }
        self.now = end;
    }

    /// What each flow delivers in this time, bytes; and how long datagrams stand in the queue in the mean.
    fn measure(&mut self, time: Duration) -> (Vec<f64>, Duration) {
        self.waited = (Duration::ZERO, 0);
        let before: Vec<usize> = self.flows.iter().map(|flow| flow.delivered).collect();
        self.run(time);
        let delivered = self.flows.iter().zip(before).map(|(flow, before)| (flow.delivered - before) as f64);
        (delivered.collect(), self.waited.0 / self.waited.1.max(1))
    }
}

const BUFFER: usize = 512 << 10;
const ROOM: Line =
    Line { bits_per_second: 200_000_000, round_trip: Duration::from_micros(400), buffer: BUFFER, loss: 0.0 };
const CAMPUS: Line =
    Line { bits_per_second: 100_000_000, round_trip: Duration::from_millis(5), buffer: BUFFER, loss: 0.0 };
const FAR: Line =
    Line { bits_per_second: 20_000_000, round_trip: Duration::from_millis(50), buffer: BUFFER, loss: 0.0 };

/// Long enough to look for the smallest round trip once, or for some tens of round trips.
fn warm_up(line: &Line) -> Duration {
    (40 * line.round_trip).max(1_200 * MS)
}

#[test]
fn one_flow_fills_the_line_and_keeps_the_queue_short() {
    for line in [ROOM, CAMPUS, FAR] {
        let mut bottleneck = Bottleneck::new(line, 1, 1);
        bottleneck.start(0);
        bottleneck.run(warm_up(&line));
        let time = warm_up(&line);
        let (delivered, waited) = bottleneck.measure(time);
        let utilisation = delivered[0] / line.capacity(time);
        println!("{line:?}: {utilisation:.3}, queue {waited:?}, {} dropped", bottleneck.dropped);
        assert!(utilisation > 0.85);
        assert!(waited < line.transfer_time(40 * 1_500));
    }
}

#[test]
fn two_flows_share_whichever_came_first() {
    for line in [ROOM, CAMPUS, FAR] {
        let mut bottleneck = Bottleneck::new(line, 2, 2);
        bottleneck.start(0);
        bottleneck.run(warm_up(&line));
        bottleneck.start(1);
        bottleneck.run(2 * warm_up(&line));
        let time = 4 * warm_up(&line);
        let (delivered, waited) = bottleneck.measure(time);
        let utilisation = (delivered[0] + delivered[1]) / line.capacity(time);
        let share = delivered[0] / delivered[1];
        println!("{line:?}: {utilisation:.3}, share {share:.2}, queue {waited:?}, {} dropped", bottleneck.dropped);
        assert!((0.6..1.7).contains(&share));
        assert!(waited < line.transfer_time(80 * 1_500));
    }
}

#[test]
fn none_of_eight_flows_starves() {
    for line in [ROOM, CAMPUS, FAR] {
        let mut bottleneck = Bottleneck::new(line, 8, 3);
        for flow in 0..8 {
            bottleneck.start(flow);
            bottleneck.run(warm_up(&line) / 8);
        }
        bottleneck.run(2 * warm_up(&line));
        let time = 4 * warm_up(&line);
        let (delivered, waited) = bottleneck.measure(time);
        let fair = line.capacity(time) / 8.0;
        let shares: Vec<f64> = delivered.iter().map(|got| got / fair).collect();
        println!("{line:?}: {shares:.2?}, queue {waited:?}, {} dropped", bottleneck.dropped);
        assert!(shares.iter().all(|share| *share > 0.4));
        assert!(shares.iter().sum::<f64>() > 0.8 * 8.0);
    }
}

#[test]
fn accidents_are_not_taken_for_congestion() {
    let quick = Line { bits_per_second: 2_000_000_000, round_trip: Duration::from_micros(40), ..ROOM };
    let slow = Line { round_trip: 50 * MS, ..CAMPUS };
    for line in [quick, ROOM, CAMPUS, FAR, slow] {
        let goodput = |loss: f64| {
            let mut bottleneck = Bottleneck::new(Line { loss, ..line }, 1, 4);
            bottleneck.start(0);
            let time = (40 * line.round_trip).max(100 * MS);
            bottleneck.run(time);
            bottleneck.measure(2 * time).0[0]
        };
        let lossless = goodput(0.0);
        for (loss, least) in [(0.01, 0.85), (0.05, 0.8), (0.2, 0.6)] {
            let got = goodput(loss) / (lossless * (1.0 - loss));
            println!("{line:?} at {loss}: {got:.3}");
            assert!(got > least);
        }
    }
}

#[test]
fn a_queue_too_short_to_be_seen_does_not_make_the_line_collapse() {
    for flows in [1, 8] {
        let line = Line { buffer: 10 * 1_500, ..ROOM };
        let mut bottleneck = Bottleneck::new(line, flows, 5);
        (0..flows).for_each(|flow| bottleneck.start(flow));
        bottleneck.run(warm_up(&line));
        let time = 4 * warm_up(&line);
        let (delivered, _) = bottleneck.measure(time);
        let utilisation = delivered.iter().sum::<f64>() / line.capacity(time);
        println!("{flows} flows: {utilisation:.3}, {} dropped", bottleneck.dropped);
        assert!(utilisation > 0.7);
    }
}
