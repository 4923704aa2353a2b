//! Deadlines that travel, and calls that are given up.

mod common;

use std::future::Future;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as Task, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use common::*;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use rpc::driver::DriverConfig;
use rpc::{CallErrorKind, Client, ClientConfig, Context, Ran, Server};

#[rpc::service]
trait Chain {
    /// How long the caller is still going to wait, milliseconds.
    fn time_left_ms(&self) -> Option<u64>;
    /// The same of a call that the handler makes.
    fn time_left_further_ms(&self) -> Option<u64>;
}

struct Link {
    next: Option<ChainClient>,
}

impl Chain for Link {
    fn time_left_ms(&self) -> Option<u64> {
        Context::current().time_left().map(|left| left.as_millis() as u64)
    }

    fn time_left_further_ms(&self) -> Option<u64> {
        self.next.as_ref()?.time_left_ms().unwrap()
    }
}

fn chain(next: Option<ChainClient>) -> rpc::ServerHandle {
    let builder = Server::builder(DriverConfig::plain()).bind(loopback()).unwrap();
    builder.pool(1).serve(ChainServer::new(Link { next })).start().unwrap()
}

fn chain_client(server: &rpc::ServerHandle, timeout: Duration) -> ChainClient {
    let config = ClientConfig { timeout, ..ClientConfig::plain() };
    ChainClient::new(Client::connect(server.local_addr(), config).unwrap())
}

#[test]
fn calls_that_a_handler_makes_inherit_the_deadline() {
    guarded(|| {
        let hour = Duration::from_secs(3_600);
        let last = chain(None);
        let first = chain(Some(chain_client(&last, hour)));
        let patient = chain_client(&first, hour);
        let minute = ChainClient::new(patient.client().with_timeout(Duration::from_secs(60)));
        for left in [minute.time_left_ms(), minute.time_left_further_ms()] {
            let left = left.unwrap().unwrap();
            assert!((1..=60_000).contains(&left), "{left} ms");
        }
        assert!(patient.time_left_further_ms().unwrap().unwrap() > 60_000);
    });
}

#[test]
fn who_waits_longer_than_a_request_can_say_sets_no_deadline() {
    guarded(|| {
        let server = chain(None);
        for timeout in [Duration::from_secs(2 * 3_600), Duration::MAX] {
            assert_eq!(chain_client(&server, timeout).time_left_ms().unwrap(), None);
        }
        assert!(chain_client(&server, Duration::from_secs(3_600)).time_left_ms().unwrap().is_some());
    });
}

#[test]
fn a_call_without_time_left_is_not_sent() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder);
        let lab = lab(&server);
        let error = Context::until(Instant::now()).enter(|| lab.increment()).unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::Timeout(Duration::ZERO), Ran::No));
        assert_eq!(lab.increment().unwrap(), 1);
        assert_eq!(bench.increments.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn what_waited_past_its_deadline_does_not_begin() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder.pool(1));
        let lab = lab(&server);
        let held = {
            let lab = lab.clone();
            thread::spawn(move || lab.hold(7))
        };
        bench.wait_inside(1);
        let hasty = LabClient::new(lab.client().with_timeout(Duration::from_millis(30)));
        assert_eq!(hasty.increment().unwrap_err().ran, Ran::Maybe);
        bench.open_gate();
        until("the late call was refused", || server.counters().expired == 1);
        assert_eq!(held.join().unwrap(), Ok(7));
        assert_eq!(bench.increments.load(Ordering::SeqCst), 0);
    });
}

#[rpc::service]
trait Busy {
    /// Keeps the thread that receives until the gate is opened.
    #[rpc(inline)]
    fn hold(&self);
    fn count(&self) -> u64;
    #[rpc(inline)]
    fn count_inline(&self) -> u64;
    #[rpc(oneway)]
    fn tell(&self);
}

#[derive(Default)]
struct Gated {
    gate: Bench,
    count: AtomicU64,
}

impl Busy for Gated {
    fn hold(&self) {
        self.gate.insist(0);
    }

    fn count(&self) -> u64 {
        self.count.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn count_inline(&self) -> u64 {
        self.count()
    }

    fn tell(&self) {}
}

#[test]
fn a_call_without_a_reply_whose_time_is_over_leaves_nothing_behind() {
    guarded(|| {
        // Bound and never read: the session does not open.
        let mute = std::net::UdpSocket::bind(loopback()).unwrap();
        let client = Client::connect(mute.local_addr().unwrap(), ClientConfig::plain()).unwrap();
        let client = client.with_timeout(Duration::from_millis(30));
        BusyClient::new(client.clone()).tell().unwrap();
        until("it is given up", || client.counters().in_flight == 0);
        assert_eq!(client.counters().oneway_lost, 1);
    });
}

/// The kernel begins to note when datagrams come a little after the first socket has asked for it: until then, it says of each
/// that it came when it was read.
fn kernel_notes_arrivals() -> bool {
    let socket = std::net::UdpSocket::bind(loopback()).unwrap();
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
    socket.send_to(b"now", socket.local_addr().unwrap()).unwrap();
    let pause = Duration::from_millis(2);
    thread::sleep(pause);
    let (mut space, mut control) = ([0; 8], nix::cmsg_space!(TimeSpec));
    let mut slices = [IoSliceMut::new(&mut space)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty()).unwrap();
    let came = message.cmsgs().unwrap().find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(SystemTime::UNIX_EPOCH + Duration::from(time)),
        _ => None,
    });
    came.is_some_and(|came| came.elapsed().is_ok_and(|waited| waited >= pause))
}

