//! What the demo says, made from what it measured.

use std::fmt::Write as _;

use dsm_core::{PAGE_BYTES, mem};
use examples::ladder::{Cost, Rung};
use nix::sys::utsname::uname;

use super::{Pair, Stop};

/// The machine, in a few lines.
pub(super) fn environment() -> String {
    let kernel = uname().map_or_else(
        |_| "unknown".to_string(),
        |name| format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy()),
    );
    let opened = mem::open().map_or_else(|error| error.to_string(), |opened| opened.by.to_string());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "Three processes, one memory. Each maps the same region; a page that is not here is fetched over reliable UDP.\n\n\
         kernel       {kernel}\nuserfaultfd  {opened}\npage size    {PAGE_BYTES} bytes\ncores        {cores}\n"
    )
}

/// The costs, cheapest first, with a bar whose length is the logarithm of the cost.
pub(super) fn ladder(costs: &[Cost]) -> String {
    let mut text = "\nWhat one access costs (median, and the middle 80%):\n\n".to_string();
    for rung in Rung::ALL {
        let Some(cost) = find(costs, rung) else { continue };
        let bar = "#".repeat((cost.p50.max(1.0).log10() * 4.0) as usize);
        let range = format!("{} .. {}", time(cost.p10), time(cost.p90));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:<45} {:>9}  {range:<20} {bar}", rung.words(), time(cost.p50));
    }
    text
}

/// The job both ways, side by side. Fails where an answer is not the published optimum.
pub(super) fn pairs(pairs: &[Pair]) -> Result<String, Stop> {
    let mut text =
        "\nThe travelling salesman by branch and bound, three worker processes, the same solver:\n\n".to_string();
    let _ = writeln!(
        text,
        "  {:<9} {:<14} {:>7} {:>9} {:>10} {:>9} {:>11}",
        "instance", "over", "length", "optimum", "time", "messages", "bytes"
    );
    for Pair { published, dsm, rpc } in pairs {
        for (way, report) in [("shared memory", dsm), ("RPC", rpc)] {
            let length_of_tour = published.instance().tour_length(&report.tour);
            if report.length != published.optimum || length_of_tour != Some(published.optimum) {
                let (name, found, optimum) = (published.name, report.length, published.optimum);
                return Err(Stop::Failed(format!(
                    "{name} over {way}: found {found}, the published optimum is {optimum}"
                )));
            }
            let _ = writeln!(
                text,
                "  {:<9} {:<14} {:>7} {:>9} {:>10} {:>9} {:>11}",
                published.name,
                way,
                report.length,
                published.optimum,
                time(report.elapsed.as_nanos() as f64),
                report.messages,
                report.bytes
            );
        }
    }
    Ok(text)
}

/// What was learned, from the figures.
pub(super) fn lesson(costs: &[Cost], pairs: &[Pair]) -> String {
    let median = |rung| find(costs, rung).map_or(f64::NAN, |cost| cost.p50);
    let dearer = median(Rung::RemoteRead) / median(Rung::CachedLoad);
    let (mut shared, mut called) = (0, 0);
    for pair in pairs {
        shared += pair.dsm.messages;
        called += pair.rpc.messages;
    }
    let more = shared as f64 / called.max(1) as f64;
    format!(
        "\nWhat was learned: the same load costs {:.0} times as much when its page is in another process, and nothing in the \
         program shows it. Over\nshared memory the job took {more:.1} times the messages of the job over RPC, where each message \
         is one that the programmer chose.\n\nNext, watch it survive a bad network:  {} run -n 3 --loss 20% --seed 1 -- PROGRAM\n\
         with a program such as target/release/jacobi (cargo build --release -p examples).\n",
        dearer,
        program()
    )
}

/// This program as it was called.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "dsm-node".to_string())
}

fn find(costs: &[Cost], rung: Rung) -> Option<Cost> {
    costs.iter().copied().find(|cost| cost.rung == rung)
}

/// Nanoseconds with a unit that fits.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.1} us", n / 1e3),
        n if n < 1e9 => format!("{:.1} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_a_unit_that_fits() {
        assert_eq!([1.5, 20_300.0, 4.25e6, 1.5e9].map(time), ["1.5 ns", "20.3 us", "4.2 ms", "1.50 s"]);
    }

    #[test]
    fn every_measured_rung_stands_in_the_ladder() {
        let cost = |rung| Cost { rung, count: 1, p10: 1.0, p50: 2.0, p90: 3.0 };
        let text = ladder(&Rung::ALL.map(cost));
        assert!(Rung::ALL.iter().all(|rung| text.contains(rung.words())), "{text}");
    }
}
