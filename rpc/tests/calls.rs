//! What a caller sees of a healthy server.

mod common;

use std::thread;
use std::time::Duration;

use common::*;
use rpc::call::Waiting;
use rpc::codec::ByteOrder;
use rpc::driver::DriverConfig;
use rpc::{Bytes, CallErrorKind, CallKind, Client, ClientConfig, Failure, MethodId, Ran, Server, ServiceId};

#[test]
fn arguments_and_results_of_all_shapes_travel() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let lab = lab(&server);
        assert_eq!(lab.echo("grüße".to_owned()).unwrap(), "grüße");
        assert_eq!(lab.echo(String::new()).unwrap(), "");
        assert_eq!(lab.grow(Shape::Circle { radius: 2.0 }, Some(1.5)).unwrap(), Shape::Circle { radius: 3.0 });
        let named = Shape::Named([("a".to_owned(), vec![-1, 2]), (String::new(), vec![])].into());
        assert_eq!(lab.grow(named.clone(), None).unwrap(), named);
        assert_eq!(lab.increment().unwrap(), 1);
        assert_eq!(lab.increment().unwrap(), 2);
    });
}

#[test]
fn a_methods_own_error_is_told_from_the_calls() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let lab = lab(&server);
        assert_eq!(lab.divide(6, 3), Ok(2));
        let failure = lab.divide(6, 0).unwrap_err();
        assert_eq!((failure.to_string().as_str(), failure.ran()), ("6 by nothing", Ran::Yes));
        assert_eq!(failure, Failure::Application("6 by nothing".to_owned()));
    });
}

#[test]
fn many_threads_share_one_client() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let lab = lab(&server);
        thread::scope(|scope| {
            for number in 0..16 {
                let lab = lab.clone();
                scope.spawn(move || {
                    for turn in 0..100 {
                        let text = format!("{number}/{turn}");
                        assert_eq!(lab.echo(text.clone()).unwrap(), text);
                    }
                });
            }
        });
        let counters = lab.client().counters();
        assert_eq!((counters.calls, counters.in_flight, counters.late_replies), (1_600, 0, 0));
    });
}

#[test]
fn a_server_that_has_gone_to_sleep_hears_the_client_that_has_a_lane_and_the_one_that_has_none() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder.waiting(Waiting { poll: Duration::from_micros(50) }));
        let (busy, other) = (lab(&server), lab(&server));
        for number in 0..1_000 {
            assert_eq!(busy.divide(number, 1), Ok(number));
        }
        for lab in [&busy, &other] {
            let again = || lab.client().counters().transport.retransmissions;
            // What is not heard is sent again, each time; what is heard only where a machine pauses.
            let heard = (0..100).any(|number| {
                let before = again();
                thread::sleep(Duration::from_millis(5));
                assert_eq!(lab.divide(number, 1), Ok(number));
                again() == before
            });
            assert!(heard);
        }
        // In turn, too, and at once.
        thread::scope(|scope| {
            for lab in [&busy, &other] {
                scope.spawn(move || (0..1_000).for_each(|number| assert_eq!(lab.divide(number, 1), Ok(number))));
            }
        });
    });
}

#[test]
fn many_calls_of_one_thread_run_at_once() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder.pool(8));
        let client = client(&server);
        let calls: Vec<rpc::PendingCall<u32>> = (0..8u32)
            .map(|number| client.start(LabClient::ID, method("hold"), CallKind::AtMostOnce, &(number,)))
            .collect();
        bench.wait_inside(8);
        bench.open_gate();
        for (number, call) in (0..).zip(calls) {
            assert_eq!(call.wait(), Ok(number));
        }
    });
}

/// What this thread has run so far.
fn processor_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

#[test]
fn a_caller_that_naps_sleeps_after_it_for_as_long_as_the_answer_takes() {
    const HELD: Duration = Duration::from_millis(400);
    guarded(|| {
        let (server, bench) = serve(|builder| builder);
        let config = ClientConfig { waiting: Waiting { poll: Duration::ZERO }, ..ClientConfig::plain() };
        let lab = LabClient::new(Client::connect(server.local_addr(), config).unwrap());
        // Prompt answers, after which it naps.
        for _ in 0..20 {
            lab.echo(String::new()).unwrap();
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                bench.wait_inside(1);
                thread::sleep(HELD);
                bench.open_gate();
            });
            let before = processor_time();
            assert_eq!(lab.hold(7).unwrap(), 7);
            let used = processor_time() - before;
            assert!(used < HELD / 4, "{used:?}");
        });
    });
}

#[test]
fn megabytes_travel_both_ways() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let lab = lab(&server);
        let bytes: Vec<u8> = (0..8u32 << 20).map(|place| (place * 7 / 3) as u8).collect();
        let mut reversed = bytes.clone();
        reversed.reverse();
        assert!(lab.reverse(Bytes::from(bytes)).unwrap() == Bytes::from(reversed));
    });
}

