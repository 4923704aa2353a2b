//! Servers that are found by name, as processes of their own that are killed, and calls that go on.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{guarded, loopback, until};
use rpc::driver::DriverConfig;
use rpc::names::{BinderClient, BinderServer, Entry, Limits, NAME_BYTES_MAX, NameError, NameServer, RegistrationState};
use rpc::{CallErrorKind, CallKind, Client, ClientConfig, Failure, PendingCall, Ran, Server, ServerHandle, StartError};

#[rpc::service(version = 1)]
trait Teller {
    /// The server's process.
    #[rpc(idempotent)]
    fn who(&self) -> u32;
    /// How many have been held.
    #[rpc(idempotent)]
    fn held(&self) -> u32;
    /// Never ends where the server is the one that holds.
    fn hold(&self) -> u32;
    /// The same, but may be repeated.
    #[rpc(idempotent)]
    fn hold_again(&self) -> u32;
    #[rpc(oneway)]
    fn count(&self);
}

#[derive(Default)]
struct Desk {
    holds: bool,
    held: AtomicU32,
}

impl Desk {
    fn hold_here(&self) -> u32 {
        self.held.fetch_add(1, Ordering::SeqCst);
        if self.holds {
            println!("{HOLDING}");
            loop {
                std::thread::park();
            }
        }
        std::process::id()
    }
}

impl Teller for Desk {
    fn who(&self) -> u32 {
        std::process::id()
    }

    fn held(&self) -> u32 {
        self.held.load(Ordering::SeqCst)
    }

    fn hold(&self) -> u32 {
        self.hold_here()
    }

    fn hold_again(&self) -> u32 {
        self.hold_here()
    }

    fn count(&self) {
        self.held.fetch_add(1, Ordering::SeqCst);
    }
}

const BINDER: &str = "NAMES_TEST_BINDER";
const HOLDS: &str = "NAMES_TEST_HOLDS";
const REGISTERED: &str = "teller: registered";
const HOLDING: &str = "teller: holding";
const LEASE: Duration = Duration::from_millis(500);

/// What the processes do that the tests below start; nothing, as one of the tests.
#[test]
fn teller() {
    let Ok(binder) = std::env::var(BINDER) else { return };
    let desk = Desk { holds: std::env::var(HOLDS).is_ok(), held: AtomicU32::new(0) };
    let server = serve(TellerServer::new(desk), binder.parse().unwrap());
    until("it is registered", || server.registrations()[0].state == RegistrationState::Registered);
    println!("{REGISTERED}");
    // Until whoever started it lets go.
    let _ = std::io::stdin().read(&mut [0]);
}

fn serve(service: impl rpc::Service, binder: SocketAddr) -> ServerHandle {
    let builder = Server::builder(DriverConfig::plain()).bind(loopback()).unwrap().lease(LEASE).serve(service);
    builder.register(binder, "teller").start().unwrap()
}

