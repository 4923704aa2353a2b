//! What becomes of calls when the network loses, duplicates, reorders and damages, when servers crash, when calls are long, and when
//! there are too many of them.
//!
//! * [`lines`]: large results over a line with loss, ours beside TCP and QUIC.
//! * [`increments`]: calls that must not run twice, counted outside of the server.
//! * [`corrupted`]: damaged datagrams by the million.
//! * [`long_call`]: one call that takes half a minute, and one whose server is killed.
//! * [`overload`]: ten times more calls than the server can serve.
//! * [`tally`]: the server of the last ones but `corrupted`.
//! * [`report`]: table, bars, JSON.

pub mod corrupted;
pub mod increments;
pub mod lines;
pub mod long_call;
pub mod overload;
pub mod report;
pub mod tally;
