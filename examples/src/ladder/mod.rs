//! The ladder of costs: what one access to shared memory takes, from a load of what is here to a page that two processes fight
//! over, and a raw UDP round trip beside them.
//!
//! Node 0 measures, node 1 has written the pages, node 2, where there is one, is the home of some that node 1 wrote. Pages are
//! visited in a shuffled order, so that nothing can guess the next, and what was read is checked after the clock has stopped.

mod udp;

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;
use std::time::Instant;

use dsm_core::{Dsm, Error, PAGE_BYTES, Placement, SharedArray};

/// How many nodes the whole ladder takes; with two there is no [`Rung::ForwardedRead`].
pub const NODES: usize = 3;

const WORDS_PER_PAGE: usize = PAGE_BYTES / 8;

/// One kind of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// A load of a page that is here.
    CachedLoad,
    /// First touch of a page that nobody wrote, at its home.
    FirstTouch,
    /// A read whose page comes from its home.
    RemoteRead,
    /// The same read again.
    SameReadAgain,
    /// A read whose home sends it on to the owner, a third process.
    ForwardedRead,
    /// A write that invalidates a reader's copy.
    WriteInvalidates,
    /// Two processes write one word in turn: one turn.
    Fight,
    /// All nodes meet.
    Barrier,
    /// A lock that another node had last.
    RemoteLock,
    /// A raw UDP round trip, both sides asleep while they wait.
    UdpSleeping,
    /// A raw UDP round trip, both sides polling.
    UdpPolling,
}

impl Rung {
    /// All, from the bottom up, the raw round trips last.
    pub const ALL: [Rung; 11] = [
        Rung::CachedLoad,
        Rung::SameReadAgain,
        Rung::FirstTouch,
        Rung::RemoteRead,
        Rung::ForwardedRead,
        Rung::WriteInvalidates,
        Rung::RemoteLock,
        Rung::Barrier,
        Rung::Fight,
        Rung::UdpPolling,
        Rung::UdpSleeping,
    ];

    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Rung::CachedLoad => "load of a page that is here",
            Rung::SameReadAgain => "the fetched page read again",
            Rung::FirstTouch => "first touch of a page nobody wrote",
            Rung::RemoteRead => "read fetched from another process",
            Rung::ForwardedRead => "read fetched through its home from a third",
            Rung::WriteInvalidates => "write that invalidates a reader's copy",
            Rung::Fight => "two processes write one page in turn, a turn",
            Rung::Barrier => "barrier of all processes",
            Rung::RemoteLock => "lock that another process had last",
            Rung::UdpPolling => "raw UDP round trip, both sides polling",
            Rung::UdpSleeping => "raw UDP round trip, both sides sleeping",
        }
    }

    fn name(self) -> String {
        format!("{self:?}")
    }
}

/// What a rung costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Which.
    pub rung: Rung,
    /// How many were measured.
    pub count: usize,
    /// Nanoseconds that a tenth of them stayed below.
    pub p10: f64,
    /// Nanoseconds that half of them stayed below.
    pub p50: f64,
    /// Nanoseconds that nine tenths of them stayed below.
    pub p90: f64,
}

impl Cost {
    /// Sorts `nanoseconds` and reads off the percentiles. At least one is needed.
    fn of(rung: Rung, mut nanoseconds: Vec<f64>) -> Cost {
        nanoseconds.sort_by(f64::total_cmp);
        let at = |tenths: usize| nanoseconds.get(nanoseconds.len() * tenths / 10).copied().unwrap_or(f64::NAN);
        Cost { rung, count: nanoseconds.len(), p10: at(1), p50: at(5), p90: at(9) }
    }
}

/// One line for a machine to read; [`Cost::from_str`] is its inverse.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { rung, count, p10, p50, p90 } = self;
        write!(f, "{} {count} {p10:.2} {p50:.2} {p90:.2}", rung.name())
    }
}

impl FromStr for Cost {
    type Err = String;

    fn from_str(line: &str) -> Result<Cost, String> {
        let wrong = || format!("`{line}` is no rung of the ladder");
        let mut words = line.split(' ');
        let name = words.next().ok_or_else(wrong)?;
        let rung = Rung::ALL.into_iter().find(|rung| rung.name() == name).ok_or_else(wrong)?;
        let count = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
        let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong);
        Ok(Cost { rung, count, p10: number()?, p50: number()?, p90: number()? })
    }
}

