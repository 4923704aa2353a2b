//! Calls whose session ends before they have an answer: at most once all the same, and no error that lies.

mod common;
#[path = "common/relay.rs"]
mod relay;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::*;
use relay::Relay;
use rpc::driver::DriverConfig;
use rpc::transport::KeepAlive;
use rpc::{CallError, CallErrorKind, Client, ClientConfig, Ran, ReplyLimits, ServerBuilder, ServerHandle};

/// Ends that notice each other's silence soon.
fn alert() -> DriverConfig {
    let mut config = DriverConfig::plain();
    config.transport.keep_alive =
        Some(KeepAlive { ping_every: Duration::from_millis(20), dead_after: Duration::from_millis(200) });
    config.transport.connect_timeout = Duration::from_secs(60);
    config
}

fn alert_server(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> (ServerHandle, Arc<Bench>) {
    serve_at(loopback(), alert(), change)
}

/// A client that finds the server through a relay, and has a session.
fn relayed(server: &ServerHandle, reconnect: Duration) -> (Relay, LabClient) {
    let relay = Relay::to(server.local_addr());
    let config =
        ClientConfig { timeout: Duration::from_secs(100), reconnect, driver: alert(), ..ClientConfig::plain() };
    let lab = LabClient::new(Client::connect(relay.addr(), config).unwrap());
    assert_eq!(lab.echo("up".to_owned()).unwrap(), "up");
    (relay, lab)
}

const PATIENT: Duration = Duration::from_secs(60);

fn in_background<R: Send + 'static>(
    lab: &LabClient,
    call: impl FnOnce(LabClient) -> Result<R, CallError> + Send + 'static,
) -> JoinHandle<Result<R, CallError>> {
    let lab = lab.clone();
    thread::spawn(move || call(lab))
}

fn client_has_lost(lab: &LabClient) {
    until("the client has lost its session", || lab.client().counters().transport.sessions_lost == 1);
}

fn server_has_lost(server: &ServerHandle) {
    until("the server has lost the session", || server.counters().transport.sessions_lost == 1);
}

/// A call that runs, and whose reply is lost with the session.
fn lose_reply(server: &ServerHandle, relay: &Relay, lab: &LabClient) -> JoinHandle<Result<u64, CallError>> {
    let done = server.counters().done;
    relay.cut_to_client();
    let call = in_background(lab, |lab| lab.increment());
    until("the call has run", || server.counters().done > done);
    client_has_lost(lab);
    call
}

#[test]
fn a_call_whose_reply_was_lost_with_its_session_is_answered_from_its_slot() {
    guarded(|| {
        let (server, bench) = alert_server(|builder| builder);
        let (relay, lab) = relayed(&server, PATIENT);
        let call = lose_reply(&server, &relay, &lab);
        relay.heal();
        assert_eq!(call.join().unwrap(), Ok(1));
        assert_eq!(bench.increments.load(Ordering::SeqCst), 1);
        assert_eq!((server.counters().duplicates, lab.client().counters().repeated), (1, 1));
    });
}

