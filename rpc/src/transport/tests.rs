//! Two endpoints, a virtual clock, and a network that misbehaves by a seed.

mod behind;
mod bottleneck;
mod exactly_once;
mod halves;
mod integrity;
mod lending;
mod lessons;
mod many;
mod network;
mod path;
#[cfg(feature = "planted")]
mod planted;
mod retransmission;
mod sealed;
mod sessions;
mod sharing;
mod wild;
