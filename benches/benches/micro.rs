//! Micro-benchmarks: what the parts of an access cost that need no second process. `cargo bench -p benches` runs them, `cargo bench -p benches
//! -- seal` those whose name says so, and `--save-baseline` and `--baseline` compare two states of the code.
//!
//! What accesses cost between processes, `dsm-bench` measures.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use criterion::{Criterion, Throughput};
use dsm_core::{Dsm, PAGE_BYTES, Placement};
use rpc::codec;
use rpc::driver::DriverConfig;
use rpc::wire::Integrity;
use rpc::{Client, ClientConfig, Key, Server};
use serde::{Deserialize, Serialize};

/// A datagram that fills an Ethernet frame.
const FRAME: usize = 1_472;

#[derive(Serialize, Deserialize)]
struct Order {
    number: u64,
    customer: String,
    items: Vec<(u32, u32)>,
}

/// Values to bytes and back.
fn marshalling(c: &mut Criterion) {
    let order = Order { number: 7, customer: "Ada Lovelace".into(), items: vec![(1, 2); 16] };
    let mut bytes = Vec::new();
    codec::encode(&order, &mut bytes).expect("it can be encoded");
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let mut buffer = Vec::new();
    group.bench_function("encode", |b| {
        b.iter(|| {
            buffer.clear();
            codec::encode(black_box(&order), &mut buffer)
        });
    });
    group.bench_function("decode", |b| b.iter(|| codec::decode::<Order>(black_box(&bytes))));
}

/// Putting a trailer on a datagram, and checking it.
fn integrity(c: &mut Criterion) {
    let mut group = c.benchmark_group("datagram");
    group.throughput(Throughput::Bytes(FRAME as u64));
    for integrity in Integrity::ALL {
        let mut sealed = vec![7; FRAME];
        let mut datagram = Vec::with_capacity(FRAME + 64);
        group.bench_function(format!("seal {integrity}"), |b| {
            b.iter(|| {
                datagram.clear();
                datagram.extend_from_slice(black_box(&sealed));
                integrity.seal(&mut datagram);
            });
        });
        integrity.seal(&mut sealed);
        group.bench_function(format!("open {integrity}"), |b| {
            b.iter(|| integrity.open(black_box(&sealed)).map(<[u8]>::len))
        });
    }
}

/// Shared memory that is here: what a program pays between two faults.
fn local_memory(c: &mut Criterion) {
    let dsm = Dsm::join().expect("shared memory can be had; `dsm-node doctor` says why not");
    let words = dsm.alloc::<u64>(PAGE_BYTES / 8, Placement::Node(0)).expect("a page can be had");
    let mut page = vec![1; PAGE_BYTES / 8];
    words.write(0, &page);
    let mut group = c.benchmark_group("memory");
    group.bench_function("load", |b| b.iter(|| words.get(black_box(7))));
    group.bench_function("store", |b| b.iter(|| words.set(black_box(7), 1)));
    group.bench_function("fetch-and-add at home", |b| b.iter(|| words.fetch_add(black_box(7), 1)));
    group.bench_function("lock that is here", |b| b.iter(|| drop(dsm.lock(black_box(0)))));
    group.throughput(Throughput::Bytes(PAGE_BYTES as u64));
    group.bench_function("read a page", |b| b.iter(|| words.read(0, black_box(&mut page))));
    group.finish();
    dsm.finalize().expect("a node that is alone can leave");
}

/// What the calls go to.
#[rpc::service]
trait Echo {
    /// The number itself.
    #[rpc(inline)]
    fn echo(&self, number: u64) -> u64;
}

struct Here;

impl Echo for Here {
    fn echo(&self, number: u64) -> u64 {
        number
    }
}

/// A call between two sockets of this process.
fn calls(c: &mut Criterion) {
    let mut group = c.benchmark_group("call");
    let key = || Key::from_bytes([7; 32]);
    for (name, config) in [("plain", DriverConfig::plain()), ("encrypted", DriverConfig::new(key()))] {
        let builder = Server::builder(config.clone()).bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let server = builder.expect("a port is free").serve(EchoServer::new(Here)).start().expect("the server starts");
        let config = ClientConfig { driver: config, ..ClientConfig::plain() };
        let echo = EchoClient::new(Client::connect(server.local_addr(), config).expect("a socket can be had"));
        group.bench_function(name, |b| b.iter(|| echo.echo(black_box(7)).expect("the server answers")));
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for group in [marshalling, integrity, local_memory, calls] {
        group(&mut criterion);
    }
    criterion.final_summary();
}
