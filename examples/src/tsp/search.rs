//! Depth-first branch and bound below one task.

use std::cell::RefCell;

use super::problem::Path;
use super::{Prefix, Problem};

/// The best tour known to all workers: a word in shared memory, or an answer from a server.
pub trait Best {
    /// The length that a tour must beat. It may be out of date, which costs time but not the answer: the best length
    /// only ever falls, so an old one cuts off less than it could, and never a tour that is shorter than the best.
    fn limit(&self) -> u32;
    /// A tour that was shorter than the limit. Someone else may have found a better one meanwhile: the receiver
    /// decides.
    fn offer(&self, length: u32, tour: &[u8]);
}

impl Problem {
    /// Searches everything below `prefix`; answers how many nodes of the tree it expanded. A prefix that is no
    /// beginning of a tour has nothing below it.
    pub fn search(&self, prefix: Prefix, best: &impl Best) -> u64 {
        let mut path = Path::new(self);
        for city in prefix.cities() {
            if !path.may_visit(city) {
                return 0;
            }
            path.push(city);
        }
        descend(&mut path, best)
    }
}

fn descend(path: &mut Path<'_>, best: &impl Best) -> u64 {
    if let Some((length, tour)) = path.tour() {
        if length < best.limit() {
            best.offer(length, tour);
        }
        return 1;
    }
    let mut expanded = 1;
    for (bound, city) in path.next_cities(best.limit()) {
        // The limit may have fallen meanwhile, here or elsewhere, and the rest of the list is no better than this one.
        if !path.may_beat(bound, best.limit()) {
            break;
        }
        path.push(city);
        expanded += descend(path, best);
        path.pop();
    }
    expanded
}

/// The best tour of a search in one thread.
#[derive(Debug)]
pub struct LocalBest(RefCell<(u32, Vec<u8>)>);

impl LocalBest {
    /// Begins with a tour and its length.
    pub fn new(first: (u32, Vec<u8>)) -> Self {
        Self(RefCell::new(first))
    }

    /// The best tour and its length.
    pub fn into_inner(self) -> (u32, Vec<u8>) {
        self.0.into_inner()
    }
}

impl Best for LocalBest {
    fn limit(&self) -> u32 {
        self.0.borrow().0
    }

    fn offer(&self, length: u32, tour: &[u8]) {
        let mut best = self.0.borrow_mut();
        if length < best.0 {
            *best = (length, tour.to_vec());
        }
    }
}
