//! Stacks whose calls are futures, under tokio.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::blocking::print;
use crate::contents;
use crate::figure::{Figure, Unit};
use crate::line::Line;
use crate::plan::{Calls, Goodput, Plan, RESULT_BYTES, names};
use crate::process::processor_time_with;
use crate::timing::{Counting, expect_echo, microseconds, processor, result_speed};

/// A connection to a server that any number of tasks share.
pub trait Tasks: Send + Sync + 'static {
    /// A large result.
    type Contents: AsRef<[u8]> + Send;

    /// Sends the number and returns what came back, or a sentence for the user.
    fn echo(&self, number: u64) -> impl Future<Output = Result<u64, String>> + Send;

    /// So many bytes of [`contents`], or a sentence for the user.
    fn fetch(&self, bytes: u32) -> impl Future<Output = Result<Self::Contents, String>> + Send;
}

/// Carries out the plan and prints the figures; the server is that process. To be called in a tokio runtime: everything runs in
/// its tasks, as in a server that calls others.
///
/// # Errors
///
/// A call failed or gave a wrong answer: a sentence for the user.
pub async fn measure(stack: &str, plan: Plan, server: u32, caller: impl Tasks) -> Result<(), String> {
    let (stack, caller) = (stack.to_owned(), Arc::new(caller));
    let task = tokio::spawn(async move {
        match plan {
            Plan::Calls(calls) => self::calls(&stack, &calls, server, &caller).await,
            Plan::Goodput(goodput) => self::goodput(&stack, &goodput, &caller).await.map(|figure| vec![figure]),
        }
    });
    print(&task.await.map_err(|error| error.to_string())??)
}

async fn calls(stack: &str, plan: &Calls, server: u32, caller: &Arc<impl Tasks>) -> Result<Vec<Figure>, String> {
    let mut figures = one_at_a_time(stack, plan.samples, server, caller).await?;
    for &outstanding in &plan.outstanding {
        let before = processor_time_with(server);
        let (rate, count) = many(&names::rate(stack, outstanding), plan.counting, outstanding, caller).await?;
        if outstanding == 64 {
            let after = processor_time_with(server);
            figures.push(processor(&names::processor_busy(stack), before, after, count));
        }
        figures.push(rate);
    }
    figures.push(results(stack, plan.results, caller).await?);
    Ok(figures)
}

async fn one_at_a_time(
    stack: &str,
    samples: usize,
    server: u32,
    caller: &Arc<impl Tasks>,
) -> Result<Vec<Figure>, String> {
    // The first ones find cold caches.
    for number in 0..samples as u64 / 10 + 1 {
        expect_echo(number, caller.echo(number).await?)?;
    }
    let before = processor_time_with(server);
    let mut took = Vec::with_capacity(samples);
    for number in 0..samples as u64 {
        let start = Instant::now();
        let answer = caller.echo(number).await?;
        took.push(microseconds(start.elapsed()));
        expect_echo(number, answer)?;
    }
    let after = processor_time_with(server);
    let latency = Figure::of(&names::null_call(stack), Unit::Microseconds, took);
    Ok(vec![latency, processor(&names::processor(stack), before, after, samples as u64)])
}

/// Each task makes one call at a time. Returns how many there were together, too.
async fn many<T: Tasks>(
    name: &str,
    counting: Duration,
    outstanding: usize,
    caller: &Arc<T>,
) -> Result<(Figure, u64), String> {
    let counting = Counting::begin(counting);
    let mut tasks = JoinSet::new();
    for _ in 0..outstanding {
        let caller = Arc::clone(caller);
        tasks.spawn(async move {
            let mut number = 0;
            while counting.goes_on() {
                expect_echo(number, caller.echo(number).await?)?;
                number += 1;
            }
            Ok::<u64, String>(number)
        });
    }
    let mut count = 0;
    while let Some(one) = tasks.join_next().await {
        count += one.map_err(|error| error.to_string())??;
    }
    Ok((counting.rate(name, count), count))
}

/// Large results, one at a time; each is checked with the clock stopped.
async fn results(stack: &str, results: usize, caller: &Arc<impl Tasks>) -> Result<Figure, String> {
    let mut speeds = Vec::with_capacity(results);
    let warm_up = results / 10 + 1;
    for number in 0..warm_up + results {
        let start = Instant::now();
        let result = caller.fetch(RESULT_BYTES).await?;
        let took = start.elapsed();
        contents::check(result.as_ref(), RESULT_BYTES)?;
        if number >= warm_up {
            speeds.push(result_speed(took));
        }
    }
    Ok(Figure::of(&names::result(stack), Unit::MegabytesPerSecond, speeds))
}

/// Large results for a while, so many at a time. What is under way when the time is over is given up.
async fn goodput<T: Tasks>(stack: &str, plan: &Goodput, caller: &Arc<T>) -> Result<Figure, String> {
    let line = Arc::new(Line::begin(plan));
    let mut tasks = JoinSet::new();
    for _ in 0..plan.outstanding {
        tasks.spawn(fetch_for_ever(Arc::clone(caller), plan.bytes, Arc::clone(&line)));
    }
    match tokio::time::timeout_at(line.end().into(), tasks.join_next()).await {
        Ok(Some(Ok(failed))) => failed.map(|never| match never {}),
        Ok(_) => Err("a caller panicked".to_owned()),
        Err(_) => Ok(line.figure(stack)),
    }
}

async fn fetch_for_ever(caller: Arc<impl Tasks>, bytes: u32, line: Arc<Line>) -> Result<Infallible, String> {
    loop {
        let result = caller.fetch(bytes).await?;
        contents::check(result.as_ref(), bytes)?;
        line.arrived(bytes.into());
    }
}