/// Measures every rung, `samples` times where an access can be had only once. Collective, for two nodes at least; node 0 gets the
/// costs, in the order in which they were measured, through `report`.
///
/// # Errors
///
/// Too few nodes, no memory, a page that shows something else than what was stored: a sentence for the user.
pub fn climb(dsm: &Dsm, samples: usize, report: impl Fn(Cost)) -> Result<(), String> {
    if dsm.size() < 2 {
        return Err("the ladder needs at least two nodes: dsm-node run -n 3 -- ...".to_string());
    }
    let climber = Climber { dsm, order: shuffled(samples), report: &report };
    climber.first_touch().map_err(|error| error.to_string())?;
    climber.remote().map_err(|error| error.to_string())??;
    if dsm.size() >= NODES {
        climber.forwarded().map_err(|error| error.to_string())??;
    }
    climber.synchronise(samples);
    climber.fight(samples).map_err(|error| error.to_string())?;
    climber.udp(samples)
}

struct Climber<'a> {
    dsm: &'a Dsm,
    order: Vec<usize>,
    report: &'a dyn Fn(Cost),
}

impl Climber<'_> {
    fn first_touch(&self) -> Result<(), Error> {
        let pages = self.pages(Placement::Node(0))?;
        if self.dsm.rank() == 0 {
            let touched = self.each_page(|index| consume(pages.get(index)));
            (self.report)(Cost::of(Rung::FirstTouch, touched));
        }
        self.dsm.barrier();
        Ok(())
    }

    /// Node 1 writes pages that it is the home of; node 0 reads them, reads them again, and writes them.
    fn remote(&self) -> Result<Result<(), String>, Error> {
        let pages = self.written_by_node_1(Placement::Node(1))?;
        let mut right = Ok(());
        if self.dsm.rank() == 0 {
            let mut seen = vec![0; self.order.len()];
            let fetched = self.each_page(|index| seen[index / WORDS_PER_PAGE] = pages.get(index));
            right = expect_written(&seen);
            (self.report)(Cost::of(Rung::RemoteRead, fetched));
            self.again(pages);
            let written = self.each_page(|index| pages.set(index, 0));
            (self.report)(Cost::of(Rung::WriteInvalidates, written));
        }
        self.dsm.barrier();
        Ok(right)
    }

    /// A load takes less than looking at the clock: many together.
    fn again(&self, pages: SharedArray<'_, u64>) {
        const LAPS: usize = 20;
        let batches = |load: &dyn Fn(usize)| -> Vec<f64> {
            let lap = || {
                let start = Instant::now();
                self.order.iter().for_each(|&page| load(page));
                start.elapsed().as_nanos() as f64 / self.order.len() as f64
            };
            (0..LAPS).map(|_| lap()).collect()
        };
        let again = batches(&|page| consume(pages.get(page * WORDS_PER_PAGE)));
        let cached = batches(&|page| consume(pages.get(page % WORDS_PER_PAGE)));
        (self.report)(Cost::of(Rung::SameReadAgain, again));
        (self.report)(Cost::of(Rung::CachedLoad, cached));
    }

    fn forwarded(&self) -> Result<Result<(), String>, Error> {
        let pages = self.written_by_node_1(Placement::Node(2))?;
        let mut right = Ok(());
        if self.dsm.rank() == 0 {
            let mut seen = vec![0; self.order.len()];
            let fetched = self.each_page(|index| seen[index / WORDS_PER_PAGE] = pages.get(index));
            right = expect_written(&seen);
            (self.report)(Cost::of(Rung::ForwardedRead, fetched));
        }
        self.dsm.barrier();
        Ok(right)
    }

    /// Locks whose token is at node 1, and barriers.
    fn synchronise(&self, samples: usize) {
        let (nodes, me) = (self.dsm.size() as u64, self.dsm.rank());
        let timed = |work: &dyn Fn(u64)| -> Vec<f64> {
            let one = |index| {
                let start = Instant::now();
                work(index);
                start.elapsed().as_nanos() as f64
            };
            (0..samples as u64).map(one).collect()
        };
        // The home of lock n is node n mod nodes, and a token that nobody used is at home.
        if me == 0 {
            let locked = timed(&|index| self.dsm.acquire(index * nodes + 1));
            (self.report)(Cost::of(Rung::RemoteLock, locked));
        }
        self.dsm.barrier();
        let met = timed(&|_| self.dsm.barrier());
        if me == 0 {
            (self.report)(Cost::of(Rung::Barrier, met));
        }
    }

    /// Nodes 0 and 1 write one word in turn: each waits until it shows the other's number.
    fn fight(&self, turns: usize) -> Result<(), Error> {
        let word = self.dsm.alloc::<u64>(1, Placement::Node(0))?;
        let me = self.dsm.rank() as u64;
        let mut took = Vec::with_capacity(turns);
        if me < 2 {
            for turn in 0..turns as u64 {
                let (start, mine) = (Instant::now(), 2 * turn + me);
                while word.get(0) != mine {
                    // The other node, and both engines, may need this processor.
                    std::thread::yield_now();
                }
                word.set(0, mine + 1);
                // Two turns, mine and the other's.
                took.push(start.elapsed().as_nanos() as f64 / 2.0);
            }
        }
        self.dsm.barrier();
        if me == 0 {
            (self.report)(Cost::of(Rung::Fight, took));
        }
        Ok(())
    }

    fn udp(&self, samples: usize) -> Result<(), String> {
        let port = self.dsm.alloc::<u64>(2, Placement::Node(0)).map_err(|error| error.to_string())?;
        for (rung, polling) in [(Rung::UdpPolling, true), (Rung::UdpSleeping, false)] {
            if let Some(took) = udp::round_trips(self.dsm, port, samples, polling).map_err(|error| error.to_string())? {
                (self.report)(Cost::of(rung, took));
            }
        }
        Ok(())
    }

    fn pages(&self, placement: Placement) -> Result<SharedArray<'_, u64>, Error> {
        self.dsm.alloc(self.order.len() * WORDS_PER_PAGE, placement)
    }

    fn written_by_node_1(&self, placement: Placement) -> Result<SharedArray<'_, u64>, Error> {
        let pages = self.pages(placement)?;
        if self.dsm.rank() == 1 {
            (0..self.order.len()).for_each(|page| pages.set(page * WORDS_PER_PAGE, written(page)));
        }
        self.dsm.barrier();
        Ok(pages)
    }

    /// The time that `access` takes for the first word of each page, in nanoseconds, in shuffled order.
    fn each_page(&self, mut access: impl FnMut(usize)) -> Vec<f64> {
        let mut timed = |page: usize| {
            let start = Instant::now();
            access(page * WORDS_PER_PAGE);
            start.elapsed().as_nanos() as f64
        };
        self.order.iter().map(|&page| timed(page)).collect()
    }
}

