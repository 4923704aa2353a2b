//! Contenders that go in and out, and count.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use dsm_core::{Dsm, Error, Placement};

use super::{MutualExclusion, Spread};

/// What the programs can be told.
#[derive(Debug, Clone, Args)]
pub struct Contest {
    /// How often each contender goes in
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub rounds: u64,

    /// Contenders on each node, each a thread; where the algorithm is for two, the first two contend
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub threads: u16,

    /// Put all words of the algorithm on one page, instead of one page each
    #[arg(long)]
    pub one_page: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Who contended.
    pub contenders: usize,
    /// How often anybody was inside.
    pub entries: u64,
    /// What the counter says: each who was inside added one.
    pub counted: u64,
    /// How often one who was inside found another's signature.
    pub intrusions: u64,
    /// From the first entry to the last, on this node.
    pub elapsed: Duration,
}

impl Tally {
    /// Whether there was never more than one inside, as far as can be seen.
    pub fn is_exclusive(&self) -> bool {
        self.counted == self.entries && self.intrusions == 0
    }
}

/// Collective. Lets all contenders in and out, and counts. Every node gets the same figures, but for the time.
///
/// # Errors
/// The memory cannot be had.
pub fn run<'d, M: MutualExclusion<'d>>(dsm: &'d Dsm, contest: &Contest) -> Result<Tally, Error> {
    let threads = usize::from(contest.threads);
    let contenders = (dsm.size() * threads).min(M::CONTENDERS_MAX);
    let spread = if contest.one_page { Spread::OnePage } else { Spread::Pages };
    let door = M::new(dsm, contenders, spread)?;
    // The counter and the visitors' book.
    let inside = dsm.alloc::<u64>(2, Placement::Node(dsm.size() - 1))?;
    let intrusions = dsm.alloc::<u64>(1, Placement::Node(0))?;

    dsm.barrier();
    let start = Instant::now();
    let contend = |me: usize| {
        for _ in 0..contest.rounds {
            door.enter(me);
            let signature = me as u64 + 1;
            inside.set(1, signature);
            inside.set(0, inside.get(0) + 1);
            let alone = inside.get(1) == signature;
            door.leave(me);
            if !alone {
                intrusions.fetch_add(0, 1);
            }
        }
    };
    let first = dsm.rank() * threads;
    thread::scope(|scope| {
        for me in (first..first + threads).filter(|&me| me < contenders) {
            let contend = &contend;
            scope.spawn(move || contend(me));
        }
    });
    let elapsed = start.elapsed();
    dsm.barrier();
    Ok(Tally {
        contenders,
        entries: contest.rounds * contenders as u64,
        counted: inside.get(0),
        intrusions: intrusions.get(0),
        elapsed,
    })
}

/// The program: joins, runs, prints, and fails where two were inside at once. `run` is [`run`] for its algorithm.
pub fn main(name: &str, run: impl FnOnce(&Dsm) -> Result<Tally, Error>) -> ExitCode {
    contend(name, run).unwrap_or_else(|error| {
        eprintln!("{name}: {error}");
        ExitCode::FAILURE
    })
}

fn contend(name: &str, run: impl FnOnce(&Dsm) -> Result<Tally, Error>) -> Result<ExitCode, Error> {
    let dsm = Dsm::join()?;
    let tally = run(&dsm)?;
    if dsm.rank() == 0 {
        let Tally { contenders, entries, counted, intrusions, elapsed } = &tally;
        let each = elapsed.as_secs_f64() * 1e6 / *entries as f64;
        println!("{contenders} contenders, {entries} entries, {each:.1} us each");
        println!("{name}: counted {counted} of {entries}, intrusions {intrusions}");
    }
    dsm.finalize()?;
    Ok(if tally.is_exclusive() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
