//! Calls as futures: under tokio, and under an executor of a few lines.

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use common::*;
use rpc::{CallErrorKind, CallKind, Client, PendingCall, Ran};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn tasks_of_tokio_share_one_client() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let lab = LabAsyncClient::new(client(&server));
        runtime().block_on(async {
            let tasks: Vec<_> = (0..50u64)
                .map(|number| {
                    let lab = lab.clone();
                    tokio::spawn(async move { (number, lab.divide(number * 3, 3).await) })
                })
                .collect();
            for task in tasks {
                let (number, answer) = task.await.unwrap();
                assert_eq!(answer, Ok(number));
            }
        });
    });
}

#[test]
fn futures_need_no_particular_executor() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let lab = LabAsyncClient::new(client(&server));
        assert_eq!(block_on(lab.echo("by hand".to_owned())).unwrap(), "by hand");
    });
}

#[test]
fn a_deadline_needs_no_timer_of_the_executor() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder);
        let lab = LabAsyncClient::new(client(&server).with_timeout(Duration::from_millis(30)));
        let error = block_on(lab.insist(1)).unwrap_err();
        assert_eq!((error.kind, error.ran), (CallErrorKind::Timeout(Duration::from_millis(30)), Ran::Maybe));
        bench.open_gate();
    });
}

#[test]
fn dropping_a_future_gives_the_call_up_and_the_server_learns_it() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder);
        let lab = LabAsyncClient::new(client(&server));
        runtime().block_on(async {
            let held = tokio::time::timeout(Duration::from_millis(30), lab.hold(1)).await;
            assert!(held.is_err());
        });
        assert_eq!(lab.client().counters().in_flight, 0);
        assert_eq!(lab.client().counters().cancelled, 1);
        bench.wait_inside(1);
        until("the handler has seen that it is cancelled", || bench.cancelled.load(Ordering::SeqCst) == 1);
        assert_eq!(block_on(lab.increment()).unwrap(), 1);
        until("the server has counted it", || server.counters().cancelled == 1);
        assert_eq!(lab.client().counters().late_replies, 0);
    });
}

#[test]
fn a_future_that_was_never_polled_sends_nothing() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let lab = LabAsyncClient::new(client(&server));
        drop(lab.increment());
        assert_eq!(lab.client().counters().calls, 0);
    });
}

/// A task that is done with its call, and with the client, as soon as it is woken.
struct LetsGo {
    held: Mutex<Option<(Client, PendingCall<u64>)>>,
    gone: AtomicBool,
}

impl Wake for LetsGo {
    fn wake(self: Arc<Self>) {
        drop(self.held.lock().unwrap().take());
        self.gone.store(true, Ordering::SeqCst);
    }
}

#[test]
fn the_last_client_may_go_in_the_task_that_its_reply_wakes() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder.pool(1));
        let client = client(&server);
        // The only worker waits, so the reply cannot come before the waker stands.
        let held: PendingCall<u32> = client.start(LabClient::ID, method("hold"), CallKind::AtMostOnce, &(7u32,));
        bench.wait_inside(1);
        let mut call: PendingCall<u64> = client.start(LabClient::ID, method("increment"), CallKind::AtMostOnce, &());
        let task = Arc::new(LetsGo { held: Mutex::new(None), gone: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&task));
        assert!(pin!(&mut call).as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(held);
        *task.held.lock().unwrap() = Some((client, call));
        bench.open_gate();
        until("the client is gone", || task.gone.load(Ordering::SeqCst));
    });
}
