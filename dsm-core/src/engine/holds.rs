//! Minimum hold times: how long a page that was just installed is kept from being taken away.
//!
//! Long enough for the woken thread to get to its access, or nobody gets anywhere (Mirage's window); no longer, or everybody waits.
//! How long a woken thread takes differs a hundredfold between a quiet machine and a busy one, so it is learned: when a
//! thread faults again at the same address, for the same kind of access, soon after, and the word there is what it was when the
//! page was installed, then the thread has most likely not been there yet; its page is held twice as long the next time. A thread
//! that got on starts from the bottom again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::{Epoch, Page};
use rpc::time::Time;

use crate::mem::Fault;

/// The shortest hold: what a thread takes to wake on its own processor.
const SHORTEST: Duration = Duration::from_micros(5);

/// The longest hold for a thread that wants to load. A loop that waits for a word to change looks like one that gets
/// nowhere, and should not keep the word from changing.
const LONGEST_TO_LOAD: Duration = Duration::from_micros(160);

/// The longest hold for a thread that wants to store, and has not: about what it waits for a processor on a busy machine.
const LONGEST_TO_STORE: Duration = Duration::from_millis(3);

/// A fault that comes this long after the last one has nothing to do with it.
const SOON: Duration = Duration::from_millis(50);

/// Threads that are remembered; beyond that all are forgotten.
const THREADS_MAX: usize = 4096;

/// Running holds, and what is known of the threads that fault.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    /// The first to end first. Most are as long as the one before, and go to the end.
    running: VecDeque<(Time, Page, Epoch)>,
    threads: BTreeMap<u32, LastFault>,
}

#[derive(Debug)]
struct LastFault {
    address: usize,
    write: bool,
    at: Time,
    hold: Duration,
    /// The word at `address` when the page was installed.
    found: Option<u64>,
}

impl Holds {
    /// How long the page of `fault` is to be held for the thread that waits for it. `word` is what stands at its address in the page's
    /// frame, as it was left here.
    pub(crate) fn deserved(&mut self, fault: &Fault, word: impl FnOnce() -> Option<u64>, now: Time) -> Duration {
        let Some(thread) = fault.thread else { return LONGEST_TO_LOAD };
        let longest = if fault.write { LONGEST_TO_STORE } else { LONGEST_TO_LOAD };
        let hold = match self.threads.get(&thread) {
            Some(last) if last.is_repeated_by(fault, word, now) => (last.hold * 2).min(longest),
            _ => SHORTEST,
        };
        if self.threads.len() >= THREADS_MAX {
            self.threads.clear();
        }
        self.threads
            .insert(thread, LastFault { address: fault.address, write: fault.write, at: now, hold, found: None });
        hold
    }

    /// The page that `thread` waits for is installed, and `word` stands at its address.
    pub(crate) fn installed(&mut self, thread: Option<u32>, word: Option<u64>) {
        if let Some(last) = thread.and_then(|thread| self.threads.get_mut(&thread)) {
            last.found = word;
        }
    }

    /// Starts a hold, or makes it longer.
    pub(crate) fn start(&mut self, end: Time, page: Page, epoch: Epoch) {
        let is_same = |running: &(Time, Page, Epoch)| (running.1, running.2) == (page, epoch);
        let before = self.running.iter().position(is_same).and_then(|place| self.running.remove(place));
        let end = before.map_or(end, |(before, ..)| before.max(end));
        let place = self.running.iter().rposition(|(before, ..)| *before <= end).map_or(0, |before| before + 1);
        self.running.insert(place, (end, page, epoch));
    }

    /// Whether a hold runs.
    pub(crate) fn runs(&self, page: Page, epoch: Epoch) -> bool {
        self.running.iter().any(|running| (running.1, running.2) == (page, epoch))
    }

    /// Takes out one that has ended.
    pub(crate) fn pop_expired(&mut self, now: Time) -> Option<(Page, Epoch)> {
        let &(end, page, epoch) = self.running.front()?;
        if end > now {
            return None;
        }
        self.running.pop_front();
        Some((page, epoch))
    }

