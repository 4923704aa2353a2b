//! What arrives, sorted: openings, refusals, other versions, and data for open sessions.

use std::net::SocketAddr;

use super::control::Control;
use super::link::Agreed;
use super::opening::Opening;
use super::path::fragment_bytes;
use super::peers::State;
use super::{BootEpoch, Event, LostReason, Transport, TransportConfig};
use crate::planted::Bug;
use crate::time::Time;
use crate::wire::{AckBlock, DATAGRAM_MIN, Flags, Hello, Integrity, Kind, Prefix, Reader, Reset, ResetReason};
use crate::wire::{VERSION, WireError};

/// A data datagram behind its prefix.
pub(super) struct DataBody<'a> {
    pub flags: Flags,
    pub packet: u64,
    pub ack: AckBlock,
    pub frames: Reader<'a>,
    /// Where the frames end in the datagram.
    pub end: usize,
}

/// What we say of ourselves to a peer.
pub(super) fn own_hello(config: &TransportConfig, boot: BootEpoch, addr: SocketAddr) -> Hello {
    let datagram_max = if addr.ip().is_loopback() { config.datagram_max_loopback } else { config.datagram_max };
    Hello {
        boot: boot.0,
        datagram_max: u32::try_from(datagram_max).unwrap_or(u32::MAX),
        message_max: u32::try_from(config.max_message).unwrap_or(u32::MAX),
    }
}

/// What a peer's hello and ours come to.
fn agree(
    transport: &Transport,
    addr: SocketAddr,
    local: crate::wire::SessionId,
    prefix: &Prefix,
    theirs: Hello,
) -> Agreed {
    let ours = own_hello(&transport.config, transport.boot, addr);
    let datagram_max = ours.datagram_max.min(theirs.datagram_max) as usize;
    let fragments_hold = fragment_bytes(datagram_max, transport.config.integrity) * usize::from(u16::MAX);
    Agreed {
        boot: BootEpoch(theirs.boot),
        local,
        remote: prefix.from,
        datagram_max,
        message_max: (ours.message_max.min(theirs.message_max) as usize).min(fragments_hold),
    }
}

pub(super) fn receive(t: &mut Transport, now: Time, from: SocketAddr, datagram: &[u8], events: &mut Vec<Event>) {
    match sort(t, now, from, datagram, events) {
        Ok(()) => {}
        Err(WireError::Corrupt) => t.counters.corrupt_dropped += 1,
        Err(WireError::Short | WireError::Foreign | WireError::Value) => t.counters.garbage_dropped += 1,
    }
}

fn sort(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    datagram: &[u8],
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    let prefix = Prefix::read(&mut Reader::new(datagram))?;
    let integrity = if prefix.kind == Kind::Data { t.config.integrity } else { Integrity::Crc32 };
    let covered = match integrity.open(datagram) {
        Err(WireError::Corrupt) if t.planted.has(Bug::DamageAccepted) => {
            &datagram[..datagram.len() - integrity.trailer_bytes()]
        }
        opened => opened?,
    };
    let mut reader = Reader::new(covered);
    let _ = Prefix::read(&mut reader)?;
    match prefix.kind {
        _ if prefix.version != VERSION => foreign_version(t, now, from, &prefix, &mut reader, events),
        Kind::Hello => hello(t, now, from, &prefix, whole(Hello::read, &mut reader)?),
        Kind::HelloAck => hello_ack(t, now, from, &prefix, whole(Hello::read, &mut reader)?, events),
        Kind::Reset => reset(t, from, &prefix, whole(Reset::read, &mut reader)?, events),
        Kind::Data => {
            let packet = reader.u64()?;
            let ack = AckBlock::read(&mut reader)?;
            let body = DataBody { flags: prefix.flags, packet, ack, frames: reader, end: covered.len() };
            data(t, now, from, &prefix, body, events);
            Ok(())
        }
    }
}

