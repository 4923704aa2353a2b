//! Limits of a server, and its end.

mod common;

use std::thread;
use std::time::Duration;

use common::*;
use rpc::driver::DriverConfig;
use rpc::{CallErrorKind, CallKind, Client, ClientConfig, PendingCall, Ran, Server, StartError};

#[test]
fn what_finds_the_queue_full_is_refused_and_did_not_run() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder.pool(1).queue(1, 1 << 20));
        let client = client(&server);
        let held: PendingCall<u32> = client.start(LabClient::ID, method("hold"), CallKind::AtMostOnce, &(7u32,));
        bench.wait_inside(1);
        let queued: PendingCall<u64> = client.start(LabClient::ID, method("increment"), CallKind::AtMostOnce, &());
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
        let held: PendingCall<u32> = client.start(LabClient::ID, method("hold"), CallKind::AtMostOnce, &(7u32,));
        bench.wait_inside(1);
        // The first is taken although it is larger than the limit: otherwise it never could be.
        let queued: PendingCall<String> =
            client.start(LabClient::ID, method("echo"), CallKind::AtMostOnce, &("x".repeat(200),));
        until("one request waits", || server.counters().waiting == 1);
        let error = LabClient::new(client).echo("y".to_owned()).unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Overloaded);
        bench.open_gate();
        assert_eq!(held.wait(), Ok(7));
        assert_eq!(queued.wait(), Ok("x".repeat(200)));
    });
}

#[test]
fn replies_that_find_the_send_queue_full_wait_for_room() {
    guarded(|| {
        let mut config = DriverConfig::plain();
        config.transport.max_queued_bytes = 3 << 20;
        let (server, _bench) = serve_with(config);
        let lab = lab(&server);
        thread::scope(|scope| {
            for _ in 0..4 {
                let lab = lab.clone();
                scope.spawn(move || {
                    for _ in 0..3 {
                        assert_eq!(lab.zeros(2 << 20).unwrap().len(), 2 << 20);
                    }
                });
            }
        });
        // This one will never find room.
        let error = lab.zeros(4 << 20).unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::BadResult(_)), "{error}");
        assert_eq!(server.counters().replies_dropped, 0);
    });
}

#[test]
fn a_server_that_stops_finishes_what_it_began_and_refuses_the_rest() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder.pool(1));
        let mut config = ClientConfig::plain();
        config.driver.transport.connect_timeout = Duration::from_millis(100);
        let client = Client::connect(server.local_addr(), config).unwrap();
        let held: PendingCall<u32> = client.start(LabClient::ID, method("hold"), CallKind::AtMostOnce, &(7u32,));
        bench.wait_inside(1);
        let queued: PendingCall<u64> = client.start(LabClient::ID, method("increment"), CallKind::AtMostOnce, &());
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

/// Private to this program, which needs one of its stubs only: no warnings.
#[rpc::service]
trait Clock {
    #[deprecated = "use a watch"]
    fn hour(&self) -> u8;
    fn minute(&self) -> u8;
}

struct Noon;

#[allow(deprecated)]
impl Clock for Noon {
    fn hour(&self) -> u8 {
        12
    }

    fn minute(&self) -> u8 {
        0
    }
}

#[test]
fn one_server_runs_several_services() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder.serve(ClockServer::new(Noon)));
        let client = client(&server);
        assert_eq!(ClockClient::new(client.clone()).minute().unwrap(), 0);
        assert_eq!(LabClient::new(client).echo("both".to_owned()).unwrap(), "both");
    });
}

#[test]
fn a_server_needs_an_address_and_services_that_differ() {
    let lab = || LabServer::new(Bench::default());
    assert!(matches!(Server::builder(DriverConfig::plain()).serve(lab()).start(), Err(StartError::NotBound)));
    let twice = Server::builder(DriverConfig::plain()).bind(loopback()).unwrap().serve(lab()).serve(lab()).start();
    assert!(matches!(twice, Err(StartError::SameService("Lab", "Lab"))));
    let (server, _bench) = serve(|builder| builder);
    assert!(matches!(Server::builder(DriverConfig::plain()).bind(server.local_addr()), Err(StartError::Driver(_))));
}
