//! `dsm-bench rpc`.

use std::path::PathBuf;
use std::time::Duration;

use benches::rpc::report::Report;
use benches::rpc::stack::Stack;
use benches::rpc::{Plan, launch, peers};
use clap::Args;
use yardstick::plan::Calls;

use super::{bar, conclude};

/// Calls: latency, datagrams, calls a second, large results, beside raw sockets and tarpc, tonic, quinn
///
/// Each stack is two processes on this machine, a server and a caller, each bound to its half of the processors. They take turns, in
/// rounds; a figure is the median over its launches, for each percentile. A call of no work carries a number there and back. Calls a
/// second are counted with 1 to 1,000 of them outstanding: by as many threads where calls block, by as many tasks where they are
/// futures (`_async`, tarpc, tonic, quinn). Every answer is checked. A ratio A_to_B is one median over another; beside it stands what
/// it is held to.
///
/// The peers are a program of their own, which is built when they are first asked for.
#[derive(Args)]
pub(crate) struct Rpc {
    /// Rounds in which all stacks take turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    launches: u16,

    /// Calls that are timed one by one in a launch
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    samples: u32,

    /// One short round, for a first look: less than a minute
    #[arg(long, conflicts_with_all = ["launches", "samples"])]
    quick: bool,

    /// Leave out tarpc, tonic and quinn, and build nothing
    #[arg(long)]
    no_peers: bool,

    /// Measure these alone: names as in the figures, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    stacks: Vec<Stack>,

    /// Do not bind processes to their halves of the processors
    #[arg(long)]
    no_pin: bool,

    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Rpc {
    pub(crate) fn run(&self) -> Result<(), String> {
        let stacks = self.chosen();
        let peers = if stacks.iter().any(|stack| stack.is_peer()) { Some(peers::program()?) } else { None };
        let plan = self.plan();
        let bar = bar(plan.launches * stacks.len());
        let measured = launch::measure(&plan, &stacks, peers.as_deref(), |stack| {
            bar.set_message(stack.to_string());
            bar.inc(1);
        })?;
        bar.finish_and_clear();
        let report = Report::new(&plan, &measured);
        conclude(&report.table(), self.json.as_deref(), || report.json())
    }

    fn plan(&self) -> Plan {
        let (launches, samples, results) =
            if self.quick { (1, 200, 5) } else { (self.launches.into(), self.samples as usize, 100) };
        let counting = Duration::from_millis(if self.quick { 50 } else { 300 });
        let calls = Calls { samples, outstanding: vec![1, 8, 64, 1_000], counting, results };
        Plan { launches, calls, pin: !self.no_pin }
    }

    fn chosen(&self) -> Vec<Stack> {
        let all = if self.stacks.is_empty() { &Stack::ALL[..] } else { &self.stacks };
        all.iter().copied().filter(|stack| !(self.no_peers && stack.is_peer())).collect()
    }
}
