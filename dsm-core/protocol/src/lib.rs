//! Coherence protocols.