#[test]
fn without_suppression_of_duplicates_it_runs_twice() {
    guarded(|| {
        let limits = ReplyLimits { suppress_duplicates: false, ..ReplyLimits::default() };
        let (server, bench) = alert_server(|builder| builder.replies(limits));
        let (relay, lab) = relayed(&server, PATIENT);
        let call = lose_reply(&server, &relay, &lab);
        relay.heal();
        assert_eq!(call.join().unwrap(), Ok(2));
        assert_eq!(bench.increments.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_call_that_runs_while_its_session_ends_does_not_begin_again() {
    guarded(|| {
        let (server, bench) = alert_server(|builder| builder);
        let (relay, lab) = relayed(&server, PATIENT);
        let call = in_background(&lab, |lab| lab.hold(7));
        bench.wait_inside(1);
        relay.cut();
        client_has_lost(&lab);
        relay.heal();
        until("the server says that it works", || lab.client().counters().working == 1);
        bench.open_gate();
        assert_eq!(call.join().unwrap(), Ok(7));
        assert_eq!(server.counters().done, 2);
    });
}

#[test]
fn a_call_that_waited_when_its_session_ended_runs_when_it_comes_again() {
    guarded(|| {
        let (server, bench) = alert_server(|builder| builder.pool(1));
        let (relay, lab) = relayed(&server, PATIENT);
        let other = common::lab(&server);
        let held = in_background(&other, |lab| lab.hold(7));
        bench.wait_inside(1);
        let call = in_background(&lab, |lab| lab.increment());
        until("the call waits", || server.counters().waiting == 1);
        relay.cut();
        client_has_lost(&lab);
        server_has_lost(&server);
        assert_eq!(server.counters().waiting, 0);
        relay.heal();
        until("the call waits again", || server.counters().waiting == 1);
        bench.open_gate();
        assert_eq!((call.join().unwrap(), held.join().unwrap()), (Ok(1), Ok(7)));
        assert_eq!(bench.increments.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn another_incarnation_runs_nothing_that_the_first_one_may_have_run() {
    guarded(|| {
        let (server, bench) = alert_server(|builder| builder);
        let (relay, lab) = relayed(&server, PATIENT);
        let call = lose_reply(&server, &relay, &lab);
        let (next, next_bench) = alert_server(|builder| builder);
        relay.turn_to(next.local_addr());
        relay.heal();
        let error = call.join().unwrap().unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::PeerLost { .. }), "{error}");
        assert_eq!(error.ran, Ran::Maybe);
        assert_eq!(lab.echo("next".to_owned()).unwrap(), "next");
        let increments = |bench: &Bench| bench.increments.load(Ordering::SeqCst);
        assert_eq!((increments(&bench), increments(&next_bench)), (1, 0));
    });
}

#[test]
fn an_idempotent_call_runs_again_at_another_incarnation() {
    guarded(|| {
        let (server, bench) = alert_server(|builder| builder);
        let (relay, lab) = relayed(&server, PATIENT);
        let call = in_background(&lab, |lab| lab.hold_again(7));
        bench.wait_inside(1);
        relay.cut();
        client_has_lost(&lab);
        let (next, next_bench) = alert_server(|builder| builder);
        relay.turn_to(next.local_addr());
        relay.heal();
        next_bench.wait_inside(1);
        next_bench.open_gate();
        assert_eq!(call.join().unwrap(), Ok(7));
        bench.open_gate();
    });
}

#[test]
fn a_call_whose_reply_is_not_kept_has_run_and_says_so() {
    guarded(|| {
        let limits = ReplyLimits { client_bytes: 1 << 12, ..ReplyLimits::default() };
        let (server, _bench) = alert_server(|builder| builder.replies(limits));
        let (relay, lab) = relayed(&server, PATIENT);
        relay.cut_to_client();
        let call = in_background(&lab, |lab| lab.zeros(1 << 13));
        until("the call has run", || server.counters().done == 2);
        client_has_lost(&lab);
        relay.heal();
        let error = call.join().unwrap().unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::BadResult(_)), "{error}");
        assert_eq!(error.ran, Ran::Yes);
        assert_eq!(server.counters().done, 2);
    });
}

#[test]
fn a_server_that_has_forgotten_its_client_does_not_run_what_it_may_have_run() {
    guarded(|| {
        let limits = ReplyLimits { remember: Duration::ZERO, ..ReplyLimits::default() };
        let (server, bench) = alert_server(|builder| builder.replies(limits));
        let (relay, lab) = relayed(&server, PATIENT);
        let call = lose_reply(&server, &relay, &lab);
        relay.cut();
        server_has_lost(&server);
        until("the server has forgotten", || server.counters().reply_bytes == 0);
        relay.heal();
        let error = call.join().unwrap().unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::Forgotten, Ran::Maybe));
        assert_eq!(lab.increment().unwrap(), 2);
        assert_eq!(bench.increments.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_server_that_is_not_met_again_in_time_is_lost_and_the_call_may_have_run() {
    guarded(|| {
        let (server, bench) = alert_server(|builder| builder);
        let (relay, lab) = relayed(&server, Duration::from_millis(50));
        let call = in_background(&lab, |lab| lab.hold(7));
        bench.wait_inside(1);
        relay.cut();
        let error = call.join().unwrap().unwrap_err();
        assert!(matches!(error.kind, CallErrorKind::PeerLost { .. }), "{error}");
        assert_eq!(error.ran, Ran::Maybe);
        bench.open_gate();
    });
}
