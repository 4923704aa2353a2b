//! Things that must happen somewhere in the state space, or it was not the one that we meant to explore.

use std::hash::{Hash, Hasher};

/// Something that is worth reaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A page that was never written is granted without bytes.
    ZeroPage,
    /// A reader becomes a writer with the bytes that it has.
    Upgrade,
    /// A writer becomes a reader because another node wants to read.
    Downgrade,
    /// A node that wants to upgrade loses its copy to another writer first.
    UpgradeRaceLost,
    /// A read is granted while a write is wanted already.
    WriteFollowsRead,
    /// A copy was known to be gone before the grant came, or before the others.
    GoneIsEarly,
    /// A grant came before all copies were known to be gone.
    GrantIsEarly,
    /// A request to hand the page on came while it was held.
    ForwardDeferred,
    /// An invalidation came while the page was held.
    InvalidationDeferred,
    /// An invalidation came before the grant that it follows.
    InvalidationIsEarly,
    /// The same, and no thread waits for the page: it was fetched ahead.
    HintIsLate,
    /// A thread faults on a page that is on its way already.
    HintIsInTime,
    /// A request came while another one's transaction ran.
    Queued,
    /// A page came for reading, with leave to write.
    Migrated,
    /// Who had leave to write, and has not written, keeps a copy.
    MigrationRefused,
}

/// What happened in the step that led to a state. Not part of the state: two ways to it are one state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Events(u32);

impl Events {
    pub fn add(&mut self, event: Event) {
        self.0 |= 1 << event as u32;
    }

    pub fn has(self, event: Event) -> bool {
        self.0 & 1 << event as u32 != 0
    }
}

impl PartialEq for Events {
    fn eq(&self, _: &Events) -> bool {
        true
    }
}

impl Eq for Events {}

impl Hash for Events {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