/// Has the compiler believe that the value is needed.
fn consume(value: u64) {
    let _ = black_box(value);
}

/// What node 1 stores in a page, different for each.
fn written(page: usize) -> u64 {
    (page as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn expect_written(seen: &[u64]) -> Result<(), String> {
    match seen.iter().enumerate().find(|(page, value)| **value != written(*page)) {
        Some((page, value)) => Err(format!("page {page} showed {value:#x}, and {:#x} was stored", written(page))),
        None => Ok(()),
    }
}

/// The numbers below `count` in an order that looks random and is always the same: Fisher and Yates' shuffle, driven by Knuth's
/// MMIX generator.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 42u64;
    for last in (1..count).rev() {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        order.swap(last, (state >> 33) as usize % (last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_survives_its_line() {
        for rung in Rung::ALL {
            let cost = Cost::of(rung, (1..=100).map(f64::from).collect());
            assert_eq!((cost.p10, cost.p50, cost.p90), (11.0, 51.0, 91.0));
            assert_eq!(cost.to_string().parse(), Ok(cost));
        }
        assert!("".parse::<Cost>().is_err());
        assert!("RemoteRead 1 2".parse::<Cost>().is_err());
        assert!("Nonsense 1 2 3 4".parse::<Cost>().is_err());
    }

    #[test]
    fn a_shuffle_keeps_every_number() {
        let mut order = shuffled(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }
}
