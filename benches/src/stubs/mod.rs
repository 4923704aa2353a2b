//! What a stub costs beside marshalling that is written by hand for the same bytes: a whole call but for the network.
//!
//! The arguments are encoded, decoded, handed to the same method, and its result is encoded and decoded. Both ways take turns in short
//! rounds, so that what disturbs the machine disturbs both. What the run-time library does for each request, with stubs or without, is
//! not counted: finding the service, comparing schemas.

mod by_hand;
mod shop;

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use rpc::codec::{self, Encoded, Values};
use rpc::{Bytes, Service};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::figure::{Figure, Unit};
use crate::report::{Machine, Ratio};
use shop::{Counter, Order, ShopClient, ShopServer};

/// One sample is the mean of so many calls.
const CALLS_PER_SAMPLE: u32 = 200;

/// What is sent.
const MESSAGES: [&str; 4] = ["number", "order", "orders_100", "page"];

/// Medians, and the ratios.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    machine: Machine,
    rounds: usize,
    figures: Vec<Figure>,
    ratios: Vec<Ratio>,
}

/// Measures; calls `progress` before each round.
///
/// # Errors
/// The two ways do not write the same bytes, or not give the same result: nothing would be comparable.
pub fn measure(rounds: usize, mut progress: impl FnMut()) -> Result<Report, String> {
    let bench = Bench::new();
    bench.compare()?;
    let mut samples = vec![[Vec::new(), Vec::new()]; MESSAGES.len()];
    let (mut stubs, mut hands) = (Stubs::default(), Hands::default());
    for _ in 0..rounds {
        progress();
        for (message, [stub, hand]) in samples.iter_mut().enumerate() {
            stub.push(timed(|| bench.stub(message, &mut stubs)));
            hand.push(timed(|| bench.by_hand(message, &mut hands)));
        }
    }
    let mut figures = Vec::new();
    for (name, [stub, hand]) in MESSAGES.iter().zip(samples) {
        figures.push(Figure::of(&format!("stub_{name}"), Unit::Microseconds, stub));
        figures.push(Figure::of(&format!("by_hand_{name}"), Unit::Microseconds, hand));
    }
    let ratio = |name: &&str| Ratio::between(&figures, &format!("stub_{name}"), &format!("by_hand_{name}"));
    let ratios = MESSAGES.iter().filter_map(ratio).collect();
    Ok(Report { machine: Machine::this(), rounds, ratios, figures })
}

/// Microseconds for one call.
fn timed(mut call: impl FnMut() -> u64) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS_PER_SAMPLE {
        black_box(call());
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS_PER_SAMPLE)
}

/// What lies between the two programs: of what comes out, a compiler knows nothing. In registers, so that the length of a buffer that has
/// just been written is not fetched together with its address, for which the processor would have to wait.
#[inline(never)]
fn network(bytes: &[u8]) -> &[u8] {
    black_box(bytes)
}

/// Request and reply.
type Stubs = (Vec<u8>, Encoded);
type Hands = (Vec<u8>, Vec<u8>);

struct Bench {
    shop: ShopServer<Counter>,
    order: Order,
    orders: Vec<Order>,
    page: Bytes,
    methods: [usize; 4],
}

impl Bench {
    fn new() -> Self {
        let place = |name| ShopClient::INTERFACE.methods.iter().position(|method| method.name == name);
        let methods = ["number", "order", "orders", "page"].map(|name| place(name).unwrap_or(usize::MAX));
        let orders = (0..100).map(Order::example).collect();
        let page = (0..4096u32).map(|place| place as u8).collect();
        Bench { shop: ShopServer::new(Counter), order: Order::example(7), orders, page, methods }
    }

    /// One call by the stub. A digest of the result; 0 if something went wrong.
    fn stub(&self, message: usize, buffers: &mut Stubs) -> u64 {
        let id = self.methods[message];
        match message {
            0 => self.round::<_, u64>(id, &(black_box(&5u64),), buffers),
            1 => self.round::<_, u64>(id, &(&3u64, black_box(&self.order)), buffers),
            2 => self.round::<_, u64>(id, &(black_box(&self.orders),), buffers),
            _ => self
                .round::<_, Bytes>(id, &(&9u64, black_box(&self.page)), buffers)
                .map(|page| black_box(page).len() as u64),
        }
        .unwrap_or_default()
    }

    fn round<A: Serialize, R: DeserializeOwned>(&self, method: usize, arguments: &A, buffers: &mut Stubs) -> Option<R> {
        let (request, reply) = buffers;
        request.clear();
        reply.clear();
        codec::encode(arguments, request).ok()?;
        self.shop.dispatch(Values::new(network(request)), reply, method).ok()?;
        let [reply, ..] = reply.parts();
        codec::decode(network(reply)).ok()
    }

    /// The same call as a program would make it that has no stubs.
    fn by_hand(&self, message: usize, buffers: &mut Hands) -> u64 {
        let (request, reply) = buffers;
        request.clear();
        reply.clear();
        match black_box(message) {
            0 => by_hand::number(&Counter, black_box(5), request, reply),
            1 => by_hand::order(&Counter, 3, black_box(&self.order), request, reply),
            2 => by_hand::orders(&Counter, black_box(&self.orders), request, reply),
            _ => by_hand::page(&Counter, 9, black_box(&self.page), request, reply)
                .map(|page| black_box(page).len() as u64),
        }
        .unwrap_or_default()
    }

    fn compare(&self) -> Result<(), String> {
        for (message, name) in MESSAGES.iter().enumerate() {
            let (mut stub, mut hand) = (Stubs::default(), Hands::default());
            let results = (self.stub(message, &mut stub), self.by_hand(message, &mut hand));
            let same = stub.0 == hand.0 && stub.1.parts().concat() == hand.1;
            if !same || results.0 != results.1 || results.0 == 0 {
                return Err(format!("the two ways to send `{name}` differ: {results:?}"));
            }
        }
        Ok(())
    }
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!("{}; us a call, medians of {} rounds\n\n", self.machine, self.rounds);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<12} {:>10} {:>10} {:>8}", "", "stub", "by hand", "ratio");
        for (name, pair) in MESSAGES.iter().zip(self.figures.chunks_exact(2)) {
            let [stub, hand] = pair else { continue };
            let ratio = stub.p50 / hand.p50;
            let _ = writeln!(text, "{name:<12} {:>10.3} {:>10.3} {ratio:>8.2}", stub.p50, hand.p50);
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stubs_and_hands_write_the_same_bytes_and_give_the_same_results() {
        assert_eq!(Bench::new().compare(), Ok(()));
    }

    #[test]
    fn a_request_that_is_cut_short_is_refused_by_hand_too() {
        let mut request = Vec::new();
        by_hand::put_order(&mut request, &Order::example(1));
        for length in 0..request.len() {
            assert!(by_hand::take_order(&mut &request[..length]).is_none(), "{length}");
        }
    }
}