/// A server in a process of its own, killed at the latest when it is dropped.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(binder: SocketAddr, holds: bool) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["teller", "--exact", "--nocapture"]).env(BINDER, binder.to_string());
        if holds {
            command.env(HOLDS, "1");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut process = Process { stdin: child.stdin.take(), child, stdout };
        process.says(REGISTERED);
        process
    }

    /// Waits for a line that ends so.
    fn says(&mut self, words: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(words) {
            line.clear();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "it ended without saying {words}");
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets it end by itself.
    fn end(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name_server(addr: SocketAddr) -> ServerHandle {
    let service = BinderServer::new(NameServer::new(Limits { entries: 8, ..Limits::default() }));
    Server::builder(DriverConfig::plain()).bind(addr).unwrap().serve(service).start().unwrap()
}

fn config() -> ClientConfig {
    let mut config = ClientConfig { timeout: Duration::from_secs(60), ..ClientConfig::plain() };
    config.driver.transport.connect_timeout = Duration::from_millis(500);
    config
}

fn binder(server: &ServerHandle) -> BinderClient {
    BinderClient::new(Client::connect(server.local_addr(), config()).unwrap())
}

fn teller_at(binder: SocketAddr) -> TellerClient {
    TellerClient::new(Client::by_name(binder, "teller", config()).unwrap())
}

/// The addresses that have the name.
fn addresses(binder: &BinderClient) -> usize {
    binder.resolve("teller".to_owned()).map_or(0, |entries| entries.len())
}

#[test]
fn calls_go_to_another_server_of_the_name_when_one_is_killed() {
    guarded(|| {
        let names = name_server(loopback());
        let mut first = Process::start(names.local_addr(), false);
        let teller = teller_at(names.local_addr());
        assert_eq!(teller.who(), Ok(first.child.id()));
        let second = Process::start(names.local_addr(), false);
        assert_eq!(teller.who(), Ok(first.child.id()), "calls stay where they are");
        first.kill();
        assert_eq!(teller.who(), Ok(second.child.id()));
        assert_eq!(teller.hold(), Ok(second.child.id()));
    });
}

#[test]
fn a_call_that_may_have_run_is_repeated_elsewhere_only_if_it_is_idempotent() {
    guarded(|| {
        let names = name_server(loopback());
        let mut first = Process::start(names.local_addr(), true);
        let teller = teller_at(names.local_addr());
        assert_eq!(teller.who(), Ok(first.child.id()));
        let second = Process::start(names.local_addr(), false);
        let start = |method: &str, kind| -> PendingCall<u32> {
            let id = TellerClient::INTERFACE.method(method).unwrap().id();
            teller.client().start(TellerClient::ID, id, kind, &())
        };
        let once = start("hold", CallKind::AtMostOnce);
        let again = start("hold_again", CallKind::Idempotent);
        first.says(HOLDING);
        first.says(HOLDING);
        first.kill();
        let error = once.wait().unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::PeerLost { .. }), "{error}");
        assert_eq!(error.ran, Ran::Maybe);
        assert_eq!(again.wait(), Ok(second.child.id()));
        assert_eq!(teller.held(), Ok(1), "the second server ran the idempotent one alone");
    });
}

#[test]
fn a_server_that_ends_in_good_order_withdraws_its_name_at_once() {
    guarded(|| {
        let names = name_server(loopback());
        let server = Process::start(names.local_addr(), false);
        let binder = binder(&names);
        assert_eq!(addresses(&binder), 1);
        server.end();
        let error = binder.resolve("teller".to_owned()).unwrap_err();
        assert_eq!(error, Failure::Application(NameError::Unknown("teller".to_owned())));
    });
}

#[test]
fn what_a_killed_server_leaves_goes_away_by_itself() {
    guarded(|| {
        let names = name_server(loopback());
        let mut server = Process::start(names.local_addr(), false);
        let binder = binder(&names);
        server.kill();
        assert_eq!(addresses(&binder), 1);
        until("its lease has ended", || addresses(&binder) == 0);
    });
}

#[test]
fn a_lease_is_renewed_for_as_long_as_the_server_lives() {
    guarded(|| {
        let names = name_server(loopback());
        let _server = Process::start(names.local_addr(), false);
        let binder = binder(&names);
        let start = std::time::Instant::now();
        until("three leases have passed", || {
            assert_eq!(addresses(&binder), 1);
            start.elapsed() > 3 * LEASE
        });
    });
}

#[test]
fn servers_come_back_to_a_name_server_that_was_restarted() {
    guarded(|| {
        let names = name_server(loopback());
        let addr = names.local_addr();
        let server = Process::start(addr, false);
        let teller = teller_at(addr);
        assert_eq!(teller.who(), Ok(server.child.id()));
        names.stop();
        assert_eq!(teller.who(), Ok(server.child.id()), "nobody needs the name server between losses");
        let names = name_server(addr);
        let binder = binder(&names);
        until("the server is there again", || addresses(&binder) == 1);
        assert_eq!(teller_at(addr).who(), Ok(server.child.id()));
    });
}

#[test]
fn servers_that_were_known_are_tried_when_the_name_server_is_away() {
    guarded(|| {
        let names = name_server(loopback());
        let addr = names.local_addr();
        let mut servers = [Process::start(addr, false), Process::start(addr, false)];
        let teller = teller_at(addr);
        let who = teller.who().unwrap();
        names.stop();
        let called = servers.iter().position(|server| server.child.id() == who).unwrap();
        servers[called].kill();
        assert_eq!(teller.who(), Ok(servers[1 - called].child.id()));
    });
}

#[test]
fn names_that_nobody_has_and_name_servers_that_are_not_there_are_told_apart() {
    guarded(|| {
        let names = name_server(loopback());
        let error = teller_at(names.local_addr()).who().unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::NoServer { name: "teller".to_owned() }, Ran::No));
        let addr = names.local_addr();
        names.stop();
        let error = teller_at(addr).who().unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::Binder { addr: at, .. } if at == addr), "{error}");
        assert_eq!(error.ran, Ran::No);
    });
}

