//! Progress, apart from safety: from every reachable state, what is under way must come to its end without anything new.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Mutex;

/// Longer than any run to quiet in these models: a schedule of this length goes in circles.
const STEPS_MAX: usize = 300;

/// The states from which quiet is known to be reached.
#[derive(Debug)]
pub struct Drained {
    shards: Vec<Mutex<HashSet<u64>>>,
}

impl Default for Drained {
    fn default() -> Drained {
        Drained { shards: (0..64).map(|_| Mutex::default()).collect() }
    }
}

impl Drained {
    fn shard(&self, fingerprint: u64) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.shards[(fingerprint % 64) as usize].lock().unwrap()
    }

    /// Whether `step`, repeated, leads from `state` to a state without a next step, and that one is `settled`. The schedule is
    /// fair where `step` gives `None` only when no event that is due would change anything.
    pub fn drains<S: Clone + Hash>(
        &self,
        state: &S,
        step: impl Fn(&S) -> Option<S>,
        settled: impl Fn(&S) -> bool,
    ) -> bool {
        let mut path = Vec::new();
        let mut state = state.clone();
        let is_good = loop {
            let fingerprint = BuildHasherDefault::<DefaultHasher>::default().hash_one(&state);
            if self.shard(fingerprint).contains(&fingerprint) {
                break true;
            }
            path.push(fingerprint);
            match step(&state) {
                Some(next) if path.len() < STEPS_MAX => state = next,
                Some(_) => break false,
                None => break settled(&state),
            }
        };
        if is_good {
            path.into_iter().for_each(|fingerprint| {
                self.shard(fingerprint).insert(fingerprint);
            });
        }
        is_good
    }
}
