//! Refusals, sent and received.
//!
//! With a key, only what the key vouches for ends a session: "I, of this boot epoch, have no session of these numbers". What nobody
//! can vouch for (another version, another protection, another key) is a hint: it ends an opening only if no genuine answer comes
//! soon. And when somebody with the key, but of another boot epoch, says that it has no such session, it is asked: it may be the
//! peer's successor, or somebody else to whom an attacker has sent our datagram.

use std::net::SocketAddr;

use super::handshake::whole;
use super::peers::State;
use super::{Event, LostReason, Peer, Transport, control};
use crate::planted::Bug;
use crate::time::Time;
use crate::wire::{Kind, Prefix, Protection, RESET_BYTES, Reader, Reset, ResetReason, SEALED_RESET_BYTES, WireError};

/// Refuses a datagram of `asked` bytes. A refusal is never larger than what it refuses.
pub(super) fn send(t: &mut Transport, now: Time, to: SocketAddr, asked: &Prefix, reason: ResetReason, length: usize) {
    let voucher = t.secrets.as_ref().map(|secrets| &secrets.voucher).filter(|_| reason == ResetReason::NoSession);
    let needed = if voucher.is_some() { SEALED_RESET_BYTES } else { RESET_BYTES };
    // The CRC of a hello, which `length` leaves out.
    if length + 4 < needed || !t.controls.may_refuse(now) {
        return;
    }
    // An attacker may have asked from elsewhere, to get a refusal that it can show to the peer.
    if voucher.is_some() && (t.peers.any_local(asked.to) || t.candidates.any_local(asked.to)) {
        return;
    }
    let reset = Reset { reason, boot: t.boot.0 };
    let datagram = control::refusal(t.config.security.protection(), asked.from, asked.to, reset, voucher);
    t.counters.resets_sent += u64::from(t.controls.push(to, datagram));
}

/// Tells the other side of a session that it is over.
pub(super) fn farewell(t: &mut Transport, to: SocketAddr, agreed: &super::link::Agreed) {
    let reset = Reset { reason: ResetReason::NoSession, boot: t.boot.0 };
    let voucher = t.secrets.as_ref().map(|secrets| &secrets.voucher);
    let datagram = control::refusal(t.config.security.protection(), agreed.remote, agreed.local, reset, voucher);
    t.counters.resets_sent += u64::from(t.controls.push(to, datagram));
}

/// The opening that a refusal is about, if it is one of ours.
fn opening(t: &mut Transport, from: SocketAddr, prefix: &Prefix) -> Option<Peer> {
    let peer = t.peers.at(from)?;
    let state = &t.peers.get(peer)?.state;
    matches!(state, State::Opening(opening) if opening.local == prefix.to).then_some(peer)
}

/// Somebody refuses our opening, and nobody can vouch for it.
fn refused(t: &mut Transport, now: Time, peer: Peer, reason: LostReason, events: &mut Vec<Event>) {
    if t.secrets.is_none() {
        return t.lose(peer, reason, events);
    }
    if let Some(State::Opening(opening)) = t.peers.get_mut(peer).map(|session| &mut session.state) {
        opening.hint(now, reason);
        let wake = opening.next_timeout();
        t.peers.wake_at(peer, Some(wake));
    }
}

/// A refusal; `covered` is all but its CRC.
pub(super) fn receive(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    covered: &[u8],
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    let read = |bytes: &[u8]| {
        let mut reader = Reader::new(bytes);
        Prefix::read(&mut reader)?;
        whole(Reset::read, &mut reader)
    };
    // The longer ones are vouched for.
    if covered.len() + 4 == SEALED_RESET_BYTES
        && let Some(secrets) = &t.secrets
    {
        let said = secrets.voucher.check(covered)?;
        let reset = read(said)?;
        return no_session(t, now, from, prefix, reset, events);
    }
    match read(covered)? {
        Reset { reason: ResetReason::Protection, .. } => {
            other_protection(t, now, from, prefix, prefix.flags.protection()?, events)
        }
        Reset { reason: ResetReason::WrongKey, .. } if t.secrets.is_some() => {
            if let Some(peer) = opening(t, from, prefix) {
                t.counters.wrong_key += 1;
                refused(t, now, peer, LostReason::WrongKey, events);
            }
            Ok(())
        }
        reset @ Reset { reason: ResetReason::NoSession, .. } if t.secrets.is_none() => {
            no_session(t, now, from, prefix, reset, events)
        }
        _ => Err(WireError::Value),
    }
}

/// There is no session of these numbers, says who can be believed.
fn no_session(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    reset: Reset,
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    let is_sealed = t.secrets.is_some();
    let current = t.peers.at(from);
    let Some((peer, State::Up(link))) = current.and_then(|peer| Some((peer, &mut t.peers.get_mut(peer)?.state))) else {
        t.counters.replays_dropped += u64::from(is_sealed);
        return Ok(());
    };
    let is_ours = link.agreed.local == prefix.to && link.agreed.remote == prefix.from;
    if !is_ours && !t.planted.has(Bug::StaleResetObeyed) {
        t.counters.replays_dropped += u64::from(is_sealed);
        return Ok(());
    }
    t.counters.resets_received += 1;
    if link.agreed.boot.0 == reset.boot {
        t.lose(peer, LostReason::Reset, events);
    } else if is_sealed {
        doubt(t, now, peer, LostReason::Restarted);
    } else {
        t.lose(peer, LostReason::Restarted, events);
    }
    Ok(())
}

/// Something says that the peer of an open session is gone, and cannot prove it: the peer is asked, and has a moment to answer.
pub(super) fn doubt(t: &mut Transport, now: Time, peer: Peer, reason: LostReason) {
    let Some(session) = t.peers.get_mut(peer) else { return };
    if let State::Up(link) = &mut session.state {
        link.doubt(now, reason);
        let wake = link.next_timeout(&t.config);
        t.peers.wake_at(peer, wake);
        t.peers.enqueue(peer);
    }
}

/// Our hello, if it was ours, has found somebody who guards data in another way: there will be no session.
pub(super) fn other_protection(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    theirs: Protection,
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    let ours = t.config.security.protection();
    if theirs != ours
        && let Some(peer) = opening(t, from, prefix)
    {
        t.counters.protection_mismatches += 1;
        refused(t, now, peer, LostReason::Protection { ours, theirs }, events);
    }
    Ok(())
}

/// The prefix, the CRC and a reset are the same in every version.
pub(super) fn foreign_version(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    body: &[u8],
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    t.counters.version_mismatches += 1;
    if prefix.kind == Kind::Hello {
        send(t, now, from, prefix, ResetReason::Version, crate::wire::PREFIX_BYTES + body.len());
    } else if prefix.kind == Kind::Reset
        && Reset::read(&mut Reader::new(body))?.reason == ResetReason::Version
        && let Some(peer) = opening(t, from, prefix)
    {
        refused(t, now, peer, LostReason::Version { theirs: prefix.version }, events);
    }
    Ok(())
}
