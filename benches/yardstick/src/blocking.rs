//! Stacks whose calls block the calling thread.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::contents;
use crate::figure::{Figure, Unit};
use crate::plan::{Calls, RESULT_BYTES, names};
use crate::process::processor_time_with;
use crate::timing::{Counting, expect_echo, microseconds, processor, result_speed};

/// A connection to a server, as one thread uses it.
pub trait Blocking: Send {
    /// A large result, as this stack hands it over.
    type Contents: AsRef<[u8]> + Default;

    /// Sends the number and returns what came back.
    ///
    /// # Errors
    ///
    /// A sentence for the user.
    fn echo(&mut self, number: u64) -> Result<u64, String>;

    /// Asks for so many bytes of [`contents`] into `result`, which may hold others.
    ///
    /// # Errors
    ///
    /// A sentence for the user.
    fn fetch(&mut self, bytes: u32, result: &mut Self::Contents) -> Result<(), String>;

    /// Another one like this, for one more thread. None if calls of this stack are made one at a time.
    fn another(&self) -> Option<Self>
    where
        Self: Sized;

    /// Datagrams sent and received so far. None if nobody counts them.
    fn datagrams(&self) -> Option<u64>;
}

/// Carries out the plan and prints the figures; the server is that process.
///
/// # Errors
///
/// A call failed or gave a wrong answer: a sentence for the user.
pub fn measure(stack: &str, plan: &Calls, server: u32, mut caller: impl Blocking) -> Result<(), String> {
    print(&calls(stack, plan, server, &mut caller)?)
}

/// Prints them, one a line.
///
/// # Errors
///
/// Nobody reads: a sentence for the user.
pub fn print(figures: &[Figure]) -> Result<(), String> {
    let mut out = io::stdout().lock();
    let written = figures.iter().try_for_each(|figure| writeln!(out, "{figure}"));
    written.and_then(|()| out.flush()).map_err(|error| error.to_string())
}

fn calls<B: Blocking>(stack: &str, plan: &Calls, server: u32, caller: &mut B) -> Result<Vec<Figure>, String> {
    let mut figures = one_at_a_time(stack, plan.samples, server, caller)?;
    for &outstanding in &plan.outstanding {
        let name = names::rate(stack, outstanding);
        let callers: Option<Vec<B>> = (0..outstanding).map(|_| caller.another()).collect();
        let Some(callers) = callers else { continue };
        let before = processor_time_with(server);
        let (rate, count) = many(&name, plan.counting, callers)?;
        if outstanding == 64 {
            let after = processor_time_with(server);
            figures.push(processor(&names::processor_busy(stack), before, after, count));
        }
        figures.push(rate);
    }
    figures.push(results(stack, plan.results, caller)?);
    Ok(figures)
}

fn one_at_a_time(stack: &str, samples: usize, server: u32, caller: &mut impl Blocking) -> Result<Vec<Figure>, String> {
    // The first ones open the connection, and find cold caches.
    (0..samples as u64 / 10 + 1).try_for_each(|number| expect_echo(number, caller.echo(number)?))?;
    let (before, datagrams) = (processor_time_with(server), caller.datagrams());
    let mut took = Vec::with_capacity(samples);
    for number in 0..samples as u64 {
        let start = Instant::now();
        let answer = caller.echo(number)?;
        took.push(microseconds(start.elapsed()));
        expect_echo(number, answer)?;
    }
    let after = processor_time_with(server);
    let mut figures = vec![Figure::of(&names::null_call(stack), Unit::Microseconds, took)];
    if let (Some(before), Some(after)) = (datagrams, caller.datagrams()) {
        let each = after.saturating_sub(before) as f64 / samples.max(1) as f64;
        figures.push(Figure::of(&names::datagrams(stack), Unit::Datagrams, vec![each]));
    }
    figures.push(processor(&names::processor(stack), before, after, samples as u64));
    Ok(figures)
}

/// Each thread makes one call at a time. Returns how many there were together, too.
fn many<B: Blocking>(name: &str, counting: Duration, callers: Vec<B>) -> Result<(Figure, u64), String> {
    let counting = Counting::begin(counting);
    let one = |mut caller: B| {
        let mut number = 0;
        while counting.goes_on() {
            expect_echo(number, caller.echo(number)?)?;
            number += 1;
        }
        Ok::<u64, String>(number)
    };
    let count: Result<u64, String> = std::thread::scope(|scope| {
        let threads: Vec<_> = callers.into_iter().map(|caller| scope.spawn(move || one(caller))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err("a caller panicked".to_owned()))).sum()
    });
    count.map(|count| (counting.rate(name, count), count))
}

/// Large results, one at a time; each is checked with the clock stopped.
fn results<B: Blocking>(stack: &str, results: usize, caller: &mut B) -> Result<Figure, String> {
    let mut result = Default::default();
    let mut one = || -> Result<f64, String> {
        let start = Instant::now();
        caller.fetch(RESULT_BYTES, &mut result)?;
        let took = start.elapsed();
        contents::check(B::Contents::as_ref(&result), RESULT_BYTES)?;
        Ok(result_speed(took))
    };
    (0..results / 10 + 1).try_for_each(|_| one().map(drop))?;
    let speeds: Vec<f64> = (0..results).map(|_| one()).collect::<Result<_, _>>()?;
    Ok(Figure::of(&names::result(stack), Unit::MegabytesPerSecond, speeds))
}
