//! The travelling salesman over shared memory: queue and best bound are words that every node reads and writes.
//!
//! Reading the best bound costs nothing while nobody changes it: every node has a copy of the page, and loads the word
//! as if it were its own. When a node finds a better tour, its store invalidates the copies, and each of the others
//! pays one remote read, once, at its next load.

use dsm_core::{Dsm, Error, Placement, SharedArray};

use super::{Best, Prefix, Problem, Report};
use crate::figures::{Meter, Totals};

/// Holds the queue still while a task is taken.
const QUEUE_LOCK: u64 = 0;
/// Holds the best tour still while it is compared and replaced.
const BEST_LOCK: u64 = 1;

/// Collective: every node with the same problem and `depth`. Node 0 gets the report, the others none.
///
/// # Errors
/// The memory cannot be had.
pub fn run(dsm: &Dsm, problem: &Problem, depth: usize) -> Result<Option<Report>, Error> {
    let queue = Queue {
        dsm,
        // The head moves with every task and the tasks never change, so they are arrays, and pages, of their own.
        head: dsm.alloc(1, Placement::Node(0))?,
        tasks: dsm.alloc(problem.tasks_max(depth), Placement::Node(0))?,
    };
    let best = SharedBest {
        dsm,
        length: dsm.alloc(1, Placement::Node(0))?,
        tour: dsm.alloc(problem.instance().cities(), Placement::Node(0))?,
    };

    let meter = Meter::start(dsm);
    let mut tasks = 0;
    if dsm.rank() == 0 {
        let (length, tour) = problem.first_tour();
        best.put(length, &tour);
        let words: Vec<u64> = problem.tasks(depth).into_iter().map(Prefix::to_word).collect();
        queue.tasks.write(0, &words);
        tasks = words.len();
    }
    dsm.barrier();

    let mut expanded = 0;
    while let Some(prefix) = queue.take() {
        expanded += problem.search(prefix, &best);
    }
    let cost = meter.stop(dsm, expanded, Totals::default())?;

    if dsm.rank() != 0 {
        return Ok(None);
    }
    let (length, tour) = best.get();
    Ok(Some(Report {
        length,
        tour,
        expanded: cost.work,
        tasks,
        workers: dsm.size(),
        elapsed: cost.elapsed,
        messages: cost.total().messages,
        bytes: cost.total().bytes,
    }))
}

/// The tasks, and how many of them have been taken. Memory is zero at first and no task is, so a zero ends the list.
struct Queue<'d> {
    dsm: &'d Dsm,
    head: SharedArray<'d, u64>,
    tasks: SharedArray<'d, u64>,
}

impl Queue<'_> {
    fn take(&self) -> Option<Prefix> {
        let _held = self.dsm.lock(QUEUE_LOCK);
        let head = self.head.get(0);
        let index = usize::try_from(head).ok().filter(|&index| index < self.tasks.len())?;
        let word = self.tasks.get(index);
        if word == 0 {
            return None;
        }
        self.head.set(0, head + 1);
        Some(Prefix::from_word(word))
    }
}

/// The best tour of all nodes.
struct SharedBest<'d> {
    dsm: &'d Dsm,
    length: SharedArray<'d, u64>,
    tour: SharedArray<'d, u8>,
}

impl SharedBest<'_> {
    fn put(&self, length: u32, tour: &[u8]) {
        self.tour.write(0, tour);
        self.length.set(0, length.into());
    }

    fn get(&self) -> (u32, Vec<u8>) {
        let mut tour = vec![0; self.tour.len()];
        self.tour.read(0, &mut tour);
        (self.limit(), tour)
    }
}

impl Best for SharedBest<'_> {
    /// Without the lock: the length only ever falls, so whatever is read is some node's real tour, at worst not the
    /// newest. That costs a little search and never the answer; a lock for every node of the tree would cost
    /// everything.
    fn limit(&self) -> u32 {
        u32::try_from(self.length.get(0)).unwrap_or(u32::MAX)
    }

    /// With the lock: to compare and to replace must be one step, and length and tour must stay together.
    fn offer(&self, length: u32, tour: &[u8]) {
        let _held = self.dsm.lock(BEST_LOCK);
        if length < self.limit() {
            self.put(length, tour);
        }
    }
}