#[test]
fn results_of_64_mebibytes_travel_side_by_side() {
    guarded(|| {
        let mut config = DriverConfig::plain();
        config.transport.max_message = 80 << 20;
        // Room for one of them: the others wait for it.
        config.transport.max_queued_bytes = 100 << 20;
        let (server, _bench) = serve_at(loopback(), config.clone(), |builder| builder);
        let config = ClientConfig { driver: config, timeout: Duration::from_secs(100), ..ClientConfig::plain() };
        let lab = LabClient::new(Client::connect(server.local_addr(), config).unwrap());
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert_eq!(lab.zeros(64 << 20).unwrap().len(), 64 << 20));
            }
        });
        assert_eq!(server.counters().replies_dropped, 0);
    });
}

#[test]
fn several_callers_move_megabytes_at_once() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let lab = lab(&server);
        thread::scope(|scope| {
            for number in 0..6u8 {
                let lab = lab.clone();
                scope.spawn(move || {
                    let bytes = Bytes::from(vec![number; 3 << 20]);
                    assert!(lab.reverse(bytes.clone()).unwrap() == bytes);
                });
            }
        });
    });
}

#[test]
fn what_is_larger_than_a_message_is_refused_at_either_end() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let lab = lab(&server);
        let error = lab.reverse(Bytes::from(vec![0; 17 << 20])).unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::TooLarge { .. }), "{error}");
        assert_eq!(error.ran, Ran::No);
        let error = lab.zeros(17 << 20).unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::BadResult(_)), "{error}");
        assert_eq!(error.ran, Ran::Yes);
        assert_eq!(lab.echo("still here".to_owned()).unwrap(), "still here");
    });
}

#[test]
fn what_the_server_does_not_know_is_an_error_and_does_not_run() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder);
        let client = client(&server);
        let error =
            client.call::<_, ()>(ServiceId::of("Nobody"), method("echo"), CallKind::AtMostOnce, &()).unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::UnknownService, Ran::No));
        let error = client
            .call::<_, ()>(LabClient::ID, MethodId { number: 1, ..method("echo") }, CallKind::AtMostOnce, &())
            .unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::UnknownMethod, Ran::No));
        // `increment` takes nothing.
        let error =
            client.call::<_, u64>(LabClient::ID, method("increment"), CallKind::AtMostOnce, &(1u8,)).unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::BadArguments(_)), "{error}");
        assert_eq!(error.ran, Ran::No);
        assert_eq!(bench.increments.load(std::sync::atomic::Ordering::SeqCst), 0);
    });
}

#[test]
fn a_result_of_another_type_is_an_error_of_a_call_that_ran() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let error = client(&server)
            .call::<_, String>(LabClient::ID, method("increment"), CallKind::AtMostOnce, &())
            .unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::BadResult(_)), "{error}");
        assert_eq!(error.ran, Ran::Yes);
    });
}

#[test]
fn a_handler_that_panics_fails_its_call_only() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder.pool(1));
        let lab = lab(&server);
        for _ in 0..3 {
            let error = lab.fail("out of ink".to_owned()).unwrap_err();
            assert_eq!((error.kind, error.ran), (CallErrorKind::Panicked("out of ink".to_owned()), Ran::Yes));
        }
        assert_eq!(lab.echo("next".to_owned()).unwrap(), "next");
        assert_eq!(server.counters().panics, 3);
    });
}

#[test]
fn a_call_that_takes_too_long_may_have_run_and_its_reply_is_counted_as_late() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder);
        let lab = lab(&server);
        let hasty = LabClient::new(lab.client().with_timeout(Duration::from_millis(30)));
        // A handler that looks at its deadline would end with it, and its reply might be here before anybody looks at the clock.
        let error = hasty.insist(1).unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::Timeout(Duration::from_millis(30)), Ran::Maybe));
        bench.wait_inside(1);
        bench.open_gate();
        until("the late reply is counted", || lab.client().counters().late_replies == 1);
        assert_eq!(lab.echo("fresh".to_owned()).unwrap(), "fresh");
    });
}

#[test]
fn a_client_has_a_limit_of_calls_in_flight() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder);
        let config = ClientConfig { in_flight_max: 1, ..ClientConfig::plain() };
        let client = Client::connect(server.local_addr(), config).unwrap();
        let held: rpc::PendingCall<u32> = client.start(LabClient::ID, method("hold"), CallKind::AtMostOnce, &(5u32,));
        let error = LabClient::new(client.clone()).echo(String::new()).unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::TooManyCalls { limit: 1 }, Ran::No));
        bench.open_gate();
        assert_eq!(held.wait(), Ok(5));
        assert_eq!(LabClient::new(client).echo("room".to_owned()).unwrap(), "room");
    });
}

#[test]
fn calls_to_nobody_did_not_run() {
    guarded(|| {
        // Bound and never read: nothing answers there, and nothing refuses either.
        let mute = std::net::UdpSocket::bind(loopback()).unwrap();
        let mut config = ClientConfig::plain();
        config.driver.transport.connect_timeout = Duration::from_millis(100);
        let client = Client::connect(mute.local_addr().unwrap(), config).unwrap();
        let error = LabClient::new(client).increment().unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::PeerLost { .. }), "{error}");
        assert_eq!(error.ran, Ran::No);
    });
}

