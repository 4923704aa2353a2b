//! What a stub costs beside marshalling that is written by hand for the same bytes: a whole call but for the network.
//!
//! The arguments are encoded, decoded, handed to the same method, and its result is encoded and decoded. Both ways take turns in short
//! rounds, so that what disturbs the machine disturbs both. What the run-time library does for each request, with stubs or without, is
//! not counted: finding service and method, comparing schemas.

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
use by_hand::Method;
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
    let copies = copies();
    copies.iter().try_for_each(|copy| compare(&**copy))?;
    let mut samples = vec![[Vec::new(), Vec::new()]; MESSAGES.len()];
    let (mut stubs, mut hands) = ((buffer(), buffer().into()), (buffer(), buffer()));
    for (round, bench) in copies.iter().cycle().take(rounds).enumerate() {
        progress();
        // The copies have one order, and then the other: who comes second finds the caches warm, and the allocator as the first has left it.
        let hands_first = round / copies.len() % 2 == 1;
        for (message, [stub, hand]) in samples.iter_mut().enumerate() {
            if hands_first {
                hand.push(timed(|| bench.by_hand(message, &mut hands)));
            }
            stub.push(timed(|| bench.stub(message, &mut stubs)));
            if !hands_first {
                hand.push(timed(|| bench.by_hand(message, &mut hands)));
            }
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

/// Microseconds for one call. One runs before the clock does, and finds what other messages have left behind: the allocator puts the
/// strings of a list in order when somebody asks for a page.
fn timed(mut call: impl FnMut() -> u64) -> f64 {
    black_box(call());
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

/// Room for a message. So large that the allocator begins a page for each: where a buffer begins in its page decides a tenth of the time that
/// it takes to copy 4 KiB, and would else be another for the stubs than for the hands.
fn buffer() -> Vec<u8> {
    Vec::with_capacity(1 << 20)
}

/// Several copies of server and caller. Where it stands in memory decides a sixth of what the shortest call takes, which says
/// nothing of the code (Mytkowicz, Diwan, Hauswirth, Sweeney: "Producing wrong data without doing anything obviously wrong!", 2009).
fn copies() -> [Box<dyn Place>; 8] {
    [
        Box::new(Bench::<1>::new()),
        Box::new(Bench::<2>::new()),
        Box::new(Bench::<3>::new()),
        Box::new(Bench::<4>::new()),
        Box::new(Bench::<5>::new()),
        Box::new(Bench::<6>::new()),
        Box::new(Bench::<7>::new()),
        Box::new(Bench::<8>::new()),
    ]
}

/// One of the copies, in its place.
trait Place {
    /// One call by the stub. A digest of the result; 0 if something went wrong.
    fn stub(&self, message: usize, buffers: &mut Stubs) -> u64;

    /// The same call as a program would make it that has no stubs.
    fn by_hand(&self, message: usize, buffers: &mut Hands) -> u64;
}

/// Request and reply.
type Stubs = (Vec<u8>, Encoded);
type Hands = (Vec<u8>, Vec<u8>);

struct Bench<const COPY: u64> {
    /// As a server has it: it is another program, so no compiler makes one of the two.
    shop: Box<dyn Service>,
    order: Order,
    orders: Vec<Order>,
    page: Bytes,
    methods: [usize; 4],
    methods_by_hand: [Method; 4],
}

impl<const COPY: u64> Bench<COPY> {
    fn new() -> Self {
        let place = |name| ShopClient::INTERFACE.methods.iter().position(|method| method.name == name);
        let methods = ["number", "order", "orders", "page"].map(|name| place(name).unwrap_or(usize::MAX));
        let orders = (0..100).map(Order::example).collect();
        let page = (0..4096u32).map(|place| place as u8).collect();
        let shop: Box<dyn Service> = Box::new(ShopServer::new(Counter::<COPY>));
        let methods_by_hand = black_box([Method::Number, Method::Order, Method::Orders, Method::Page]);
        Bench { shop: black_box(shop), order: Order::example(7), orders, page, methods, methods_by_hand }
    }

    fn round<A: Serialize, R: DeserializeOwned>(&self, method: usize, arguments: &A, buffers: &mut Stubs) -> Option<R> {
        let (request, reply) = buffers;
        reply.clear();
        request.clear();
        codec::encode(arguments, request).ok()?;
        self.shop.dispatch(Values::new(network(request)), reply, method).ok()?;
        let [reply, ..] = reply.parts();
        codec::decode(network(reply)).ok()
    }
}

impl<const COPY: u64> Place for Bench<COPY> {
    fn stub(&self, message: usize, buffers: &mut Stubs) -> u64 {
        match black_box(message) {
            0 => self.round::<_, u64>(self.methods[0], &(&black_box(COPY),), buffers),
            1 => self.round::<_, u64>(self.methods[1], &(&3u64, black_box(&self.order)), buffers),
            2 => self.round::<_, u64>(self.methods[2], &(black_box(&self.orders),), buffers),
            _ => self
                .round::<_, Bytes>(self.methods[3], &(&9u64, black_box(&self.page)), buffers)
                .map(|page| black_box(page).len() as u64),
        }
        .unwrap_or_default()
    }

    fn by_hand(&self, message: usize, buffers: &mut Hands) -> u64 {
        let ((request, reply), methods) = (buffers, &self.methods_by_hand);
        reply.clear();
        request.clear();
        match black_box(message) {
            0 => by_hand::number(&Counter::<COPY>, methods[0], black_box(COPY), request, reply),
            1 => by_hand::order(&Counter::<COPY>, methods[1], 3, black_box(&self.order), request, reply),
            2 => by_hand::orders(&Counter::<COPY>, methods[2], black_box(&self.orders), request, reply),
            _ => by_hand::page(&Counter::<COPY>, methods[3], 9, black_box(&self.page), request, reply)
                .map(|page| black_box(page).len() as u64),
        }
        .unwrap_or_default()
    }
}

fn compare(bench: &dyn Place) -> Result<(), String> {
    for (message, name) in MESSAGES.iter().enumerate() {
        let (mut stub, mut hand) = (Stubs::default(), Hands::default());
        let results = (bench.stub(message, &mut stub), bench.by_hand(message, &mut hand));
        let same = stub.0 == hand.0 && stub.1.parts().concat() == hand.1;
        if !same || results.0 != results.1 || results.0 == 0 {
            return Err(format!("the two ways to send `{name}` differ: {results:?}"));
        }
    }
    Ok(())
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!("{}; ns a call, medians of {} rounds\n\n", self.machine, self.rounds);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<12} {:>10} {:>10} {:>8}", "", "stub", "by hand", "ratio");
        for (name, pair) in MESSAGES.iter().zip(self.figures.chunks_exact(2)) {
            let [stub, hand] = pair else { continue };
            let ratio = stub.p50 / hand.p50;
            let _ = writeln!(text, "{name:<12} {:>10.1} {:>10.1} {ratio:>8.2}", stub.p50 * 1e3, hand.p50 * 1e3);
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
        for copy in copies() {
            assert_eq!(compare(&*copy), Ok(()));
        }
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
