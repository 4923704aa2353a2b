//! Ten times more calls than the server can serve: what still comes back in time, and whether anything began too late.
//!
//! The handler computes for 100 microseconds, one at a time. First 64 callers keep the server busy, each with one call at a time:
//! the peak. Then calls come at ten times the rate at which one handler could run, whether or not earlier ones are answered, each with
//! 20 milliseconds to its deadline.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rpc::impair::Impairments;
use rpc::{Client, ClientConfig, Context};

use super::tally::{Ledger, SHORT, Setup, SharedClock, TallyAsyncClient};
use crate::figure::{Figure, Unit};
use crate::rpc::side::ANYWHERE;

/// How many times too much is offered.
const TIMES: u32 = 10;
/// How long a caller waits.
const DEADLINE: Duration = Duration::from_millis(20);
/// Callers that are more than enough to keep one handler busy.
const CALLERS: usize = 64;
/// Calls are sent in small volleys, so often.
const TICK: Duration = Duration::from_millis(1);
/// How many calls may be without an answer: what is offered until the deadline, twice.
const IN_FLIGHT_MAX: usize = 8_192;

/// Measures both, each for so long.
///
/// # Errors
///
/// A sentence for the user.
pub fn measure(each: Duration) -> Result<Vec<Figure>, String> {
    let ledger = Ledger::new("overload");
    let impairments = Impairments::default();
    let ledger_path = ledger.path().to_owned();
    let setup = Setup { bind: ANYWHERE, ledger: ledger_path, workers: 1, impairments, suppress_duplicates: true };
    let server = setup.start()?;
    let address = server.place().parse().map_err(|_| "the server announced no address")?;
    let config = ClientConfig { in_flight_max: IN_FLIGHT_MAX, ..ClientConfig::plain() };
    let client = Client::connect(address, config).map_err(|error| error.to_string())?;
    let patient = TallyAsyncClient::new(client.clone());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let peak = runtime.block_on(peak(&patient, each))?;
    let (offered, answered) = runtime.block_on(overload(&patient, each));
    let (_, late) = runtime.block_on(patient.begun()).map_err(|error| error.to_string())?;
    server.dismiss()?;
    let rate = |name: &str, count: u64| Figure::of(name, Unit::CallsPerSecond, vec![count as f64 / each.as_secs_f64()]);
    Ok(vec![
        rate("overload_peak", peak),
        rate("overload_offered", offered),
        rate("overload_goodput", answered),
        Figure::of("overload_begun_too_late", Unit::Count, vec![late as f64]),
    ])
}

async fn peak(client: &TallyAsyncClient, each: Duration) -> Result<u64, String> {
    let end = Instant::now() + each;
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut calls = 0;
                while Instant::now() < end {
                    client.short(u64::MAX).await.map_err(|error| error.to_string())?;
                    calls += 1;
                }
                Ok::<u64, String>(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.map_err(|error| error.to_string())??;
    }
    Ok(calls)
}

/// How many calls were offered, and how many answered in time.
async fn overload(client: &TallyAsyncClient, each: Duration) -> (u64, u64) {
    let clock = SharedClock::new();
    let start = Instant::now();
    let per_second = TIMES as f64 / SHORT.as_secs_f64();
    let answered = Arc::new(AtomicU64::new(0));
    let mut offered = 0;
    let mut calls = tokio::task::JoinSet::new();
    let mut tick = tokio::time::interval(TICK);
    while start.elapsed() < each {
        tick.tick().await;
        let due = (start.elapsed().as_secs_f64() * per_second) as u64;
        for _ in offered..due {
            let (client, answered) = (client.clone(), Arc::clone(&answered));
            calls.spawn(async move {
                // The very moment that the call knows, too.
                let deadline = Instant::now() + DEADLINE;
                let mut call = pin!(client.short(clock.at(deadline)));
                let call = poll_fn(|task| Context::until(deadline).enter(|| call.as_mut().poll(task)));
                // Refused or too late: what the others are for.
                if call.await.is_ok() {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        offered = due;
        while calls.try_join_next().is_some() {}
    }
    let in_time = answered.load(Ordering::Relaxed);
    while calls.join_next().await.is_some() {}
    (offered, in_time)
}