/// Reads what fills the rest of a datagram.
fn whole<'a, T>(
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
    reader: &mut Reader<'a>,
) -> Result<T, WireError> {
    let value = read(reader)?;
    if reader.remaining() == 0 { Ok(value) } else { Err(WireError::Value) }
}

fn hello(t: &mut Transport, now: Time, from: SocketAddr, prefix: &Prefix, theirs: Hello) -> Result<(), WireError> {
    if (theirs.datagram_max as usize) < DATAGRAM_MIN || prefix.from.0 == 0 {
        return Err(WireError::Value);
    }
    // Of a kind that is not known here, too: the refusal says what is.
    if prefix.flags.integrity() != Ok(t.config.integrity) {
        t.counters.integrity_mismatches += 1;
        let reset = Reset { reason: ResetReason::Integrity, boot: t.boot.0 };
        t.controls.push(now, from, prefix.from, prefix.to, Control::Reset(reset));
        return Ok(());
    }
    let boot = BootEpoch(theirs.boot);
    let session = t.peers.at(from).and_then(|peer| t.peers.get(peer));
    let known = match session.map(|session| &session.state) {
        Some(State::Up(link)) if t.planted.has(Bug::StaleEpochAccepted) => {
            Some(Agreed { remote: prefix.from, ..link.agreed })
        }
        // The answer was lost.
        Some(State::Up(link)) if link.agreed.remote == prefix.from && link.agreed.boot == boot => Some(link.agreed),
        _ => None,
    };
    let opening = match session.map(|session| &session.state) {
        Some(State::Opening(Opening { local, .. })) => Some(*local),
        _ => None,
    };
    let known = known.or_else(|| t.candidates.find(now, from, |c| c.remote == prefix.from && c.boot == boot));
    let agreed = known.unwrap_or_else(|| {
        // Both sides open at once: the number that our own hello carries is the one that our answer carries.
        let local = opening.unwrap_or_else(|| t.new_session_id());
        let agreed = agree(t, from, local, prefix, theirs);
        t.candidates.add(from, agreed, now, now + 2 * t.config.connect_timeout);
        agreed
    });
    let ours = own_hello(&t.config, t.boot, from);
    t.controls.push(now, from, agreed.remote, agreed.local, Control::HelloAck(ours));
    Ok(())
}

fn hello_ack(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    theirs: Hello,
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    if (theirs.datagram_max as usize) < DATAGRAM_MIN || prefix.from.0 == 0 {
        return Err(WireError::Value);
    }
    // Whoever knows of no other kind than its own answers all the same.
    let integrity = prefix.flags.integrity()?;
    if integrity != t.config.integrity {
        return other_integrity(t, from, prefix, integrity, events);
    }
    let Some(peer) = t.peers.at(from) else { return Ok(()) };
    let asked = match t.peers.get(peer).map(|session| &session.state) {
        Some(State::Opening(opening)) if opening.local == prefix.to => Some(opening.started),
        _ => None,
    };
    if let Some(asked) = asked {
        let agreed = agree(t, from, prefix.to, prefix, theirs);
        t.candidates.drop_dead(from, agreed.boot, asked);
        t.candidates.settle(from, &agreed);
        t.open(now, peer, agreed, events);
    }
    Ok(())
}

fn reset(
    t: &mut Transport,
    from: SocketAddr,
    prefix: &Prefix,
    reset: Reset,
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    if reset.reason == ResetReason::Integrity {
        return other_integrity(t, from, prefix, prefix.flags.integrity()?, events);
    }
    let Some(peer) = t.peers.at(from) else { return Ok(()) };
    let Some(State::Up(link)) = t.peers.get(peer).map(|session| &session.state) else { return Ok(()) };
    let is_ours = link.agreed.local == prefix.to && link.agreed.remote == prefix.from;
    if !is_ours && !t.planted.has(Bug::StaleResetObeyed) {
        return Ok(());
    }
    let reason = if link.agreed.boot.0 == reset.boot { LostReason::Reset } else { LostReason::Restarted };
    t.counters.resets_received += 1;
    t.lose(peer, reason, events);
    Ok(())
}