#[test]
fn who_waits_for_ever_may_do_so_by_name() {
    guarded(|| {
        let names = name_server(loopback());
        let endless = Client::by_name(names.local_addr(), "teller", config()).unwrap().with_timeout(Duration::MAX);
        let error = TellerClient::new(endless).who().unwrap_err();
        assert_eq!(error.kind, CallErrorKind::NoServer { name: "teller".to_owned() });
    });
}

#[test]
fn futures_and_calls_without_a_reply_find_servers_by_name() {
    guarded(|| {
        let names = name_server(loopback());
        let desk = Arc::new(Desk::default());
        let server = serve(TellerServer::shared(Arc::clone(&desk)), names.local_addr());
        until("it is registered", || server.registrations()[0].state == RegistrationState::Registered);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let client = Client::by_name(names.local_addr(), "teller", config()).unwrap();
        let who = runtime.block_on(TellerAsyncClient::new(client).who());
        assert_eq!(who, Ok(std::process::id()));
        let teller = teller_at(names.local_addr());
        teller.count().unwrap();
        until("the count has come", || teller.held() == Ok(1));
    });
}

mod later {
    #[rpc::service(version = 2)]
    pub trait Teller {
        fn who(&self) -> u64;
    }

    impl Teller for () {
        fn who(&self) -> u64 {
            2
        }
    }
}

#[test]
fn of_servers_of_two_versions_each_client_finds_its_own() {
    guarded(|| {
        let names = name_server(loopback());
        let servers = [
            serve(TellerServer::new(Desk::default()), names.local_addr()),
            serve(later::TellerServer::new(()), names.local_addr()),
        ];
        let binder = binder(&names);
        until("both are registered", || addresses(&binder) == 2);
        for _ in 0..8 {
            assert_eq!(teller_at(names.local_addr()).who(), Ok(std::process::id()));
            let client = Client::by_name(names.local_addr(), "teller", config()).unwrap();
            assert_eq!(later::TellerClient::new(client).who(), Ok(2));
        }
        drop(servers);
    });
}

#[test]
fn names_that_cannot_be_and_names_for_nothing_are_refused_at_the_start() {
    let builder = || Server::builder(DriverConfig::plain()).bind(loopback()).unwrap();
    let bad = builder().serve(TellerServer::new(Desk::default())).register(loopback(), "a.b").start();
    assert!(matches!(bad, Err(StartError::Name(NameError::BadName(_)))), "{bad:?}");
    let nothing = builder().register(loopback(), "teller").start();
    assert!(matches!(nothing, Err(StartError::NothingToRegister(_))), "{nothing:?}");
    let bad = Client::by_name(loopback(), "", config());
    assert!(matches!(bad, Err(StartError::Name(NameError::BadName(_)))), "{bad:?}");
}

#[test]
fn a_name_server_keeps_its_limits_whatever_comes() {
    guarded(|| {
        let names = name_server(loopback());
        let binder = binder(&names);
        let entry = |name: String, port| {
            let addr = SocketAddr::from(([127, 0, 0, 1], port));
            Entry { name, addr, incarnation: 1, service: "Teller".to_owned(), version: 1, schema: 1 }
        };
        let long = binder.register(entry("x".repeat(1 << 20), 1), 1_000).unwrap_err();
        assert_eq!(long, Failure::Application(NameError::BadName("x".repeat(NAME_BYTES_MAX))));
        let granted: Vec<_> = (1..=20).map(|port| binder.register(entry(format!("n{port}"), port), u32::MAX)).collect();
        assert_eq!(granted.iter().filter(|granted| granted.is_ok()).count(), 8);
        assert_eq!(granted[8], Err(Failure::Application(NameError::Full(8))));
        assert_eq!(granted[0], Ok(3_600_000), "no lease is for ever");
        let register = BinderClient::INTERFACE.method("register").unwrap().id();
        for garbage in [&b""[..], &[0xff; 64], &[0; 3]] {
            let error = binder.client().call::<_, ()>(BinderClient::ID, register, CallKind::Idempotent, &garbage);
            assert!(matches!(error.unwrap_err().kind, CallErrorKind::BadArguments(_)));
        }
        assert_eq!(binder.list().unwrap().len(), 8);
    });
}
