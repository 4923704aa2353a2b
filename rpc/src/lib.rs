//! Remote procedure call.
