//! Was it sequentially consistent? Judges what the threads saw, and nothing else.
//!
//! A history is sequentially consistent (Lamport 1979) when there is one order of all its operations in which each thread's
//! operations stand in the order of its program and each load gives the value of the last store before it. In general it takes
//! exponential time to find that out (Gibbons and Korach 1997), because it is unknown which store a load has read, and in what
//! order the stores to one word came. Here both are known: the stores to a word write 1, 2, 3 and so on, each value once
//! (the simulated programs see to that). What remains is to order a graph, whose edges are
//!
//! - *program order*: from each operation of a thread to its next;
//! - *reads-from*: from the store of a value to each load of it;
//! - *coherence*: from the store of a value to the store of the next value to the word;
//! - *from-reads*: from each load of a value to the store of the next value to the word;
//! - *synchronisation*: from each release of a lock to its next acquisition, and from each arrival at a barrier to each
//!   departure from it.
//!
//! The history is sequentially consistent, locks and barriers included, if and only if this graph has no cycle (Shasha and
//! Snir 1988). If there is none, the topological order (Kahn 1962) is the order asked for: a load comes after the store that it
//! read, and before the next one to that word. If there is one, every such order would need one of its operations to come
//! before itself. Each operation has a bounded number of edges, so the time is linear in the length of the history.

use std::collections::{BTreeMap, VecDeque};

use protocol::LockId;

use crate::program::{ThreadId, Word};
use crate::violation::Violation;

/// What a thread did and saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A load gave this value.
    Load(Word, u64),
    /// A store of this value was done.
    Store(Word, u64),
    /// The lock was given to the thread.
    Acquire(LockId),
    /// The thread gave it back.
    Release(LockId),
    /// The thread came to the barrier of this number.
    Arrive(u64),
    /// It went on from there.
    Leave(u64),
}

/// What all threads did, each thread's part in its order, each lock's part in the order in which it went round.
#[derive(Clone, Debug, Default)]
pub struct History {
    events: Vec<(ThreadId, Seen)>,
}

impl History {
    /// Adds what `thread` did next.
    pub fn push(&mut self, thread: ThreadId, seen: Seen) {
        self.events.push((thread, seen));
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Finds an order of all operations as the module describes.
    ///
    /// # Errors
    ///
    /// [`Violation::NotSequential`] where there is none; [`Violation::LostUpdate`] or [`Violation::FromNowhere`] where the values
    /// are already impossible.
    pub fn check(&self) -> Result<(), Violation> {
        let mut graph = Graph::default();
        graph.add_threads(&self.events);
        graph.add_words(&self.events)?;
        graph.add_synchronisation(&self.events);
        match graph.first_on_no_order(self.events.len()) {
            None => Ok(()),
            Some(place) => {
                // A place beyond the events is a barrier's; some event waits for it as well.
                let operation = self.events.get(place).map_or("a barrier".to_string(), |(thread, seen)| {
                    format!("{thread}: {seen:?}, number {place} of the history")
                });
                Err(Violation::NotSequential { operation })
            }
        }
    }
}

/// Operations by their place in the history; behind them one vertex for each barrier.
#[derive(Default)]
struct Graph {
    edges: Vec<(usize, usize)>,
    extra: usize,
}

impl Graph {
    fn add_threads(&mut self, events: &[(ThreadId, Seen)]) {
        let mut last = BTreeMap::new();
        for (place, (thread, _)) in events.iter().enumerate() {
            self.edges.extend(last.insert(*thread, place).map(|before| (before, place)));
        }
    }

    fn add_words(&mut self, events: &[(ThreadId, Seen)]) -> Result<(), Violation> {
        let mut stores: BTreeMap<Word, BTreeMap<u64, usize>> = BTreeMap::new();
        for (place, (_, seen)) in events.iter().enumerate() {
            if let Seen::Store(word, value) = *seen
                && stores.entry(word).or_default().insert(value, place).is_some()
            {
                return Err(Violation::LostUpdate { word, value });
            }
        }
        let store = |word: Word, value: u64| stores.get(&word).and_then(|values| values.get(&value)).copied();
        for (place, (_, seen)) in events.iter().enumerate() {
            let (word, read) = match *seen {
                Seen::Load(word, value) => (word, value),
                Seen::Store(word, value) => (word, value.wrapping_sub(1)),
                _ => continue,
            };
            let before = store(word, read);
            if read != 0 && before.is_none() {
                return Err(Violation::FromNowhere { word, value: read });
            }
            self.edges.extend(before.map(|before| (before, place)));
            if matches!(seen, Seen::Load(..)) {
                self.edges.extend(store(word, read + 1).map(|after| (place, after)));
            }
        }
        Ok(())
    }

