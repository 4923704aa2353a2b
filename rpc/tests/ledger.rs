//! Calls that must not run twice, over a bad network that also breaks, to a server that is also replaced: every execution is written
//! into a ledger that outlives the servers, and held against what the callers were told.

mod common;
#[path = "common/relay.rs"]
mod relay;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{guarded, loopback, until};
use relay::Relay;
use rpc::driver::DriverConfig;
use rpc::impair::Impairments;
use rpc::transport::KeepAlive;
use rpc::{Client, ClientConfig, Ran, ReplyLimits, Server, ServerHandle};

#[rpc::service]
trait Desk {
    fn enter(&self, number: u64);
}

/// How often each number was entered.
type Ledger = Mutex<BTreeMap<u64, u32>>;

struct Clerk {
    ledger: Arc<Ledger>,
}

impl Desk for Clerk {
    fn enter(&self, number: u64) {
        *self.ledger.lock().unwrap().entry(number).or_default() += 1;
    }
}

/// Loses a fifth, duplicates and reorders a tenth; the ends notice soon that nothing comes at all.
fn bad_network(seed: u64) -> DriverConfig {
    let impairments = Impairments { loss: 0.2, duplicate: 0.1, reorder: 0.1, seed, ..Impairments::default() };
    let mut config = DriverConfig { impairments, ..DriverConfig::plain() };
    config.transport.keep_alive =
        Some(KeepAlive { ping_every: Duration::from_millis(20), dead_after: Duration::from_millis(500) });
    config.transport.connect_timeout = Duration::from_secs(60);
    config
}

fn serve(ledger: &Arc<Ledger>, suppress_duplicates: bool, seed: u64) -> ServerHandle {
    let clerk = Clerk { ledger: Arc::clone(ledger) };
    let limits = ReplyLimits { suppress_duplicates, ..ReplyLimits::default() };
    let builder = Server::builder(bad_network(seed)).bind(loopback()).unwrap().pool(2).replies(limits);
    builder.serve(DeskServer::new(clerk)).start().unwrap()
}

/// Callers call while the line breaks, whose servers are replaced in between. What they were told of each call, and the ledger.
fn work(suppress_duplicates: bool) -> (BTreeMap<u64, Ran>, BTreeMap<u64, u32>) {
    let ledger = Arc::new(Ledger::default());
    let mut servers = vec![serve(&ledger, suppress_duplicates, 1)];
    let relay = Relay::to(servers[0].local_addr());
    let patient = Duration::from_secs(100);
    let config = ClientConfig { timeout: patient, reconnect: patient, driver: bad_network(2), ..ClientConfig::plain() };
    let client = Client::connect(relay.addr(), config).unwrap();
    let (next, over, told) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..8 {
            let desk = DeskClient::new(client.clone());
            let (next, over, told) = (&next, &over, &told);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let ran = desk.enter(number).map_or_else(|error| error.ran, |()| Ran::Yes);
                    told.lock().unwrap().insert(number, ran);
                }
            });
        }
        for round in 0..4 {
            let told_of = || told.lock().unwrap().len();
            let before = told_of();
            until("calls come through", || told_of() >= before + 500);
            let lost = client.counters().transport.sessions_lost;
            // What runs now, nobody is told.
            relay.cut_to_client();
            until("the client has lost its session", || client.counters().transport.sessions_lost > lost);
            if round % 2 == 1 {
                servers.push(serve(&ledger, suppress_duplicates, 10 + round));
                relay.turn_to(servers[servers.len() - 1].local_addr());
            }
            relay.heal();
        }
        over.store(true, Ordering::SeqCst);
    });
    drop(servers);
    let ledger = ledger.lock().unwrap().clone();
    (told.into_inner().unwrap(), ledger)
}

#[test]
fn no_call_runs_twice_and_no_error_lies() {
    guarded(|| {
        let (told, ledger) = work(true);
        for (number, ran) in told {
            let runs = ledger.get(&number).copied().unwrap_or_default();
            let honest = match ran {
                Ran::Yes => runs == 1,
                Ran::No => runs == 0,
                Ran::Maybe => runs <= 1,
            };
            assert!(honest, "call {number} ran {runs} times, its caller was told: {ran}");
        }
    });
}

#[test]
fn without_suppression_of_duplicates_calls_run_twice() {
    guarded(|| {
        let (_, ledger) = work(false);
        assert!(ledger.values().any(|runs| *runs > 1));
    });
}