    /// When the next one ends.
    pub(crate) fn next(&self) -> Option<Time> {
        self.running.front().map(|(end, ..)| *end)
    }
}

impl LastFault {
    fn is_repeated_by(&self, fault: &Fault, word: impl FnOnce() -> Option<u64>, now: Time) -> bool {
        let same = self.address == fault.address && self.write == fault.write && now - self.at < SOON;
        same && self.found.is_some() && self.found == word()
    }
}

/// The hold of a page that no thread waits for: an atomic operation asked for it, and has been done.
pub(crate) const NOBODY_WAITS: Duration = Duration::ZERO;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::FaultKind;

    fn fault(address: usize, write: bool) -> Fault {
        Fault { page: Page(0), address, kind: FaultKind::Minor, write, thread: Some(7) }
    }

    /// A thread that faults, finds 5 in the word, and faults again when the word is `later`.
    fn twice(first: Fault, again: Fault, later: u64, at: Time) -> Duration {
        let mut holds = Holds::default();
        holds.deserved(&first, || Some(1), Time(0));
        holds.installed(first.thread, Some(5));
        holds.deserved(&again, || Some(later), at)
    }

    #[test]
    fn a_thread_that_gets_nowhere_is_given_more_and_more_time() {
        let mut holds = Holds::default();
        let mut one = |at| {
            let hold = holds.deserved(&fault(8, true), || Some(5), Time(at));
            holds.installed(Some(7), Some(5));
            hold
        };
        let given: Vec<_> = (0..12).map(&mut one).collect();
        assert_eq!(given[0], SHORTEST);
        assert!(given.windows(2).all(|pair| pair[1] == (pair[0] * 2).min(LONGEST_TO_STORE)));
        assert_eq!(given[11], LONGEST_TO_STORE);
    }

    #[test]
    fn a_thread_that_got_on_starts_from_the_bottom() {
        assert_eq!(twice(fault(8, true), fault(8, true), 5, Time(1)), SHORTEST * 2);
        assert_eq!(twice(fault(8, true), fault(8, true), 6, Time(1)), SHORTEST, "it has stored");
        assert_eq!(twice(fault(8, true), fault(16, true), 5, Time(1)), SHORTEST, "it is elsewhere");
        assert_eq!(twice(fault(8, true), fault(8, false), 5, Time(1)), SHORTEST, "it does something else");
        assert_eq!(twice(fault(8, true), fault(8, true), 5, Time(0) + SOON), SHORTEST, "it is long ago");
    }

    #[test]
    fn waiting_for_a_word_to_change_never_holds_it_for_long() {
        let mut holds = Holds::default();
        for at in 0..50 {
            assert!(holds.deserved(&fault(8, false), || Some(5), Time(at)) <= LONGEST_TO_LOAD);
            holds.installed(Some(7), Some(5));
        }
    }

    #[test]
    fn a_hold_that_starts_again_ends_once_and_never_earlier() {
        let mut holds = Holds::default();
        for end in [10, 30, 20] {
            holds.start(Time(end), Page(1), Epoch(1));
        }
        assert_eq!(holds.pop_expired(Time(29)), None);
        assert_eq!(holds.pop_expired(Time(30)), Some((Page(1), Epoch(1))));
        assert_eq!(holds.next(), None);
    }

    #[test]
    fn holds_end_in_the_order_of_their_ends() {
        let mut holds = Holds::default();
        holds.start(Time(20), Page(1), Epoch(1));
        holds.start(Time(10), Page(2), Epoch(1));
        assert_eq!(holds.next(), Some(Time(10)));
        assert_eq!(holds.pop_expired(Time(15)), Some((Page(2), Epoch(1))));
        assert_eq!(holds.pop_expired(Time(15)), None);
        assert_eq!(holds.pop_expired(Time(20)), Some((Page(1), Epoch(1))));
    }
}
