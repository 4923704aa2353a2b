//! Calls that must not run twice, over a network that loses, duplicates and reorders, to a server that is killed and started again.
//!
//! Each increment has a number, and whoever runs it writes the number into a ledger that outlives the server. Afterwards the ledger is
//! held against what the callers were told: a result means that it ran once; "it did not run" means that, and only then is it
//! called again; "it may have run" leaves both open, and never means twice. Where the server is told not to suppress duplicates, the
//! same ledger shows what that is good for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rpc::driver::DriverConfig;
use rpc::impair::Impairments;
use rpc::{Client, ClientConfig, Ran};

use super::tally::{Ledger, Setup, TallyAsyncClient};
use crate::figure::{Figure, Unit};
use crate::rpc::side::ANYWHERE;
use crate::served::Served;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many increments.
    pub increments: u64,
    /// How often the server is killed and started again.
    pub restarts: u64,
    /// Decides which datagrams suffer.
    pub seed: u64,
    /// Whether the server drops requests that have come before.
    pub suppress_duplicates: bool,
}

/// Calls outstanding at a time.
const OUTSTANDING: usize = 256;

/// How long a caller waits before it calls again what certainly did not run.
const AGAIN_AFTER: Duration = Duration::from_millis(2);

/// What a caller was told of its increment last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing = 0,
    Result = 1,
    MayHaveRun = 2,
}

/// Who calls what.
struct Shared {
    client: TallyAsyncClient,
    next: AtomicU64,
    done: AtomicU64,
    told: Vec<AtomicU8>,
}

/// Runs the plan, and calls `progress` with how many are over.
///
/// # Errors
///
/// The machine, not the network, is in the way: a sentence for the user.
pub fn measure(plan: Plan, progress: impl Fn(u64)) -> Result<Vec<Figure>, String> {
    let ledger = Ledger::new("increments");
    let faults = Impairments { loss: 0.2, duplicate: 0.1, reorder: 0.1, ..Impairments::default() };
    let impairments = Impairments { seed: plan.seed, ..faults };
    let suppress_duplicates = plan.suppress_duplicates;
    let ledger_path = ledger.path().to_owned();
    let mut setup = Setup { bind: ANYWHERE, ledger: ledger_path, workers: 4, impairments, suppress_duplicates };
    let server = setup.start()?;
    setup.bind = server.place().parse().map_err(|_| "the server announced no address")?;
    let impairments = Impairments { seed: plan.seed.wrapping_add(1), ..faults };
    let client = connect(setup.bind, impairments)?;
    let told = (0..plan.increments).map(|_| AtomicU8::new(Told::Nothing as u8)).collect();
    let shared =
        Shared { client: TallyAsyncClient::new(client), next: AtomicU64::new(0), done: AtomicU64::new(0), told };
    let shared = Arc::new(shared);

    let start = Instant::now();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let callers: Vec<_> = (0..OUTSTANDING).map(|_| runtime.spawn(call(Arc::clone(&shared)))).collect();
    let server = crash(plan, &setup, server, &shared, progress)?;
    let ended: Result<Vec<()>, _> = runtime
        .block_on(async { futures_in_turn(callers).await })
        .map_err(|error: tokio::task::JoinError| error.to_string());
    ended?;
    let took = start.elapsed();
    server.dismiss()?;
    let told: Vec<u8> = shared.told.iter().map(|told| told.load(Ordering::Relaxed)).collect();
    let figures = judge(&told, &ledger.executions(plan.increments)?, took);
    Ok(if plan.suppress_duplicates { figures } else { figures.into_iter().filter_map(unsuppressed).collect() })
}

/// What is worth telling of a run without suppression, under another name.
fn unsuppressed(figure: Figure) -> Option<Figure> {
    let name = match &figure.name[..] {
        "increments" => "increments_without_suppression",
        "increments_doubled" => "increments_doubled_without_suppression",
        _ => return None,
    };
    Some(Figure { name: name.to_owned(), ..figure })
}

fn connect(server: SocketAddr, impairments: Impairments) -> Result<Client, String> {
    let driver = DriverConfig { impairments, ..DriverConfig::plain() };
    Client::connect(server, ClientConfig { driver, ..ClientConfig::plain() }).map_err(|error| error.to_string())
}

async fn futures_in_turn(tasks: Vec<tokio::task::JoinHandle<()>>) -> Result<Vec<()>, tokio::task::JoinError> {
    let mut ended = Vec::with_capacity(tasks.len());
    for task in tasks {
        ended.push(task.await?);
    }
    Ok(ended)
}

/// One caller: takes the next number until there is none.
async fn call(shared: Arc<Shared>) {
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(told) = shared.told.get(number as usize) else { return };
        let last = loop {
            match shared.client.increment(number).await {
                Ok(_) => break Told::Result,
                Err(error) => match error.ran {
                    Ran::No => tokio::time::sleep(AGAIN_AFTER).await,
                    Ran::Maybe => break Told::MayHaveRun,
                    Ran::Yes => break Told::Result,
                },
            }
        };
        told.store(last as u8, Ordering::Relaxed);
        shared.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Kills the server and starts it again, each time that another share of the increments is over; returns the last one when all are.
fn crash(
    plan: Plan,
    setup: &Setup,
    mut server: Served,
    shared: &Shared,
    progress: impl Fn(u64),
) -> Result<Served, String> {
    let share = plan.increments / (plan.restarts + 1) + 1;
    let mut next = share;
    loop {
        let done = shared.done.load(Ordering::Relaxed);
        progress(done);
        if done >= plan.increments {
            return Ok(server);
        }
        if done >= next {
            next += share;
            server.kill();
            server = setup.start()?;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Holds the ledger against what the callers were told.
fn judge(told: &[u8], executions: &[u32], took: Duration) -> Vec<Figure> {
    let count = |of: &dyn Fn(u8, u32) -> bool| {
        told.iter().zip(executions).filter(|(told, ran)| of(**told, **ran)).count() as f64
    };
    let figure = |name: &str, unit, value| Figure::of(name, unit, vec![value]);
    let (result, open) = (Told::Result as u8, Told::MayHaveRun as u8);
    vec![
        figure("increments", Unit::Count, told.len() as f64),
        figure("increments_doubled", Unit::Count, count(&|_, ran| ran > 1)),
        figure(
            "increments_with_a_result_that_did_not_run",
            Unit::Count,
            count(&|told, ran| told == result && ran == 0),
        ),
        figure("increments_that_may_have_run_and_did", Unit::Count, count(&|told, ran| told == open && ran > 0)),
        figure("increments_that_may_have_run_and_did_not", Unit::Count, count(&|told, ran| told == open && ran == 0)),
        figure("increments_per_second", Unit::CallsPerSecond, told.len() as f64 / took.as_secs_f64()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_judge_finds_what_ran_twice_and_what_did_not_run() {
        let (result, open) = (Told::Result as u8, Told::MayHaveRun as u8);
        let figures = judge(&[result, result, result, open, open], &[1, 2, 0, 0, 1], Duration::from_secs(1));
        let value = |name: &str| figures.iter().find(|figure| figure.name == name).map(|figure| figure.p50);
        assert_eq!(value("increments"), Some(5.0));
        assert_eq!(value("increments_doubled"), Some(1.0));
        assert_eq!(value("increments_with_a_result_that_did_not_run"), Some(1.0));
        assert_eq!(value("increments_that_may_have_run_and_did"), Some(1.0));
        assert_eq!(value("increments_that_may_have_run_and_did_not"), Some(1.0));
    }
}