#[test]
fn what_waited_past_its_deadline_in_the_sockets_buffer_does_not_begin() {
    guarded(|| {
        let busy = Arc::new(Gated::default());
        let builder = Server::builder(DriverConfig::plain()).bind(loopback()).unwrap();
        let server = builder.serve(BusyServer::shared(Arc::clone(&busy))).start().unwrap();
        until("the kernel notes when datagrams come", kernel_notes_arrivals);
        let client = client(&server);
        let held = {
            let busy = BusyClient::new(client.clone());
            thread::spawn(move || busy.hold())
        };
        busy.gate.wait_inside(1);
        let hasty = BusyClient::new(client.with_timeout(Duration::from_millis(30)));
        assert_eq!(hasty.count().unwrap_err().ran, Ran::Maybe);
        assert_eq!(hasty.count_inline().unwrap_err().ran, Ran::Maybe);
        busy.gate.open_gate();
        assert_eq!(held.join().unwrap(), Ok(()));
        until("both were refused", || server.counters().expired == 2);
        assert_eq!(busy.count.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn what_wakes_a_server_that_was_busy_and_slept_for_long_has_not_waited() {
    guarded(|| {
        let builder = Server::builder(DriverConfig::plain()).bind(loopback()).unwrap();
        let server = builder.serve(BusyServer::new(Gated::default())).start().unwrap();
        let client = client(&server);
        let busy = BusyClient::new(client.clone());
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(250) {
            busy.count_inline().unwrap();
        }
        thread::sleep(Duration::from_millis(1_000));
        let hasty = BusyClient::new(client.with_timeout(Duration::from_millis(500)));
        hasty.count_inline().unwrap();
    });
}

#[test]
fn a_call_that_the_window_held_back_past_its_deadline_is_not_sent() {
    guarded(|| {
        // One fragment may be under way, and what is held is acknowledged by its reply alone.
        let mut config = DriverConfig::plain();
        config.transport.window_fragments = 1;
        config.transport.ack_delay = Duration::from_secs(60);
        let (server, bench) = serve_with(config.clone());
        let client = Client::connect(server.local_addr(), ClientConfig { driver: config, ..ClientConfig::plain() });
        let client = client.unwrap();
        assert_eq!(LabClient::new(client.clone()).echo("hello".to_owned()).unwrap(), "hello");
        let held = {
            let lab = LabClient::new(client.clone());
            thread::spawn(move || lab.hold(7))
        };
        bench.wait_inside(1);
        let hasty = LabClient::new(client.with_timeout(Duration::from_millis(30)));
        let error = hasty.increment().unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::Timeout(Duration::from_millis(30)), Ran::No));
        bench.open_gate();
        assert_eq!(held.join().unwrap(), Ok(7));
        assert_eq!(LabClient::new(client).increment().unwrap(), 1);
        assert_eq!((server.counters().expired, server.counters().cancelled), (0, 0));
    });
}

#[test]
fn a_call_to_nobody_whose_time_is_over_did_not_run() {
    guarded(|| {
        // Bound and never read: nothing answers there, and nothing refuses either.
        let mute = std::net::UdpSocket::bind(loopback()).unwrap();
        let client = Client::connect(mute.local_addr().unwrap(), ClientConfig::plain()).unwrap();
        let error = LabClient::new(client.with_timeout(Duration::from_millis(30))).increment().unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::Timeout(Duration::from_millis(30)), Ran::No));
    });
}

#[test]
fn a_call_that_is_given_up_while_it_waits_never_runs() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder.pool(1));
        let client = client(&server);
        let held = {
            let lab = LabClient::new(client.clone());
            thread::spawn(move || lab.hold(7))
        };
        bench.wait_inside(1);
        {
            let lab = LabAsyncClient::new(client.clone());
            let mut call = pin!(lab.increment());
            assert!(call.as_mut().poll(&mut Task::from_waker(Waker::noop())).is_pending());
            until("the call waits", || server.counters().waiting == 1);
        }
        until("the call is out of the queue", || server.counters().waiting == 0);
        bench.open_gate();
        assert_eq!(held.join().unwrap(), Ok(7));
        assert_eq!(LabClient::new(client).increment().unwrap(), 1);
        assert_eq!(server.counters().cancelled, 1);
    });
}
