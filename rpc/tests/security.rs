//! Keys on real sockets: who has the right one is served, everybody else is told what is wrong.

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::*;
use rpc::driver::DriverConfig;
use rpc::impair::Impairments;
use rpc::transport::LostReason;
use rpc::wire::{Integrity, Protection};
use rpc::{CallErrorKind, Client, ClientConfig, Key, Ran};

fn key(fill: u8) -> Key {
    Key::from_bytes([fill; 32])
}

fn refused_with(config: ClientConfig, expected: LostReason) {
    guarded(move || {
        let (server, bench) = serve_with(DriverConfig::new(key(1)));
        let lab = LabClient::new(Client::connect(server.local_addr(), config).unwrap());
        let error = lab.increment().unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::PeerLost { reason: expected }, Ran::No));
        assert_eq!(bench.increments.load(Ordering::Relaxed), 0);
        let counters = server.counters().transport;
        assert!(counters.wrong_key + counters.protection_mismatches > 0);
    });
}

#[test]
fn whoever_has_the_key_is_served() {
    guarded(|| {
        let (server, _bench) = serve_with(DriverConfig::new(key(1)));
        let lab = LabClient::new(Client::connect(server.local_addr(), ClientConfig::new(key(1))).unwrap());
        assert_eq!(lab.echo("between us".to_owned()).unwrap(), "between us");
        assert_eq!(lab.zeros(3_000_000).unwrap().len(), 3_000_000);
    });
}

#[test]
fn a_client_with_another_key_is_told_so() {
    refused_with(ClientConfig::new(key(2)), LostReason::WrongKey);
}

#[test]
fn a_client_without_a_key_is_told_so() {
    let (ours, theirs) = (Protection::Plain(Integrity::Crc32), Protection::Sealed);
    refused_with(ClientConfig::plain(), LostReason::Protection { ours, theirs });
}

#[test]
fn calls_with_a_key_over_a_bad_network_run_exactly_as_often_as_they_succeed() {
    guarded(|| {
        let bad = |seed| DriverConfig {
            impairments: Impairments {
                loss: 0.2,
                duplicate: 0.1,
                reorder: 0.1,
                corrupt: 0.02,
                delay: Duration::from_micros(100),
                seed,
            },
            ..DriverConfig::new(key(1))
        };
        let (server, bench) = serve_with(bad(1));
        let timeout = Duration::from_secs(60);
        let config = ClientConfig { driver: bad(2), timeout, ..ClientConfig::new(key(1)) };
        let lab = LabClient::new(Client::connect(server.local_addr(), config).unwrap());
        for _ in 0..300 {
            lab.increment().unwrap();
        }
        assert_eq!(bench.increments.load(Ordering::Relaxed), 300);
    });
}
