//! Limits of a server, and its end.

mod common;

use std::thread;
use std::time::Duration;

use common::*;
use rpc::{CallErrorKind, Client, ClientConfig, MethodId, PendingCall, Ran, Server, StartError};

#[test]
fn what_finds_the_queue_full_is_refused_and_did_not_run() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder.pool(1).queue(1, 1 << 20));
        let client = client(&server);
        let held: PendingCall<u32> = client.start(LabClient::ID, MethodId(4), &(7u32,));
        bench.wait_inside(1);
        let queued: PendingCall<u64> = client.start(LabClient::ID, MethodId(3), &());
        until("one request waits", || server.counters().waiting == 1);
        let error = LabClient::new(client).increment().unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::Overloaded, Ran::No));
        bench.open_gate();
        assert_eq!(held.wait(), Ok(7));
        assert_eq!(queued.wait(), Ok(1));
        assert_eq!(server.counters().overloaded, 1);
    });
}

#[test]
fn large_arguments_count_against_the_queue() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder.pool(1).queue(100, 100));
        let client = client(&server);
        let held: PendingCall<u32> = client.start(LabClient::ID, MethodId(4), &(7u32,));
        bench.wait_inside(1);
        // The first is taken although it is larger than the limit: otherwise it never could be.
        let queued: PendingCall<String> = client.start(LabClient::ID, MethodId(0), &("x".repeat(200),));
        until("one request waits", || server.counters().waiting == 1);
        let error = LabClient::new(client).echo("y".to_owned()).unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Overloaded);
        bench.open_gate();
        assert_eq!(held.wait(), Ok(7));
        assert_eq!(queued.wait(), Ok("x".repeat(200)));
    });
}

#[test]
fn a_server_that_stops_finishes_what_it_began_and_refuses_the_rest() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder.pool(1));
        let mut config = ClientConfig::default();
        config.driver.transport.connect_timeout = Duration::from_millis(100);
        let client = Client::connect(server.local_addr(), config).unwrap();
        let held: PendingCall<u32> = client.start(LabClient::ID, MethodId(4), &(7u32,));
        bench.wait_inside(1);
        let queued: PendingCall<u64> = client.start(LabClient::ID, MethodId(3), &());
        until("one request waits", || server.counters().waiting == 1);
        let stopping = thread::spawn(move || server.stop());
        let error = queued.wait().unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::Refused, Ran::No));
        bench.open_gate();
        assert_eq!(held.wait(), Ok(7));
        stopping.join().unwrap();
        let error = LabClient::new(client).increment().unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::PeerLost { .. }), "{error}");
    });
}

#[test]
fn a_server_needs_an_address_and_services_that_differ() {
    let lab = || LabServer::new(Bench::default());
    assert!(matches!(Server::builder().serve(lab()).start(), Err(StartError::NotBound)));
    let twice = Server::builder().bind(loopback()).unwrap().serve(lab()).serve(lab()).start();
    assert!(matches!(twice, Err(StartError::SameService("Lab", "Lab"))));
    let (server, _bench) = serve(|builder| builder);
    assert!(matches!(Server::builder().bind(server.local_addr()), Err(StartError::Driver(_))));
}