/// Another program's idea of the lab: of another version, with other types, and with a method more.
mod elsewhere {
    #[rpc::service(version = 2)]
    pub trait Lab {
        fn increment(&self) -> u64;
    }

    pub mod later {
        #[rpc::service(version = 3)]
        pub trait Lab {
            fn increment(&self) -> u32;
            fn decrement(&self) -> u64;
            fn echo(&self, text: String) -> String;
        }
    }
}

#[test]
fn a_caller_with_another_interface_is_told_so_and_nothing_runs() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder);
        let client = client(&server);
        let error = elsewhere::LabClient::new(client.clone()).increment().unwrap_err();
        assert_eq!(error.ran, Ran::No);
        let CallErrorKind::OtherSchema(mismatch) = &error.kind else { panic!("{error}") };
        assert_eq!((mismatch.service.as_str(), mismatch.method.as_deref()), ("Lab", Some("increment")));
        assert_eq!((mismatch.server.version, mismatch.client.version), (3, 2));
        assert!(error.to_string().contains("another interface of Lab.increment: version 3, schema"), "{error}");

        let other_types = elsewhere::later::LabClient::new(client);
        let error = other_types.increment().unwrap_err();
        let CallErrorKind::OtherSchema(mismatch) = &error.kind else { panic!("{error}") };
        assert_eq!((mismatch.server.version, mismatch.client.version), (3, 3));
        assert_ne!(mismatch.server.hash, mismatch.client.hash);
        assert_eq!(other_types.decrement().unwrap_err().kind, CallErrorKind::UnknownMethod);
        assert_eq!(bench.increments.load(std::sync::atomic::Ordering::SeqCst), 0);
        // The methods that are the same can be called, wherever they stand in the trait.
        assert_eq!(other_types.echo("same".to_owned()).unwrap(), "same");
    });
}

/// What both ends call an order.
mod shop {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub struct Order {
        pub number: u32,
        pub pieces: u32,
    }

    #[rpc::service]
    pub trait Shop {
        fn pieces(&self, orders: Vec<Order>) -> u32;
        fn open(&self) -> bool;
    }

    /// In a program that was not built again: its bytes could be read as the other's.
    pub mod before {
        use super::*;

        #[derive(Serialize, Deserialize)]
        pub struct Order {
            pub pieces: u32,
            pub number: u32,
        }

        #[rpc::service]
        pub trait Shop {
            fn pieces(&self, orders: Vec<Order>) -> u32;
            fn open(&self) -> bool;
        }
    }

    pub struct Counter;

    impl Shop for Counter {
        fn pieces(&self, orders: Vec<Order>) -> u32 {
            orders.iter().map(|order| order.pieces).sum()
        }

        fn open(&self) -> bool {
            true
        }
    }
}

#[test]
fn a_caller_whose_struct_has_the_fields_in_another_order_is_told_so_and_nothing_runs() {
    guarded(|| {
        let server = Server::builder(DriverConfig::plain())
            .bind("127.0.0.1:0".parse().unwrap())
            .unwrap()
            .serve(shop::ShopServer::new(shop::Counter))
            .start()
            .unwrap();
        let client = Client::connect(server.local_addr(), ClientConfig::plain()).unwrap();
        let order = shop::Order { number: 7, pieces: 2 };
        assert_eq!(shop::ShopClient::new(client.clone()).pieces(vec![order]).unwrap(), 2);
        let other = shop::before::ShopClient::new(client);
        let error = other.pieces(vec![shop::before::Order { number: 7, pieces: 2 }]).unwrap_err();
        assert_eq!(error.ran, Ran::No);
        assert!(matches!(error.kind, CallErrorKind::OtherSchema(_)), "{error}");
        assert!(other.open().unwrap(), "this one is the same");
        server.stop();
    });
}

#[test]
fn two_ends_that_write_what_they_have_in_memory_misunderstand_each_other_if_they_are_unlike() {
    guarded(|| {
        let ends = |server, client| {
            let (server, _bench) = serve(|builder| builder.byte_order(server));
            let config = ClientConfig { byte_order: client, ..ClientConfig::plain() };
            let lab = LabClient::new(Client::connect(server.local_addr(), config).unwrap());
            (lab.divide(6, 3), lab.echo("text".to_owned()))
        };
        for order in [ByteOrder::Network, ByteOrder::Native, ByteOrder::Foreign] {
            assert_eq!(ends(order, order), (Ok(2), Ok("text".to_owned())));
        }
        let (two, text) = ends(ByteOrder::Foreign, ByteOrder::Native);
        assert_eq!(two, Ok(2u64.swap_bytes()), "nobody notices");
        // The length of a text is not believed.
        assert!(matches!(text.unwrap_err().kind, CallErrorKind::BadArguments(_)));
    });
}
