//! Calls over a bad network, and to servers that die.

mod common;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use common::*;
use rpc::driver::{Driver, DriverConfig, Inbox, Incoming};
use rpc::impair::Impairments;
use rpc::{Bytes, CallErrorKind, CallKind, Client, ClientConfig, PendingCall, Ran};

fn bad_network(seed: u64) -> DriverConfig {
    let impairments =
        Impairments { loss: 0.2, duplicate: 0.1, reorder: 0.1, corrupt: 0.05, delay: Duration::ZERO, seed };
    DriverConfig { impairments, ..DriverConfig::plain() }
}

#[test]
fn calls_over_a_bad_network_run_exactly_as_often_as_they_succeed() {
    guarded(|| {
        for seed in 1..4 {
            let (server, bench) = serve_with(bad_network(seed));
            let config = ClientConfig {
                driver: bad_network(seed + 100),
                timeout: Duration::from_secs(60),
                ..ClientConfig::plain()
            };
            let lab = LabClient::new(Client::connect(server.local_addr(), config).unwrap());
            thread::scope(|scope| {
                for _ in 0..4 {
                    let lab = lab.clone();
                    scope.spawn(move || {
                        for _ in 0..50 {
                            lab.increment().unwrap();
                        }
                    });
                }
            });
            assert_eq!(bench.increments.load(Ordering::SeqCst), 200);
            assert_eq!(server.counters().done, 200);
            assert_eq!(lab.client().counters().late_replies, 0);
            let transport = lab.client().counters().transport;
            assert!(transport.retransmissions > 0 && transport.corrupt_dropped > 0, "{transport:?}");
        }
    });
}

#[test]
fn megabytes_survive_a_bad_network() {
    guarded(|| {
        let (server, _bench) = serve_with(bad_network(5));
        let config = ClientConfig { driver: bad_network(6), timeout: Duration::from_secs(60), ..ClientConfig::plain() };
        let lab = LabClient::new(Client::connect(server.local_addr(), config).unwrap());
        let bytes: Vec<u8> = (0..2u32 << 20).map(|place| (place / 251) as u8).collect();
        let mut reversed = bytes.clone();
        reversed.reverse();
        assert!(lab.reverse(Bytes::from(bytes)).unwrap() == Bytes::from(reversed));
    });
}

/// Takes a request and dies with it, without a word, as a killed process does. Returns its address.
fn die_with_the_first_request(mut driver: Driver, asked: impl FnOnce()) {
    let mut inbox = Inbox::new();
    asked();
    loop {
        driver.receive(&mut inbox).unwrap();
        if inbox.drain().any(|incoming| matches!(incoming, Incoming::Message { .. })) {
            return;
        }
        thread::yield_now();
    }
}

#[test]
fn a_call_in_flight_to_a_server_that_was_killed_may_have_run_and_later_calls_reach_the_next_one() {
    guarded(|| {
        let doomed = Driver::bind(loopback(), DriverConfig::plain()).unwrap();
        let addr = doomed.local_addr();
        let client = Client::connect(addr, ClientConfig::plain()).unwrap();
        let mut in_flight = None;
        die_with_the_first_request(doomed, || {
            let call: PendingCall<u64> = client.start(LabClient::ID, method("increment"), CallKind::AtMostOnce, &());
            in_flight = Some(call);
        });
        let (_server, bench) = serve_at(addr, DriverConfig::plain(), |builder| builder);
        let error = in_flight.unwrap().wait().unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::PeerLost { .. }), "{error}");
        assert_eq!(error.ran, Ran::Maybe);
        assert_eq!(LabClient::new(client).increment().unwrap(), 1);
        assert_eq!(bench.increments.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_server_that_was_stopped_and_started_again_is_found_again() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let addr = server.local_addr();
        let lab = lab(&server);
        assert_eq!(lab.increment().unwrap(), 1);
        server.stop();
        let (_server, _bench) = serve_at(addr, DriverConfig::plain(), |builder| builder);
        until("the client has noticed", || lab.client().counters().transport.sessions_lost > 0);
        assert_eq!(lab.increment().unwrap(), 1);
    });
}