/// Our hello, if it was ours, has found somebody who guards data in another way: there will be no session.
fn other_integrity(
    t: &mut Transport,
    from: SocketAddr,
    prefix: &Prefix,
    theirs: Integrity,
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    let ours = t.config.integrity;
    if theirs != ours
        && let Some(peer) = t.peers.at(from)
        && let Some(State::Opening(opening)) = t.peers.get(peer).map(|session| &session.state)
        && opening.local == prefix.to
    {
        t.counters.integrity_mismatches += 1;
        t.lose(peer, LostReason::Integrity { ours, theirs }, events);
    }
    Ok(())
}

/// The prefix, a hello's length and a reset are the same in every version.
fn foreign_version(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    reader: &mut Reader<'_>,
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    t.counters.version_mismatches += 1;
    if prefix.kind == Kind::Hello {
        let reset = Reset { reason: ResetReason::Version, boot: t.boot.0 };
        t.controls.push(now, from, prefix.from, prefix.to, Control::Reset(reset));
    } else if prefix.kind == Kind::Reset
        && Reset::read(reader)?.reason == ResetReason::Version
        && let Some(peer) = t.peers.at(from)
        && let Some(State::Opening(opening)) = t.peers.get(peer).map(|session| &session.state)
        && opening.local == prefix.to
    {
        t.lose(peer, LostReason::Version { theirs: prefix.version }, events);
    }
    Ok(())
}

fn data(t: &mut Transport, now: Time, from: SocketAddr, prefix: &Prefix, body: DataBody<'_>, events: &mut Vec<Event>) {
    let current = t.peers.at(from);
    let state = current.and_then(|peer| t.peers.get(peer)).map(|session| &session.state);
    if let (Some(peer), Some(State::Up(link))) = (current, state)
        && (link.agreed.local == prefix.to && link.agreed.remote == prefix.from
            || t.planted.has(Bug::StaleSessionAccepted))
    {
        return t.data(now, peer, body, events);
    }
    // Our hello's answer is still on its way: it will be sent again, and so will this.
    let is_early = matches!(state, Some(State::Opening(opening)) if opening.local == prefix.to);
    let proven = t.candidates.find(now, from, |c| c.local == prefix.to && c.remote == prefix.from);
    match proven {
        Some(agreed) => {
            t.candidates.settle(from, &agreed);
            if let Some(peer) = begin(t, now, from, agreed, events) {
                t.data(now, peer, body, events);
            }
        }
        None if is_early => {}
        None => {
            let reset = Reset { reason: ResetReason::NoSession, boot: t.boot.0 };
            t.controls.push(now, from, prefix.from, prefix.to, Control::Reset(reset));
        }
    }
}

/// A peer has proven that it saw our answer to its hello: its session begins, an older one is over.
fn begin(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    agreed: Agreed,
    events: &mut Vec<Event>,
) -> Option<super::Peer> {
    let current = t.peers.at(from);
    let older = match current.and_then(|peer| t.peers.get(peer)).map(|session| &session.state) {
        Some(State::Up(link)) if link.agreed.boot == agreed.boot => Some(LostReason::Reset),
        Some(State::Up(_)) => Some(LostReason::Restarted),
        Some(State::Opening(_)) | None => None,
    };
    if let (Some(peer), Some(reason)) = (current, older) {
        t.lose(peer, reason, events);
    }
    let peer = match t.peers.at(from) {
        Some(opening) => opening,
        None => t.peers.insert(from, State::Opening(Opening::new(now, agreed.local, now)))?,
    };
    t.open(now, peer, agreed, events);
    // It may have been over at once.
    t.peers.get(peer).map(|session| session.peer)
}
