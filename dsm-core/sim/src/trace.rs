//! What happened, as a number that tells two runs apart and as text for a person.

use rpc::time::Time;

use crate::random::mix;

/// Takes one line of the trace at a time.
pub type Listener<'a> = &'a mut dyn FnMut(&str);

/// Follows a run.
pub(crate) struct Trace<'a> {
    now: Time,
    hash: u64,
    listener: Option<Listener<'a>>,
}

impl<'a> Trace<'a> {
    pub fn new(listener: Option<Listener<'a>>) -> Trace<'a> {
        Trace { now: Time::ZERO, hash: 0, listener }
    }

    /// What follows happens at this time.
    pub fn at(&mut self, now: Time) {
        self.now = now;
    }

    /// Something happened; `words` say what, for the hash.
    pub fn note(&mut self, words: &[u64], text: impl FnOnce() -> String) {
        self.hash = words.iter().fold(mix(self.hash ^ self.now.0), |hash, word| mix(hash ^ word).wrapping_add(*word));
        self.say(text);
    }

    /// Something that follows from what was noted, and is only of interest to a reader.
    pub fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(listener) = &mut self.listener {
            let micros = self.now.0 / 1_000;
            let line = format!("{:>6}.{:06} s  {}", micros / 1_000_000, micros % 1_000_000, text());
            listener(&line);
        }
    }

    /// Equal for two runs in which the same things happened at the same times.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
