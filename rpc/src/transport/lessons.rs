//! Rules that can be switched off to see what they are for.

use std::time::Duration;

/// Parts of the reliable layer that are switched off for a lesson. The default is none, and nobody works with less:
/// each of them makes calls slower, or lost, or run twice.
///
/// An endpoint's switches are its own; the other side need not know of them. What each of them shows, with a command to see it,
/// is in `docs/lessons.md`. Other lessons need no switch here: no checksum ([`Integrity::None`](crate::wire::Integrity::None)),
/// explicit acknowledgements ([`ack_delay`](super::TransportConfig::ack_delay) of zero), and calls that run again when
/// they come again ([`ReplyLimits::suppress_duplicates`](crate::ReplyLimits::suppress_duplicates)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Lessons {
    /// What is lost is not sent again: calls are lost, as datagrams are. As far as fragments may run ahead of the oldest
    /// unacknowledged one ([`WINDOW_FRAGMENTS`](crate::wire::WINDOW_FRAGMENTS)), so far a session goes on after its first loss.
    pub no_retransmission: bool,
    /// A message of one fragment that comes again is delivered again.
    pub deliver_duplicates: bool,
    /// What is not acknowledged for this long is sent again, however long the network takes: too short a time sends everything
    /// several times, too long a time waits for nothing. Otherwise the time follows the round trips (RFC 6298).
    pub fixed_timeout: Option<Duration>,
    /// The retransmission timeout does not grow when the peer does not answer: whoever is overloaded gets the more.
    pub no_back_off: bool,
    /// A message that does not fit into one fragment is refused with
    /// [`SendError::NotFragmented`](super::SendError::NotFragmented).
    pub no_fragmentation: bool,
    /// Acknowledgements do not travel alone, unless they are asked for: a request whose reply takes long is sent again
    /// until the reply comes.
    pub no_working_acks: bool,
}
