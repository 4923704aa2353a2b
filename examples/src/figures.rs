//! What a job cost all nodes together.

use std::time::{Duration, Instant};

use dsm_core::{Dsm, Error, Placement, Stats};

/// Begins to count at a moment that is the same for all nodes: just after a barrier.
pub(crate) struct Meter {
    before: Stats,
    start: Instant,
}

/// What all nodes did together between the two ends of a [`Meter`].
pub(crate) struct Cost {
    pub(crate) elapsed: Duration,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// The sum of the figure that each node handed in.
    pub(crate) work: u64,
}

impl Meter {
    /// Collective.
    pub(crate) fn start(dsm: &Dsm) -> Self {
        dsm.barrier();
        Self { before: dsm.stats(), start: Instant::now() }
    }

    /// Collective. Waits for the slowest node, and then adds up: through shared memory, of course.
    pub(crate) fn stop(self, dsm: &Dsm, work: u64) -> Result<Cost, Error> {
        dsm.barrier();
        let (elapsed, after) = (self.start.elapsed(), dsm.stats());
        let mine = [
            after.messages_sent.saturating_sub(self.before.messages_sent),
            after.bytes_sent.saturating_sub(self.before.bytes_sent),
            work,
        ];
        let all = dsm.alloc::<u64>(dsm.size() * mine.len(), Placement::Node(0))?;
        all.write(dsm.rank() * mine.len(), &mine);
        dsm.barrier();
        let column = |k| (0..dsm.size()).map(|node| all.get(node * mine.len() + k)).sum();
        Ok(Cost { elapsed, messages: column(0), bytes: column(1), work: column(2) })
    }
}
