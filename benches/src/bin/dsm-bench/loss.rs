//! `dsm-bench loss`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use benches::figure::Figure;
use benches::loss::report::{Config, OURS, Report};
use benches::loss::{corrupted, increments, lines, long_call, overload};
use benches::rpc::peers;
use benches::rpc::stack::{Congestion, Peer, Stack};
use clap::{Args, ValueEnum};

use super::{bar, conclude};

/// Increments without suppression, also in a quick round. Calls that are made together share datagrams, on a busy machine dozens of them, and
/// one datagram in ten comes twice: of a thousand calls it may be none.
const BARE: u64 = 10_000;

/// Loss, damage, crashes, long calls and overload: goodput beside TCP and QUIC, and what ran how often
///
/// `lines`: large results over a line of 100 Mbit/s and 10 ms there and back, of whose packets 0, 1, 5 and 20 in a hundred are lost by
/// chance, alike for ours, TCP (with CUBIC, and with BBR where the kernel has it) and QUIC: one seeded process carries packets between two TUN devices in network namespaces. That takes
/// root, and the program of the peers, which is built when it is first asked for; with --no-peers ours alone goes through a relay
/// of UDP datagrams.
/// `increments`: calls that must not run twice, at 20 % loss, 10 % duplication and 10 % reordering, while the server is killed and
/// started again; a ledger outside of the server says how often each ran. Ten thousand of them once more, to a server that does not
/// suppress duplicates.
/// `corrupted`: damaged datagrams by the million, offered to an open session.
/// `long-call`: one call that takes 30 seconds, and one whose server is killed.
/// `overload`: ten times more calls than the server can serve.
#[derive(Args)]
pub(crate) struct Loss {
    /// Rounds in which stacks and losses take turns
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    launches: u16,

    /// Increments that must not run twice
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10..=100_000_000))]
    increments: u64,

    /// Times that their server is killed
    #[arg(long, value_name = "N", default_value_t = 10)]
    restarts: u64,

    /// Datagrams to damage
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    corrupted: u64,

    /// Decides what is lost, duplicated, reordered and damaged
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// All of it in small: less than a minute
    #[arg(long, conflicts_with_all = ["launches", "increments", "restarts", "corrupted"])]
    quick: bool,

    /// Leave out TCP and quinn, build nothing, and do without root
    #[arg(long)]
    no_peers: bool,

    /// Do these alone, separated by commas
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    only: Vec<Part>,

    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// See [`Loss`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Lines,
    Increments,
    Corrupted,
    LongCall,
    Overload,
}

impl Loss {
    pub(crate) fn run(&self) -> Result<(), String> {
        let mut figures = Vec::new();
        let launches = if self.quick { 1 } else { self.launches.into() };
        for part in Part::value_variants().iter().filter(|part| self.only.is_empty() || self.only.contains(part)) {
            figures.extend(match part {
                Part::Lines => self.lines(launches)?,
                Part::Increments => self.increments()?,
                Part::Corrupted => self.corrupted()?,
                Part::LongCall => {
                    let takes = Duration::from_secs(if self.quick { 2 } else { 30 });
                    eprintln!("a call of {} seconds, and one whose server is killed", takes.as_secs());
                    long_call::measure(takes)?
                }
                Part::Overload => overload::measure(Duration::from_millis(if self.quick { 500 } else { 3_000 }))?,
            });
        }
        let line = if self.no_peers { "a relay of UDP datagrams" } else { "two TUN devices in network namespaces" };
        let report = Report::new(Config::new(launches, self.seed, line), figures);
        conclude(&report.table(), self.json.as_deref(), || report.json())
    }

    fn lines(&self, launches: usize) -> Result<Vec<Figure>, String> {
        let counting = Duration::from_millis(if self.quick { 1_000 } else { 4_000 });
        let plan = lines::Plan { launches, counting, seed: self.seed };
        let ours: Stack = OURS.parse()?;
        let peers = if self.no_peers { None } else { Some(peers::program()?) };
        let stacks = match &peers {
            Some(_) => {
                let tcp = [Congestion::Cubic, Congestion::Bbr].into_iter().filter(|control| lines::has(*control));
                let tcp: Vec<Stack> = tcp.map(Stack::Tcp).collect();
                [vec![ours], tcp, vec![Stack::Peer(Peer::Quinn)]].concat()
            }
            None => vec![ours],
        };
        let bar = bar(plan.launches * lines::LOSSES.len() * stacks.len());
        let mut figures: BTreeMap<String, Vec<Figure>> = BTreeMap::new();
        for round in 0..plan.launches {
            for loss in lines::LOSSES {
                for &stack in &stacks {
                    bar.set_message(format!("{stack}, {loss} % loss"));
                    bar.inc(1);
                    let measured = match &peers {
                        Some(peers) => lines::over_devices(plan, stack, loss, round, peers)?,
                        None => lines::relay::over_sockets(plan, stack, loss, round)?,
                    };
                    for figure in measured {
                        figures.entry(figure.name.clone()).or_default().push(figure);
                    }
                }
            }
        }
        bar.finish_and_clear();
        Ok(figures.values().filter_map(|launches| Figure::median(launches)).collect())
    }

    fn increments(&self) -> Result<Vec<Figure>, String> {
        let (increments, restarts) = if self.quick { (5_000, 2) } else { (self.increments, self.restarts) };
        let measure = |plan: increments::Plan| {
            let bar = bar(plan.increments as usize);
            bar.set_message("increments");
            let figures = increments::measure(plan, |done| bar.set_position(done));
            bar.finish_and_clear();
            figures
        };
        let plan = increments::Plan { increments, restarts, seed: self.seed, suppress_duplicates: true };
        let bare = increments::Plan { increments: BARE, restarts: 0, suppress_duplicates: false, ..plan };
        Ok([measure(plan)?, measure(bare)?].concat())
    }

    fn corrupted(&self) -> Result<Vec<Figure>, String> {
        let count = if self.quick { 200_000 } else { self.corrupted };
        let bar = bar(count as usize);
        bar.set_message("damaged datagrams");
        let figures = corrupted::measure(count, self.seed, |offered| bar.set_position(offered));
        bar.finish_and_clear();
        figures
    }
}
