//! What a job cost its nodes.

use std::iter::Sum;
use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

use dsm_core::{Dsm, Error, Placement, Stats};
use nix::time::{ClockId, clock_gettime};
use rpc::call::ClientCounters;
use serde::{Deserialize, Serialize};

/// What one node did during a job, or several did together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Messages sent; of calls, those received too, for a server counts nothing here.
    pub messages: u64,
    /// Their bytes on the network.
    pub bytes: u64,
    /// The datagrams that carried them, and acknowledgements.
    pub datagrams: u64,
    /// Pieces of messages that had to be sent again.
    pub retransmissions: u64,
    /// Faults of loads.
    pub read_faults: u64,
    /// Faults of stores to pages that were not here.
    pub write_faults: u64,
    /// Faults of stores to pages that were here for reading.
    pub upgrade_faults: u64,
    /// Pages that came.
    pub pages: u64,
    /// Pages that others took away because they wrote.
    pub invalidations: u64,
    /// Calls made.
    pub calls: u64,
    /// Time that threads waited for pages.
    pub page_wait: Duration,
    /// Time that threads waited for locks.
    pub lock_wait: Duration,
    /// Time that threads waited for atomic operations.
    pub atomic_wait: Duration,
    /// Time that threads waited at barriers.
    pub barrier_wait: Duration,
    /// Time that threads waited for replies.
    pub call_wait: Duration,
    /// Time that threads ran, or polled, on a processor.
    pub processor: Duration,
}

/// Numbers in [`Totals`].
const WORDS: usize = 16;

impl Totals {
    /// Faults of all kinds.
    pub fn faults(&self) -> u64 {
        self.read_faults + self.write_faults + self.upgrade_faults
    }

    /// So far, of shared memory and this process.
    fn now(dsm: &Dsm) -> Totals {
        Totals {
            processor: clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Into::into),
            ..dsm.stats().into()
        }
    }

    fn words(&self) -> [u64; WORDS] {
        let nanoseconds = |time: Duration| time.as_nanos() as u64;
        [
            self.messages,
            self.bytes,
            self.datagrams,
            self.retransmissions,
            self.read_faults,
            self.write_faults,
            self.upgrade_faults,
            self.pages,
            self.invalidations,
            self.calls,
            nanoseconds(self.page_wait),
            nanoseconds(self.lock_wait),
            nanoseconds(self.atomic_wait),
            nanoseconds(self.barrier_wait),
            nanoseconds(self.call_wait),
            nanoseconds(self.processor),
        ]
    }

    fn of_words(words: [u64; WORDS]) -> Totals {
        let [
            messages,
            bytes,
            datagrams,
            retransmissions,
            read_faults,
            write_faults,
            upgrade_faults,
            pages,
            invalidations,
            calls,
            times @ ..,
        ] = words;
        let [page_wait, lock_wait, atomic_wait, barrier_wait, call_wait, processor] = times.map(Duration::from_nanos);
        Totals {
            messages,
            bytes,
            datagrams,
            retransmissions,
            read_faults,
            write_faults,
            upgrade_faults,
            pages,
            invalidations,
            calls,
            page_wait,
            lock_wait,
            atomic_wait,
            barrier_wait,
            call_wait,
            processor,
        }
    }

    fn each(self, other: Totals, of: impl Fn(u64, u64) -> u64) -> Totals {
        let (mine, other) = (self.words(), other.words());
        Totals::of_words(std::array::from_fn(|word| of(mine[word], other[word])))
    }
}

impl Add for Totals {
    type Output = Totals;

    fn add(self, other: Totals) -> Totals {
        self.each(other, u64::saturating_add)
    }
}

impl Sub for Totals {
    type Output = Totals;

    fn sub(self, other: Totals) -> Totals {
        self.each(other, u64::saturating_sub)
    }
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Totals>>(all: I) -> Totals {
        all.fold(Totals::default(), Add::add)
    }
}

impl From<Stats> for Totals {
    fn from(stats: Stats) -> Totals {
        Totals {
            messages: stats.messages_sent,
            bytes: stats.bytes_sent,
            datagrams: stats.datagrams_sent,
            retransmissions: stats.retransmissions,
            read_faults: stats.read_faults,
            write_faults: stats.write_faults,
            upgrade_faults: stats.upgrade_faults,
            pages: stats.pages_received,
            invalidations: stats.invalidations,
            page_wait: stats.fault_wait,
            lock_wait: stats.lock_wait,
            atomic_wait: stats.atomic_wait,
            barrier_wait: stats.barrier_wait,
            ..Totals::default()
        }
    }
}

/// Of calls: all that a server sends and receives, some client receives and sends.
impl From<ClientCounters> for Totals {
    fn from(counters: ClientCounters) -> Totals {
        let transport = counters.transport;
        Totals {
            messages: transport.messages_sent + transport.messages_delivered,
            bytes: transport.bytes_sent + transport.bytes_received,
            datagrams: transport.datagrams_sent + transport.datagrams_received,
            retransmissions: transport.retransmissions,
            calls: counters.calls,
            call_wait: counters.waited,
            ..Totals::default()
        }
    }
}

/// Begins to count at a moment that is the same for all nodes: just after a barrier.
pub(crate) struct Meter {
    before: Totals,
    start: Instant,
}

/// What the nodes did between the two ends of a [`Meter`].
pub(crate) struct Cost {
    pub(crate) elapsed: Duration,
    /// Of each node.
    pub(crate) nodes: Vec<Totals>,
    /// The sum of the figure that each node handed in.
    pub(crate) work: u64,
}

impl Cost {
    /// Of all nodes together.
    pub(crate) fn total(&self) -> Totals {
        self.nodes.iter().copied().sum()
    }
}

impl Meter {
    /// Collective.
    pub(crate) fn start(dsm: &Dsm) -> Self {
        dsm.barrier();
        Self { before: Totals::now(dsm), start: Instant::now() }
    }

    /// Collective. Waits for the slowest node, and then hands around what each did, and `besides` of its own: through shared
    /// memory, of course.
    pub(crate) fn stop(self, dsm: &Dsm, work: u64, besides: Totals) -> Result<Cost, Error> {
        dsm.barrier();
        let (elapsed, after) = (self.start.elapsed(), Totals::now(dsm));
        let mut mine = [work; WORDS + 1];
        mine[..WORDS].copy_from_slice(&(after - self.before + besides).words());
        let all = dsm.alloc::<u64>(dsm.size() * mine.len(), Placement::Node(0))?;
        all.write(dsm.rank() * mine.len(), &mine);
        dsm.barrier();
        let mut cost = Cost { elapsed, nodes: Vec::with_capacity(dsm.size()), work: 0 };
        for node in 0..dsm.size() {
            let mut words = [0; WORDS];
            all.read(node * mine.len(), &mut words);
            cost.nodes.push(Totals::of_words(words));
            cost.work = cost.work.wrapping_add(all.get(node * mine.len() + WORDS));
        }
        Ok(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_survive_their_words_and_add_up() {
        let words: [u64; WORDS] = std::array::from_fn(|word| 1 + word as u64);
        let some = Totals::of_words(words);
        assert_eq!(some.words(), words);
        assert_eq!([some, some].into_iter().sum::<Totals>() - some, some);
        assert_eq!((Totals::default() - some), Totals::default());
    }
}
