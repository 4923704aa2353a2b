//! The travelling salesman by branch and bound ([`crate::tsp`]): a queue of tasks that each node takes from, and the length of the best tour
//! so far, one number at which everybody looks all the time and which changes seldom.

use std::cell::Cell;

use dsm_core::{Dsm, Placement, SharedArray};

use super::desk::{Desk, Held};
use super::{Form, Outcome, Over, PAGE, Pair, PairError, measured, mixed, timed};
use crate::tsp::{Best, Instance, LocalBest, Prefix, Problem};

/// Cities of a tour.
const CITIES: u64 = 12;
/// Rounds of the ascent that tightens the bound: few, so that something is left to search.
const ASCENT: usize = 2;
/// Cities that a task fixes.
const DEPTH: usize = 2;
/// Tasks that a good client asks for at a time.
const BATCH: u32 = 8;

/// The job.
pub const PAIR: Pair = Pair {
    name: "salesman",
    shows: "a queue, and a number that everybody looks at",
    unit: "tours to find",
    size: 20,
    quick_size: 2,
    forms: &[
        Form {
            name: "dsm-naive",
            over: Over::Dsm,
            what: "queue and best length on one page, a lock for each look",
            items: &["struct Words", "impl Best for Words<'_>", "fn over_memory"],
            run: |dsm, size| over_memory(dsm, size, 1),
        },
        Form {
            name: "dsm",
            over: Over::Dsm,
            what: "each on a page of its own, looked at without a lock",
            items: &["struct Words", "impl Best for Words<'_>", "fn over_memory"],
            run: |dsm, size| over_memory(dsm, size, PAGE),
        },
        Form {
            name: "rpc-naive",
            over: Over::Rpc,
            what: "a call for each task and for each look",
            items: CALLS,
            run: |dsm, size| call(dsm, size, 1),
        },
        Form {
            name: "rpc",
            over: Over::Rpc,
            what: "a call for 8 tasks, the best length comes with them",
            items: CALLS,
            run: |dsm, size| call(dsm, size, BATCH),
        },
    ],
    source: include_str!("salesman.rs"),
    answer: |_, size| Search::all(size).iter().map(Search::alone).sum(),
    plain: |_, size| {
        let searches = Search::all(size);
        timed(|| searches.iter().map(Search::alone).sum())
    },
};

const CALLS: &[&str] =
    &["trait Tours", "struct Owner", "impl Tours for Owner", "struct Known", "impl Best for Known<'_>", "fn call"];

/// One tour to find. Every node makes the same.
struct Search {
    problem: Problem,
    tasks: Vec<Prefix>,
}

impl Search {
    fn all(size: u64) -> Vec<Search> {
        (0..size).map(Search::new).collect()
    }

    /// Cities on a square, anywhere.
    fn new(number: u64) -> Search {
        let place =
            |city: u64| (mixed((number << 32) + 2 * city) % 1_000, mixed((number << 32) + 2 * city + 1) % 1_000);
        let distance = |(a, b): (u64, u64)| {
            let ((ax, ay), (bx, by)) = (place(a), place(b));
            (ax.abs_diff(bx).pow(2) + ay.abs_diff(by).pow(2)).isqrt() as u32
        };
        let pairs = (0..CITIES).flat_map(|a| (0..CITIES).map(move |b| (a, b)));
        let instance = Instance::new(format!("square{number}"), CITIES as usize, pairs.map(distance).collect());
        let problem = Problem::new(instance, ASCENT);
        let tasks = problem.tasks(DEPTH);
        Search { problem, tasks }
    }

    fn first_length(&self) -> u64 {
        self.problem.first_tour().0.into()
    }

    fn alone(&self) -> u64 {
        let best = LocalBest::new(self.problem.first_tour());
        for task in &self.tasks {
            self.problem.search(*task, &best);
        }
        best.into_inner().0.into()
    }
}

/// What is shared of one search: how many tasks were taken, and the best length.
struct Words<'d> {
    dsm: &'d Dsm,
    words: SharedArray<'d, u64>,
    taken: usize,
    best: usize,
    locked: bool,
}

impl Best for Words<'_> {
    /// The length only ever falls: an old one costs some search, and never the answer.
    fn limit(&self) -> u32 {
        let _held = self.locked.then(|| self.dsm.lock(0));
        self.words.get(self.best) as u32
    }

    fn offer(&self, length: u32, _tour: &[u8]) {
        let _held = self.dsm.lock(0);
        if u64::from(length) < self.words.get(self.best) {
            self.words.set(self.best, length.into());
        }
    }
}

