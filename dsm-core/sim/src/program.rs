//! What the threads of the simulated nodes do.
//!
//! Every word that is used has either one thread that stores to it, or a lock under which any thread increments it. In both cases
//! the values stored to a word are 1, 2, 3 and so on, each once, which is what lets [`crate::history`] judge a run in linear time.

use std::fmt;

use protocol::{LockId, NodeId, Page};

use crate::random::Random;
use crate::scenario::Scenario;

/// Words of a page that programs use.
const WORDS_USED: usize = 8;

/// A thread of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId {
    /// Its node.
    pub node: NodeId,
    /// Its number there.
    pub thread: usize,
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {}.{}", self.node.rank(), self.thread)
    }
}

/// A word of shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word {
    /// Its page.
    pub page: Page,
    /// Its place in the page, in words.
    pub place: usize,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "word {} of page {}", self.place, self.page.0)
    }
}

/// One step of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Collective: the next segment.
    Allocate(usize),
    /// The node's other threads may begin.
    Begin,
    Load(Word),
    /// The next value of a word that no other thread stores to.
    Store(Word),
    /// One more than what was loaded last, which was this word.
    StoreIncremented(Word),
    Lock(LockId),
    Unlock(LockId),
    /// Collective.
    Barrier,
    /// Wait for the node's other threads.
    Join,
    /// Collective: the end.
    Finalize,
}

impl Operation {
    /// Whether it is a call of the runtime, not just a touch of memory.
    pub fn enters_engine(self) -> bool {
        !matches!(self, Operation::Load(_) | Operation::Store(_) | Operation::StoreIncremented(_))
    }
}

/// The programs of all threads, by node and thread.
pub(crate) fn draw(scenario: &Scenario, random: &mut Random) -> Vec<Vec<Vec<Operation>>> {
    let words = Words::draw(scenario, random);
    let budget = scenario.operations / (scenario.nodes * scenario.threads) as u64 + 1;
    (0..scenario.nodes)
        .map(|node| {
            (0..scenario.threads)
                .map(|thread| {
                    let work = words.work(node * scenario.threads + thread, budget, random);
                    if thread == 0 { with_collectives(scenario, work) } else { work }
                })
                .collect()
        })
        .collect()
}

/// The first thread of a node makes the collective calls for it, and comes to the barriers at even distances.
fn with_collectives(scenario: &Scenario, work: Vec<Operation>) -> Vec<Operation> {
    let mut program: Vec<Operation> = (0..scenario.segments.len()).map(Operation::Allocate).collect();
    program.push(Operation::Begin);
    let distance = work.len() / (scenario.barriers + 1) + 1;
    let (mut passed, mut is_locked) = (0, false);
    for (done, operation) in work.into_iter().enumerate() {
        is_locked =
            (is_locked || matches!(operation, Operation::Lock(_))) && !matches!(operation, Operation::Unlock(_));
        program.push(operation);
        if !is_locked && passed < scenario.barriers && done >= distance * (passed + 1) {
            program.push(Operation::Barrier);
            passed += 1;
        }
    }
    program.extend((passed..scenario.barriers).map(|_| Operation::Barrier));
    program.extend([Operation::Join, Operation::Finalize]);
    program
}

/// Who may store to what.
struct Words {
    /// By page.
    all: Vec<Vec<Word>>,
    /// By thread, counted over all nodes.
    owned: Vec<Vec<Word>>,
    /// By lock.
    guarded: Vec<(LockId, Vec<Word>)>,
}

impl Words {
    fn draw(scenario: &Scenario, random: &mut Random) -> Words {
        let threads = scenario.nodes * scenario.threads;
        let pages: u64 = scenario.segments.iter().map(|(pages, _)| pages).sum();
        let mut owned = vec![Vec::new(); threads];
        let mut guarded: Vec<_> =
            (0..scenario.locks).map(|_| (LockId(random.next() >> random.below(64)), vec![])).collect();
        guarded.sort_unstable_by_key(|(lock, _)| *lock);
        guarded.dedup_by_key(|(lock, _)| *lock);
        let distance = scenario.words_per_page / WORDS_USED;
        let all: Vec<Vec<Word>> = (0..pages)
            .map(|page| (0..WORDS_USED).map(|place| Word { page: Page(page), place: place * distance }).collect())
            .collect();
        for word in all.iter().flatten() {
            if random.chance(0.3) {
                let lock = random.index(guarded.len());
                guarded[lock].1.push(*word);
            } else {
                owned[random.index(threads)].push(*word);
            }
        }
        guarded.retain(|(_, words)| !words.is_empty());
        Words { all, owned, guarded }
    }

    /// About `budget` loads and stores of one thread, in bursts on one page, with some pages hotter than others.
    fn work(&self, thread: usize, budget: u64, random: &mut Random) -> Vec<Operation> {
        let mut work = Vec::new();
        let mut done = 0;
        while done < budget {
            if !self.guarded.is_empty() && random.chance(0.08) {
                let (lock, words) = &self.guarded[random.index(self.guarded.len())];
                let count = random.between(1, 3);
                work.push(Operation::Lock(*lock));
                for _ in 0..count {
                    let word = random.pick(words);
                    work.extend([Operation::Load(word), Operation::StoreIncremented(word)]);
                }
                work.push(Operation::Unlock(*lock));
                done += 2 * count;
                continue;
            }
            let page = random.index(self.all.len()).min(random.index(self.all.len()));
            for _ in 0..random.between(1, 6) {
                let owned = &self.owned[thread];
                let is_store = !owned.is_empty() && random.chance(0.4);
                work.push(if is_store {
                    Operation::Store(random.pick(owned))
                } else {
                    Operation::Load(random.pick(&self.all[page]))
                });
                done += 1;
            }
        }
        work
    }
}
