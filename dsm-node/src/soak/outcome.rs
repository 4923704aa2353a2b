//! What every shared word must hold at each barrier: known before the round begins, because no thread's choices depend on what
//! it loads.

use super::plan::{ATOMICS_MAX, LOCKS_MAX, Operation, Plan, WRITERS_MAX};

/// Words of a page.
const WORDS_PER_PAGE: usize = dsm_core::PAGE_BYTES / 8;

/// A word that is counted: which one, so that its value can be told and its place found. All kinds lie mixed on the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// Of a writer, in a page.
    Own {
        /// The page.
        page: usize,
        /// Whose.
        writer: usize,
    },
    /// What a writer tells.
    Datum(usize),
    /// That it has told.
    Flag(usize),
    /// One of the two words of a lock.
    Guarded {
        /// The lock.
        lock: usize,
        /// Which of the two.
        second: bool,
    },
    /// For additions.
    Added(usize),
    /// For compare-and-swap.
    Swapped(usize),
    /// Whether this round is the last.
    Stop,
}

impl Word {
    /// Where it lies in an array of so many pages.
    pub fn index(self, pages: usize) -> usize {
        const DATA: usize = WRITERS_MAX;
        const FLAGS: usize = DATA + WRITERS_MAX;
        const FIRSTS: usize = FLAGS + WRITERS_MAX;
        const SECONDS: usize = FIRSTS + LOCKS_MAX;
        const ADDED: usize = SECONDS + LOCKS_MAX;
        const SWAPPED: usize = ADDED + ATOMICS_MAX;
        const STOP: usize = SWAPPED + ATOMICS_MAX;
        let (page, slot) = match self {
            Word::Own { page, writer } => (page, writer),
            Word::Datum(writer) => (writer, DATA + writer),
            Word::Flag(writer) => (writer + 1, FLAGS + writer),
            Word::Guarded { lock, second: false } => (2 * lock, FIRSTS + lock),
            Word::Guarded { lock, second: true } => (3 * lock + 1, SECONDS + lock),
            Word::Added(word) => (5 * word, ADDED + word),
            Word::Swapped(word) => (5 * word + 2, SWAPPED + word),
            Word::Stop => (0, STOP),
        };
        page % pages * WORDS_PER_PAGE + slot
    }
}

/// How many words an array of so many pages has.
pub fn words(pages: usize) -> usize {
    pages * WORDS_PER_PAGE
}

/// The values of all counted words at a barrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pages: usize,
    values: Vec<u64>,
}

impl Outcome {
    /// Before the first round.
    pub fn start(plan: &Plan) -> Outcome {
        Outcome { pages: plan.pages, values: vec![0; words(plan.pages)] }
    }

    /// After `round`, if this is the state before it.
    pub fn after(&self, plan: &Plan, round: u64) -> Outcome {
        let mut after = self.clone();
        for writer in 0..plan.writers() {
            for operation in plan.operations(writer, round) {
                after.perform(writer, operation);
            }
        }
        after
    }

    /// What this word holds.
    pub fn of(&self, word: Word) -> u64 {
        self.values.get(word.index(self.pages)).copied().unwrap_or_default()
    }

    /// What each word of the array holds.
    pub fn values(&self) -> &[u64] {
        &self.values
    }

    /// One operation of a thread.
    pub fn perform(&mut self, writer: usize, operation: Operation) {
        match operation {
            Operation::Bump(page) => self.add(Word::Own { page, writer }, 1),
            Operation::Tell => {
                self.add(Word::Datum(writer), 1);
                self.add(Word::Flag(writer), 1);
            }
            Operation::Guarded { lock, amount } => {
                self.add(Word::Guarded { lock, second: false }, amount);
                self.add(Word::Guarded { lock, second: true }, amount);
            }
            Operation::Add { word, amount } => self.add(Word::Added(word), amount),
            Operation::Swap(word) => self.add(Word::Swapped(word), 1),
            Operation::Look { .. } | Operation::Hear(_) | Operation::Rest => {}
        }
    }

    fn add(&mut self, word: Word, amount: u64) {
        if let Some(value) = self.values.get_mut(word.index(self.pages)) {
            *value += amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_words_share_a_place() {
        for pages in [1, 2, 3, 7, 24] {
            let own = (0..pages).flat_map(|page| (0..WRITERS_MAX).map(move |writer| Word::Own { page, writer }));
            let told = (0..WRITERS_MAX).flat_map(|writer| [Word::Datum(writer), Word::Flag(writer)]);
            let guarded = (0..LOCKS_MAX).flat_map(|lock| [false, true].map(|second| Word::Guarded { lock, second }));
            let atomic = (0..ATOMICS_MAX).flat_map(|word| [Word::Added(word), Word::Swapped(word)]);
            let all: Vec<Word> = own.chain(told).chain(guarded).chain(atomic).chain([Word::Stop]).collect();
            let places: BTreeSet<usize> = all.iter().map(|word| word.index(pages)).collect();
            assert_eq!(places.len(), all.len());
            assert!(places.iter().all(|&place| place < words(pages)));
        }
    }

    #[test]
    fn a_round_adds_what_its_threads_do() {
        let plan = Plan::draw(1);
        let before = Outcome::start(&plan);
        let after = before.after(&plan, 0);
        let tells = plan.operations(0, 0).filter(|operation| *operation == Operation::Tell).count();
        assert_eq!((after.of(Word::Datum(0)), after.of(Word::Flag(0))), (tells as u64, tells as u64));
        assert_eq!(before.of(Word::Stop) + after.of(Word::Stop), 0);
        assert_ne!(after.after(&plan, 1), after);
    }
}