/// The words of a search lie `spacing` apart.
fn over_memory(dsm: &Dsm, size: u64, spacing: usize) -> Result<Outcome, PairError> {
    let searches = Search::all(size);
    let words = dsm.alloc::<u64>(2 * searches.len() * spacing, Placement::Node(0))?;
    let words_of = |number: usize| {
        let taken = 2 * number * spacing;
        Words { dsm, words, taken, best: taken + spacing, locked: spacing == 1 }
    };
    if dsm.rank() == 0 {
        (0..).zip(&searches).for_each(|(number, search)| words.set(words_of(number).best, search.first_length()));
    }
    measured(dsm, || {
        for (number, search) in searches.iter().enumerate() {
            let shared = words_of(number);
            while let Some(task) = search.tasks.get(words.fetch_add(shared.taken, 1) as usize) {
                search.problem.search(*task, &shared);
            }
        }
        dsm.barrier();
        let best = |number| words.get(words_of(number).best);
        Ok(if dsm.rank() == 0 { (0..searches.len()).map(best).sum() } else { 0 })
    })
}

/// Who has the queues and the best lengths.
#[rpc::service]
pub trait Tours {
    /// The best length of a search so far.
    #[rpc(inline)]
    fn best(&self, search: u32) -> u32;
    /// A tour of this length was found. Gives the best length.
    #[rpc(inline)]
    fn offer(&self, search: u32, length: u32) -> u32;
    /// So many tasks of a search, by number from the first to before the second, and the best length.
    #[rpc(inline)]
    fn take(&self, search: u32, count: u32) -> (u32, u32, u32);
}

/// For each search how many tasks were taken, and the best length.
struct Owner {
    searches: Held<Vec<(u32, u32)>>,
}

impl Tours for Owner {
    fn best(&self, search: u32) -> u32 {
        self.searches.lock().get(search as usize).map_or(0, |(_, best)| *best)
    }

    fn offer(&self, search: u32, length: u32) -> u32 {
        let mut searches = self.searches.lock();
        let Some((_, best)) = searches.get_mut(search as usize) else { return 0 };
        *best = length.min(*best);
        *best
    }

    fn take(&self, search: u32, count: u32) -> (u32, u32, u32) {
        let mut searches = self.searches.lock();
        let Some((taken, best)) = searches.get_mut(search as usize) else { return (0, 0, 0) };
        let first = *taken;
        *taken = first.saturating_add(count);
        (first, *taken, *best)
    }
}

/// The best length of a search as this node knows it.
struct Known<'c> {
    tours: &'c ToursClient,
    search: u32,
    best: Cell<u32>,
    asks: bool,
    failed: Cell<Option<rpc::CallError>>,
}

impl Known<'_> {
    /// Nothing beats 0: after a failure the search comes back at once.
    fn learn(&self, best: Result<u32, rpc::CallError>) -> u32 {
        self.best.set(best.unwrap_or_else(|error| {
            self.failed.set(Some(error));
            0
        }));
        self.best.get()
    }
}

impl Best for Known<'_> {
    fn limit(&self) -> u32 {
        if self.asks && self.best.get() > 0 { self.learn(self.tours.best(self.search)) } else { self.best.get() }
    }

    fn offer(&self, length: u32, _tour: &[u8]) {
        self.learn(self.tours.offer(self.search, length));
    }
}

fn call(dsm: &Dsm, size: u64, batch: u32) -> Result<Outcome, PairError> {
    let searches = Search::all(size);
    let begun = || searches.iter().map(|search| (0, search.first_length() as u32)).collect();
    let desk = Desk::open(dsm, || ToursServer::new(Owner { searches: Held::new(begun()) }))?;
    let tours = ToursClient::new(desk.client());
    desk.measured(dsm, || {
        for (number, search) in (0..).zip(&searches) {
            loop {
                let (first, end, best) = tours.take(number, batch)?;
                let tasks = search.tasks.get(first as usize..).unwrap_or_default();
                if tasks.is_empty() {
                    break;
                }
                let (best, failed) = (Cell::new(best), Cell::new(None));
                let known = Known { tours: &tours, search: number, best, asks: batch == 1, failed };
                for task in tasks.iter().take((end - first) as usize) {
                    search.problem.search(*task, &known);
                }
                known.failed.take().map_or(Ok(()), Err)?;
            }
        }
        dsm.barrier();
        if dsm.rank() > 0 {
            return Ok(0);
        }
        (0..searches.len() as u32).map(|number| Ok(u64::from(tours.best(number)?))).sum()
    })
}
