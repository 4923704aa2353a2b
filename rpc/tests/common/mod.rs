//! A service to be called in every way, and what the tests share.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use rpc::driver::DriverConfig;
use rpc::{Bytes, Client, ClientConfig, Context, MethodId, Server, ServerBuilder, ServerHandle};
use serde::{Deserialize, Serialize};

/// No healthy test takes nearly this long.
const HANG: Duration = Duration::from_secs(120);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    Point,
    Circle { radius: f64 },
    Named(BTreeMap<String, Vec<i16>>),
}

#[rpc::service(version = 3)]
pub trait Lab {
    /// Gives the text back.
    fn echo(&self, text: String) -> String;
    fn divide(&self, a: u64, b: u64) -> Result<u64, String>;
    fn grow(&self, shape: Shape, by: Option<f64>) -> Shape;
    /// Not idempotent: how often it has been called, this time included.
    fn increment(&self) -> u64;
    /// Returns when the gate is opened, or the call is cancelled.
    fn hold(&self, number: u32) -> u32;
    /// Returns when the gate is opened, whether anybody waits for it or not.
    fn insist(&self, number: u32) -> u32;
    /// As `hold`, but it may run twice.
    #[rpc(idempotent)]
    fn hold_again(&self, number: u32) -> u32;
    fn fail(&self, words: String);
    fn reverse(&self, bytes: Bytes) -> Bytes;
    fn zeros(&self, count: u64) -> Bytes;
}

#[derive(Default)]
pub struct Bench {
    pub increments: AtomicU64,
    /// Handlers that were told that nobody waits for them.
    pub cancelled: AtomicU64,
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Default)]
struct Gate {
    open: bool,
    inside: u32,
}

impl Bench {
    pub fn open_gate(&self) {
        self.gate.lock().unwrap().open = true;
        self.changed.notify_all();
    }

    /// Blocks until so many handlers wait at the gate.
    pub fn wait_inside(&self, count: u32) {
        let gate = self.gate.lock().unwrap();
        let (_gate, result) = self.changed.wait_timeout_while(gate, HANG, |gate| gate.inside < count).unwrap();
        assert!(!result.timed_out(), "nobody came to the gate");
    }
}

impl Lab for Bench {
    fn echo(&self, text: String) -> String {
        text
    }

    fn divide(&self, a: u64, b: u64) -> Result<u64, String> {
        a.checked_div(b).ok_or_else(|| format!("{a} by nothing"))
    }

    fn grow(&self, shape: Shape, by: Option<f64>) -> Shape {
        match (shape, by) {
            (Shape::Circle { radius }, Some(by)) => Shape::Circle { radius: radius * by },
            (shape, _) => shape,
        }
    }

    fn increment(&self) -> u64 {
        self.increments.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn hold(&self, number: u32) -> u32 {
        let mut gate = self.gate.lock().unwrap();
        gate.inside += 1;
        self.changed.notify_all();
        let context = Context::current();
        while !gate.open && !context.is_cancelled() {
            gate = self.changed.wait_timeout(gate, Duration::from_millis(1)).unwrap().0;
        }
        self.cancelled.fetch_add(u64::from(!gate.open), Ordering::SeqCst);
        number
    }

    fn insist(&self, number: u32) -> u32 {
        let mut gate = self.gate.lock().unwrap();
        gate.inside += 1;
        self.changed.notify_all();
        while !gate.open {
            gate = self.changed.wait(gate).unwrap();
        }
        number
    }

    fn hold_again(&self, number: u32) -> u32 {
        self.hold(number)
    }

    fn fail(&self, words: String) {
        panic!("{words}");
    }

    fn reverse(&self, bytes: Bytes) -> Bytes {
        bytes.iter().rev().copied().collect()
    }

    fn zeros(&self, count: u64) -> Bytes {
        Bytes::from(vec![0; count as usize])
    }
}

/// How requests name a method of the lab.
pub fn method(name: &str) -> MethodId {
    LabClient::INTERFACE.method(name).unwrap().id()
}

pub fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A server of a new bench at any free port.
pub fn serve(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> (ServerHandle, Arc<Bench>) {
    serve_at(loopback(), DriverConfig::plain(), change)
}

/// The same with this driver.
pub fn serve_with(config: DriverConfig) -> (ServerHandle, Arc<Bench>) {
    serve_at(loopback(), config, |builder| builder)
}

pub fn serve_at(
    addr: SocketAddr,
    config: DriverConfig,
    change: impl FnOnce(ServerBuilder) -> ServerBuilder,
) -> (ServerHandle, Arc<Bench>) {
    let bench = Arc::new(Bench::default());
    let builder = Server::builder(config).bind(addr).unwrap().pool(4).serve(LabServer::shared(Arc::clone(&bench)));
    (change(builder).start().unwrap(), bench)
}

pub fn client(server: &ServerHandle) -> Client {
    Client::connect(server.local_addr(), ClientConfig::plain()).unwrap()
}

pub fn lab(server: &ServerHandle) -> LabClient {
    LabClient::new(client(server))
}

/// Looks again and again until it is so.
#[track_caller]
pub fn until(what: &str, so: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !so() {
        assert!(start.elapsed() < HANG, "never happened: {what}");
        std::thread::yield_now();
    }
}

/// Runs the test; one that hangs fails instead.
#[track_caller]
pub fn guarded(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    if finished.recv_timeout(HANG) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
