//! Methods that are more, or less, than an ordinary call: run where they arrive, without a reply.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{guarded, loopback, until};
use rpc::codec;
use rpc::driver::DriverConfig;
use rpc::impair::Impairments;
use rpc::{Bytes, CallErrorKind, Client, ClientConfig, Ran, Server, ServerHandle};

/// Not the type parameter of a stub.
type T = u64;

#[rpc::service]
trait Kinds {
    /// The name of the thread that runs it.
    #[rpc(inline)]
    fn here(&self) -> String;
    #[rpc(inline)]
    fn fail_here(&self);
    fn in_the_pool(&self) -> String;
    #[rpc(oneway)]
    fn note(&self, number: u64);
    /// Returns when there were so many notes.
    fn noted(&self, count: u64) -> u64;
    /// Whether the byte string that is encoded in this one stands in the same memory when it has been decoded.
    fn is_kept_inside(&self, outer: Bytes) -> bool;
    /// Has arguments with the names that the stubs have for their own.
    fn named(&self, method: u64, arguments: u64, reply: u64, result: u64, call: T) -> [T; 5];
}

#[derive(Default)]
struct Notes {
    count: AtomicU64,
    waits: AtomicU64,
    sum: AtomicU64,
}

fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

impl Kinds for Notes {
    fn here(&self) -> String {
        thread_name()
    }

    fn fail_here(&self) {
        panic!("out of ink");
    }

    fn in_the_pool(&self) -> String {
        thread_name()
    }

    fn note(&self, number: u64) {
        self.sum.fetch_add(number, Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    fn noted(&self, count: u64) -> u64 {
        self.waits.fetch_add(1, Ordering::SeqCst);
        until("all notes are here", || self.count.load(Ordering::SeqCst) >= count);
        self.sum.load(Ordering::SeqCst)
    }

    fn is_kept_inside(&self, outer: Bytes) -> bool {
        let inner: Bytes = codec::decode(&outer).unwrap();
        outer.as_ptr_range().contains(&inner.as_ptr())
    }

    fn named(&self, method: u64, arguments: u64, reply: u64, result: u64, call: u64) -> [u64; 5] {
        [method, arguments, reply, result, call]
    }
}

fn serve(config: DriverConfig) -> (ServerHandle, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let builder = Server::builder(config).bind(loopback()).unwrap().pool(1);
    (builder.serve(KindsServer::shared(Arc::clone(&notes))).start().unwrap(), notes)
}

fn client(server: &ServerHandle, driver: DriverConfig) -> KindsClient {
    let config = ClientConfig { driver, timeout: Duration::from_secs(60), ..ClientConfig::plain() };
    KindsClient::new(Client::connect(server.local_addr(), config).unwrap())
}

#[test]
fn inline_handlers_run_on_the_thread_that_receives() {
    guarded(|| {
        let (server, _notes) = serve(DriverConfig::plain());
        let kinds = client(&server, DriverConfig::plain());
        assert_eq!(kinds.here().unwrap(), "rpc-server");
        assert_eq!(kinds.in_the_pool().unwrap(), "rpc-worker-0");
    });
}

#[test]
fn names_of_arguments_do_not_meet_those_of_the_stubs() {
    guarded(|| {
        let (server, _notes) = serve(DriverConfig::plain());
        assert_eq!(client(&server, DriverConfig::plain()).named(1, 2, 3, 4, 5), Ok([1, 2, 3, 4, 5]));
    });
}

#[test]
fn a_long_byte_string_that_a_method_decodes_itself_stays_in_the_request_and_a_short_one_is_copied() {
    guarded(|| {
        let (server, _notes) = serve(DriverConfig::plain());
        let kinds = client(&server, DriverConfig::plain());
        for (length, kept) in [(1 << 17, true), (100, false)] {
            let mut outer = Vec::new();
            codec::encode(&Bytes::from(vec![7; length]), &mut outer).unwrap();
            assert_eq!(kinds.is_kept_inside(outer.into()), Ok(kept), "{length} bytes");
        }
    });
}

#[test]
fn an_inline_handler_needs_no_worker_and_its_panic_fails_its_call_only() {
    guarded(|| {
        let (server, notes) = serve(DriverConfig::plain());
        let kinds = client(&server, DriverConfig::plain());
        let busy = {
            let kinds = kinds.clone();
            thread::spawn(move || kinds.noted(1))
        };
        until("the only worker is busy", || notes.waits.load(Ordering::SeqCst) == 1);
        let error = kinds.fail_here().unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::Panicked("out of ink".to_owned()), Ran::Yes));
        assert_eq!(kinds.here().unwrap(), "rpc-server");
        notes.note(7);
        assert_eq!(busy.join().unwrap(), Ok(7));
    });
}

#[test]
fn oneway_calls_run_once_each_and_nothing_is_sent_back() {
    guarded(|| {
        let (server, notes) = serve(DriverConfig::plain());
        let kinds = client(&server, DriverConfig::plain());
        for number in 1..=100 {
            kinds.note(number).unwrap();
        }
        until("all notes are here", || notes.count.load(Ordering::SeqCst) == 100);
        assert_eq!(notes.sum.load(Ordering::SeqCst), 5_050);
        assert_eq!(server.counters().transport.messages_sent, 0);
        assert_eq!(kinds.client().counters().in_flight, 0);
    });
}

#[test]
fn oneway_calls_run_once_each_over_a_bad_network() {
    guarded(|| {
        let bad = |seed| DriverConfig {
            impairments: Impairments { loss: 0.2, duplicate: 0.1, reorder: 0.1, seed, ..Impairments::default() },
            ..DriverConfig::plain()
        };
        let (server, notes) = serve(bad(1));
        let kinds = client(&server, bad(2));
        for number in 1..=200 {
            kinds.note(number).unwrap();
        }
        // Not by a call: calls are not ordered, so it could have the only worker before the last notes have arrived.
        until("all notes are here", || notes.count.load(Ordering::SeqCst) >= 200);
        drop((kinds, server));
        assert_eq!((notes.count.load(Ordering::SeqCst), notes.sum.load(Ordering::SeqCst)), (200, 20_100));
    });
}
