//! Rules that can be broken on purpose, so that the checkers can show that they would notice.
//!
//! Each [`Bug`] switches off one rule of the transport. The switches exist only with the feature `planted`, which tests turn on
//! and no program does; without it every question "is this bug planted?" is the constant `false`.

#[cfg(feature = "planted")]
use crate::transport::{receive::ReceiveHalf, send::SendHalf};

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
    /// A fragment that was here before is delivered again.
    DuplicateDelivered,
    /// A fragment that was turned away is acknowledged.
    RefusedAcknowledged,
    /// The acknowledgement reaches over a fragment that is missing.
    AcknowledgedTooFar,
    /// Lengths and counts of fragments are not checked.
    FragmentBoundsUnchecked,
    /// Fragments are put together in the order in which they arrive.
    ReassembledAsArrived,
    /// Memory for reassembly is not bounded.
    ReassemblyUnbounded,
    /// What was found lost is not sent again.
    LostForgotten,
    /// When the retransmission timer runs out, nothing is found lost.
    TimerIgnored,
    /// Data counts whatever session it names.
    StaleSessionAccepted,
    /// A peer that was started anew is taken for the one before it.
    StaleEpochAccepted,
    /// A refusal counts whatever session it names.
    StaleResetObeyed,
    /// The replay window is not asked.
    ReplayAccepted,
    /// Damaged datagrams are taken for good ones.
    DamageAccepted,
    /// A peer that has died is never given up.
    SilenceTolerated,
}

#[cfg(feature = "planted")]
impl Bug {
    /// Whether a half of a session can have it: then the model of the halves must notice. The others are in what is around the
    /// halves, and must be noticed in whole transports.
    pub const fn is_of_a_half(self) -> bool {
        match self {
            Bug::DuplicateDelivered
            | Bug::RefusedAcknowledged
            | Bug::AcknowledgedTooFar
            | Bug::FragmentBoundsUnchecked
            | Bug::ReassembledAsArrived
            | Bug::ReassemblyUnbounded
            | Bug::LostForgotten
            | Bug::TimerIgnored => true,
            Bug::StaleSessionAccepted
            | Bug::StaleEpochAccepted
            | Bug::StaleResetObeyed
            | Bug::ReplayAccepted
            | Bug::DamageAccepted
            | Bug::SilenceTolerated => false,
        }
    }
}

/// Which bug a transport, or a part of it, has.
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
impl Planted {
    /// This bug.
    pub(crate) fn with(bug: Bug) -> Planted {
        Planted { bug: Some(bug) }
    }
}

#[cfg(feature = "planted")]
macro_rules! plant {
    ($($half:ident)+) => {$(
        impl $half {
            /// Breaks one rule. A bug of the other half does nothing.
            pub fn plant(&mut self, bug: Bug) {
                self.planted = Planted::with(bug);
            }
        }
    )+};
}

#[cfg(feature = "planted")]
plant!(SendHalf ReceiveHalf);
