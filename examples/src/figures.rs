//! What a job cost its nodes.

use std::iter::Sum;
use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

use dsm_core::{Dsm, Error, Placement, Stats};
use nix::time::{ClockId, clock_gettime};
use rpc::call::ClientCounters;
use rpc::codec;
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
    /// Faults of stores to pages that had come with leave to write.
    pub exclusive_faults: u64,
    /// Pages that came.
    pub pages: u64,
    /// Pages that others took away because they wrote, or were about to.
    pub invalidations: u64,
    /// Barriers passed.
    pub barriers: u64,
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

impl Totals {
    /// Faults of all kinds.
    pub fn faults(&self) -> u64 {
        self.read_faults + self.write_faults + self.upgrade_faults + self.exclusive_faults
    }

    /// So far, of shared memory and this process.
    fn now(dsm: &Dsm) -> Totals {
        Totals {
            processor: clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Into::into),
            ..dsm.stats().into()
        }
    }

    /// Each count with the other's, and each time.
    fn with(
        self,
        other: Totals,
        counts: impl Fn(u64, u64) -> u64,
        times: impl Fn(Duration, Duration) -> Duration,
    ) -> Totals {
        Totals {
            messages: counts(self.messages, other.messages),
            bytes: counts(self.bytes, other.bytes),
            datagrams: counts(self.datagrams, other.datagrams),
            retransmissions: counts(self.retransmissions, other.retransmissions),
            read_faults: counts(self.read_faults, other.read_faults),
            write_faults: counts(self.write_faults, other.write_faults),
            upgrade_faults: counts(self.upgrade_faults, other.upgrade_faults),
            exclusive_faults: counts(self.exclusive_faults, other.exclusive_faults),
            pages: counts(self.pages, other.pages),
            invalidations: counts(self.invalidations, other.invalidations),
            barriers: counts(self.barriers, other.barriers),
            calls: counts(self.calls, other.calls),
            page_wait: times(self.page_wait, other.page_wait),
            lock_wait: times(self.lock_wait, other.lock_wait),
            atomic_wait: times(self.atomic_wait, other.atomic_wait),
            barrier_wait: times(self.barrier_wait, other.barrier_wait),
            call_wait: times(self.call_wait, other.call_wait),
            processor: times(self.processor, other.processor),
        }
    }
}

impl Add for Totals {
    type Output = Totals;

    fn add(self, other: Totals) -> Totals {
        self.with(other, u64::saturating_add, Duration::saturating_add)
    }
}

impl Sub for Totals {
    type Output = Totals;

    fn sub(self, other: Totals) -> Totals {
        self.with(other, u64::saturating_sub, Duration::saturating_sub)
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
            exclusive_faults: stats.exclusive_faults,
            pages: stats.pages_received,
            invalidations: stats.invalidations,
            barriers: stats.barriers,
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
        let mine = packed(&(after - self.before + besides));
        let (all, handed_in) = (
            dsm.alloc::<u8>(dsm.size() * mine.len(), Placement::Node(0))?,
            dsm.alloc::<u64>(dsm.size(), Placement::Node(0))?,
        );
        all.write(dsm.rank() * mine.len(), &mine);
        handed_in.set(dsm.rank(), work);
        dsm.barrier();
        let mut cost = Cost { elapsed, nodes: Vec::with_capacity(dsm.size()), work: 0 };
        for node in 0..dsm.size() {
            let mut bytes = vec![0; mine.len()];
            all.read(node * mine.len(), &mut bytes);
            cost.nodes.push(codec::decode(&bytes).expect("every node has written its totals"));
            cost.work = cost.work.wrapping_add(handed_in.get(node));
        }
        Ok(cost)
    }
}

/// As many bytes for all: numbers are of fixed length.
fn packed(totals: &Totals) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(totals, &mut bytes).expect("numbers can be encoded");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_travel_in_as_many_bytes_each_and_add_up() {
        let (seconds, most) = (Duration::from_secs(3), Totals { bytes: u64::MAX, ..Totals::default() });
        let some = Totals { messages: 1, upgrade_faults: 2, calls: 3, page_wait: seconds, processor: seconds, ..most };
        for totals in [some, Totals::default()] {
            assert_eq!(codec::decode::<Totals>(&packed(&totals)).unwrap(), totals);
            assert_eq!(packed(&totals).len(), packed(&some).len());
        }
        let twice = [some, some].into_iter().sum::<Totals>();
        assert_eq!((twice.calls, twice.bytes, twice.page_wait), (6, u64::MAX, 2 * seconds));
        assert_eq!((some - some, Totals::default() - some), (Totals::default(), Totals::default()));
    }
}
