//! Rules that can be broken on purpose, so that the checkers can show that they would notice.
//!
//! Each [`Bug`] switches off one rule of one machine. The switches exist only with the feature `planted`, which tests turn
//! on and no program does; without it every question "is this bug planted?" is the constant `false`.

#[cfg(feature = "planted")]
use crate::{barrier::Barrier, locks::Locks, sequential::Pages};

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// One rule, broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug {
            $($(#[doc = $doc])+ $name,)+
        }

        #[cfg(feature = "planted")]
        impl Bug {
            /// Every bug.
            pub const ALL: &[Bug] = &[$(Bug::$name),+];

            /// Its name, as it is written in the source.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Bug::$name => stringify!($name),)+
                }
            }

            /// The bug of this name.
            pub fn named(name: &str) -> Option<Bug> {
                Bug::ALL.iter().copied().find(|bug| bug.name() == name)
            }
        }
    };
}

bugs! {
    /// Pages: the home frees the entry when the grant is sent, not when it has taken effect.
    EntryFreedEarly,
    /// Pages: an old `Done` frees the entry too.
    StaleDoneAccepted,
    /// Pages: a grant takes effect before the other copies are known to be gone.
    InvalidationsNotAwaited,
    /// Pages: a second copy of one acknowledgement stands for one that is missing.
    DuplicateAcknowledgementCounts,
    /// Pages: an acknowledgement of an earlier transaction counts for this one.
    StaleAcknowledgementCounts,
    /// Pages: the home goes by the copyset as it was when the request came, not as it is when its transaction starts.
    ContentsDecidedAtRequest,
    /// Pages: a grant for an earlier request answers the present one.
    StaleGrantAccepted,
    /// Pages: a forwarded request is obeyed whatever its epoch is.
    DuplicateRecallObeyed,
    /// Pages: an invalidation is obeyed whatever its epoch is.
    DuplicateInvalidationObeyed,
    /// Pages: the home serves a request as often as it arrives.
    DuplicateRequestServed,
    /// Pages: an invalidation that overtakes the grant of a read is acknowledged at once.
    PromiseForgotten,
    /// Pages: the bytes are taken before the program is kept from storing.
    BytesBeforeProtection,
    /// Pages: a page may be taken away as soon as it has come.
    NoHold,
    /// Pages: what a hold has put off is never done.
    DeferredForgotten,
    /// Pages: a write that is wanted while a read is pending is forgotten.
    WriteWantedForgotten,
    /// Pages: a fault on a page that is mapped already wakes nobody.
    RepeatedFaultIgnored,
    /// Pages: the home does not note who wrote, and takes the page for one that was never written.
    WriterNotRecorded,
    /// Pages: the home does not note who got a copy.
    ReaderNotRecorded,
    /// Pages: who hands a page over for writing to one who asked to read keeps its copy.
    MigratedCopyKept,
    /// Pages: the home takes who asked to read for a reader, whatever was granted.
    MigrationNotRecorded,
    /// Pages: a node that shared a page that it might write still writes it without asking.
    ExclusiveOnceShared,
    /// Locks: a duplicated request enters the queue again.
    LockRequestQueuedTwice,
    /// Locks: a successor that was named for an earlier tenure gets the token of the present one.
    LockPassForAnyTenure,
    /// Locks: a duplicated token is taken for another one.
    LockTokenTakenTwice,
    /// Barrier: a message of any generation counts for the present one.
    BarrierGenerationIgnored,
    /// Barrier: a message of any round counts for the present one.
    BarrierRoundIgnored,
    /// Barrier: the last round is left out.
    BarrierRoundMissing,
}

/// Which bug a machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Planted {
    #[cfg(feature = "planted")]
    bug: Option<Bug>,
}

#[cfg(not(feature = "planted"))]
impl Planted {
    /// Never.
    pub(crate) const fn has(self, _: Bug) -> bool {
        false
    }
}

#[cfg(feature = "planted")]
impl Planted {
    /// Whether this bug is planted.
    pub(crate) fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

#[cfg(feature = "planted")]
macro_rules! plant {
    ($($machine:ident)+) => {$(
        impl $machine {
            /// Breaks one rule. A bug of another machine does nothing.
            pub fn plant(&mut self, bug: Bug) {
                self.planted = Planted { bug: Some(bug) };
            }
        }
    )+};
}

#[cfg(feature = "planted")]
plant!(Pages Locks Barrier);