    fn add_synchronisation(&mut self, events: &[(ThreadId, Seen)]) {
        let mut released = BTreeMap::new();
        let mut barriers = BTreeMap::new();
        for (place, (_, seen)) in events.iter().enumerate() {
            match *seen {
                Seen::Acquire(lock) => self.edges.extend(released.get(&lock).map(|before| (*before, place))),
                Seen::Release(lock) => {
                    released.insert(lock, place);
                }
                Seen::Arrive(generation) | Seen::Leave(generation) => {
                    let next = events.len() + self.extra;
                    let barrier = *barriers.entry(generation).or_insert(next);
                    self.extra += usize::from(barrier == next);
                    let edge = if matches!(seen, Seen::Arrive(_)) { (place, barrier) } else { (barrier, place) };
                    self.edges.push(edge);
                }
                Seen::Load(..) | Seen::Store(..) => {}
            }
        }
    }

    /// The first vertex that no topological order can hold.
    fn first_on_no_order(mut self, events: usize) -> Option<usize> {
        let vertices = events + self.extra;
        self.edges.sort_unstable();
        let mut waits_for = vec![0u32; vertices];
        self.edges.iter().for_each(|(_, to)| waits_for[*to] += 1);
        let mut starts = vec![0; vertices + 1];
        self.edges.iter().for_each(|(from, _)| starts[from + 1] += 1);
        (0..vertices).for_each(|place| starts[place + 1] += starts[place]);
        let mut free: VecDeque<usize> = (0..vertices).filter(|place| waits_for[*place] == 0).collect();
        while let Some(place) = free.pop_front() {
            for (_, to) in &self.edges[starts[place]..starts[place + 1]] {
                waits_for[*to] -= 1;
                if waits_for[*to] == 0 {
                    free.push_back(*to);
                }
            }
        }
        waits_for.iter().position(|count| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{NodeId, Page};

    const X: Word = Word { page: Page(0), place: 0 };
    const Y: Word = Word { page: Page(1), place: 0 };
    const LOCK: LockId = LockId(3);

    fn judge(events: &[(usize, Seen)]) -> Result<(), Violation> {
        let mut history = History::default();
        for (thread, seen) in events {
            history.push(ThreadId { node: NodeId::new(*thread).unwrap(), thread: 0 }, *seen);
        }
        history.check()
    }

    fn is_refused(events: &[(usize, Seen)]) -> bool {
        matches!(judge(events), Err(Violation::NotSequential { .. }))
    }

    #[test]
    fn a_load_may_be_late_as_long_as_one_order_explains_it() {
        assert_eq!(judge(&[(0, Seen::Store(X, 1)), (1, Seen::Load(X, 0)), (1, Seen::Load(X, 1))]), Ok(()));
    }

    #[test]
    fn two_threads_that_both_miss_the_others_store_are_refused() {
        let buffered = [(0, Seen::Store(X, 1)), (0, Seen::Load(Y, 0)), (1, Seen::Store(Y, 1)), (1, Seen::Load(X, 0))];
        assert!(is_refused(&buffered));
    }

    #[test]
    fn a_message_that_is_seen_before_its_contents_is_refused() {
        let passed = [(0, Seen::Store(X, 1)), (0, Seen::Store(Y, 1)), (1, Seen::Load(Y, 1)), (1, Seen::Load(X, 0))];
        assert!(is_refused(&passed));
    }

    #[test]
    fn values_that_go_backwards_are_refused() {
        assert!(is_refused(&[(0, Seen::Store(X, 1)), (1, Seen::Load(X, 1)), (1, Seen::Load(X, 0))]));
    }

    #[test]
    fn two_readers_that_see_two_stores_in_opposite_orders_are_refused() {
        let opposite = [
            (0, Seen::Store(X, 1)),
            (1, Seen::Store(Y, 1)),
            (2, Seen::Load(X, 1)),
            (2, Seen::Load(Y, 0)),
            (3, Seen::Load(Y, 1)),
            (3, Seen::Load(X, 0)),
        ];
        assert!(is_refused(&opposite));
    }

    #[test]
    fn a_holder_that_misses_what_the_holder_before_stored_is_refused() {
        let missed = [
            (0, Seen::Acquire(LOCK)),
            (0, Seen::Store(X, 1)),
            (0, Seen::Release(LOCK)),
            (1, Seen::Acquire(LOCK)),
            (1, Seen::Load(X, 0)),
        ];
        assert!(is_refused(&missed));
    }

    #[test]
    fn a_load_after_the_barrier_that_misses_a_store_before_it_is_refused() {
        let missed = [
            (0, Seen::Store(X, 1)),
            (0, Seen::Arrive(0)),
            (1, Seen::Arrive(0)),
            (1, Seen::Leave(0)),
            (1, Seen::Load(X, 0)),
            (0, Seen::Leave(0)),
        ];
        assert!(is_refused(&missed));
        let late = [(1, Seen::Load(X, 0)), (0, Seen::Store(X, 1)), (0, Seen::Arrive(0)), (1, Seen::Arrive(0))];
        assert_eq!(judge(&late), Ok(()));
    }

    #[test]
    fn impossible_values_are_named() {
        assert_eq!(judge(&[(0, Seen::Load(X, 7))]), Err(Violation::FromNowhere { word: X, value: 7 }));
        let twice = [(0, Seen::Store(X, 1)), (1, Seen::Store(X, 1))];
        assert_eq!(judge(&twice), Err(Violation::LostUpdate { word: X, value: 1 }));
    }
}
