//! What arrives, sorted, and what becomes of data: it goes to its session, or proves that one has begun.

use std::net::SocketAddr;

use super::guard::Guard;
use super::link::Agreed;
use super::opening::Opening;
use super::peers::State;
use super::{Event, LostReason, Peer, Transport, handshake, refusal};
use crate::Security;
use crate::planted::Bug;
use crate::security::data::PACKETS_MAX;
use crate::time::Time;
use crate::wire::{AckBlock, Flags, Integrity, Kind, PREFIX_BYTES, Prefix, Reader, ResetReason, SEAL_BYTES};
use crate::wire::{SEALED_HEADER_BYTES, VERSION, WireError, data_header_bytes};

/// A data datagram behind its prefix.
pub(super) struct DataBody<'a> {
    pub flags: Flags,
    pub packet: u64,
    pub ack: AckBlock,
    pub frames: Reader<'a>,
    /// Where the frames end in the datagram.
    pub end: usize,
}

impl<'a> DataBody<'a> {
    /// Reads it from a datagram without its trailer.
    fn read(prefix: &Prefix, covered: &'a [u8]) -> Result<DataBody<'a>, WireError> {
        let mut reader = Reader::new(covered.get(PREFIX_BYTES..).ok_or(WireError::Short)?);
        let packet = reader.u64()?;
        let ack = AckBlock::read(&mut reader)?;
        Ok(DataBody { flags: prefix.flags, packet, ack, frames: reader, end: covered.len() })
    }
}

pub(super) fn receive(t: &mut Transport, now: Time, from: SocketAddr, datagram: &mut [u8], events: &mut Vec<Event>) {
    match sort(t, now, from, datagram, events) {
        Ok(()) => {}
        Err(WireError::Corrupt) => t.counters.corrupt_dropped += 1,
        Err(WireError::Replayed) => t.counters.replays_dropped += 1,
        Err(WireError::Short | WireError::Foreign | WireError::Value) => t.counters.garbage_dropped += 1,
    }
}

fn sort(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    datagram: &mut [u8],
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    let prefix = Prefix::read(&mut Reader::new(datagram))?;
    let is_foreign = prefix.version != VERSION;
    if prefix.kind == Kind::Data && !is_foreign {
        let Security::Plain(integrity) = t.config.security else {
            return sealed_data(t, now, from, &prefix, datagram, events);
        };
        let covered = checked(t, integrity, datagram)?;
        return plain_data(t, now, from, &prefix, covered, events);
    }
    let covered = checked(t, Integrity::Crc32, datagram)?;
    let body = covered.get(PREFIX_BYTES..).ok_or(WireError::Short)?;
    match prefix.kind {
        _ if is_foreign => refusal::foreign_version(t, now, from, &prefix, body, events),
        Kind::Hello => handshake::hello(t, now, from, &prefix, body),
        Kind::HelloAck => handshake::hello_ack(t, now, from, &prefix, body, events),
        Kind::Reset => refusal::receive(t, now, from, &prefix, covered, events),
        Kind::Data => Ok(()),
    }
}

/// The datagram without its trailer, if that matches.
fn checked<'a>(t: &Transport, integrity: Integrity, datagram: &'a [u8]) -> Result<&'a [u8], WireError> {
    match integrity.open(datagram) {
        Err(WireError::Corrupt) if t.planted.has(Bug::DamageAccepted) => {
            Ok(&datagram[..datagram.len() - integrity.trailer_bytes()])
        }
        opened => opened,
    }
}

/// The open session that the numbers of a datagram name.
fn named(t: &mut Transport, from: SocketAddr, prefix: &Prefix) -> Option<Peer> {
    let peer = t.peers.at(from)?;
    let State::Up(link) = &t.peers.get(peer)?.state else { return None };
    let is_it = link.agreed.local == prefix.to && link.agreed.remote == prefix.from;
    (is_it || t.planted.has(Bug::StaleSessionAccepted)).then_some(peer)
}

fn plain_data(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    covered: &[u8],
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    let body = DataBody::read(prefix, covered)?;
    if let Some(peer) = named(t, from, prefix) {
        t.data(now, peer, body, events);
        return Ok(());
    }
    match t.candidates.find(now, from, |c| c.local == prefix.to && c.remote == prefix.from) {
        Some(agreed) => {
            t.candidates.settle(from, &agreed);
            let Security::Plain(integrity) = t.config.security else { return Ok(()) };
            if let Some(peer) = begin(t, now, from, agreed, Guard::Plain(integrity), events) {
                t.data(now, peer, body, events);
            }
        }
        None => unknown(t, now, from, prefix, covered.len()),
    }
    Ok(())
}

fn sealed_data(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    datagram: &mut [u8],
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    if datagram.len() < data_header_bytes(0) + SEAL_BYTES {
        return Err(WireError::Short);
    }
    let packet = datagram.get(PREFIX_BYTES..).and_then(|rest| rest.first_chunk()).ok_or(WireError::Short)?;
    let packet = u64::from_be_bytes(*packet);
    if packet >= PACKETS_MAX {
        return Err(WireError::Value);
    }
    if let Some(peer) = named(t, from, prefix) {
        let Some(State::Up(link)) = t.peers.get_mut(peer).map(|session| &mut session.state) else { return Ok(()) };
        let end = link.guard.open(prefix.flags, packet, datagram, t.planted)?;
        let covered = datagram.get(..end).unwrap_or_default();
        t.data(now, peer, DataBody::read(prefix, covered)?, events);
        return Ok(());
    }
    // The sender has seen our answer to its hello if it has the keys that came of it.
    let Some(keys) = t.candidates.keys_mut(now, from, prefix.to, prefix.from) else {
        unknown(t, now, from, prefix, datagram.len());
        return Ok(());
    };
    if !prefix.flags.has(Flags::INITIATOR) {
        return Err(WireError::Corrupt);
    }
    let end = keys.open.open(packet, SEALED_HEADER_BYTES, datagram)?;
    let body = DataBody::read(prefix, datagram.get(..end).unwrap_or_default())?;
    let found = t.candidates.find(now, from, |c| c.local == prefix.to && c.remote == prefix.from);
    let Some((agreed, keys)) = found.and_then(|agreed| Some((agreed, t.candidates.settle(from, &agreed)?))) else {
        return Ok(());
    };
    let mut guard = Guard::sealed(keys);
    guard.note(packet);
    if let Some(peer) = begin(t, now, from, agreed, guard, events) {
        t.data(now, peer, body, events);
    }
    Ok(())
}

/// Data for a session that is not known.
fn unknown(t: &mut Transport, now: Time, from: SocketAddr, prefix: &Prefix, length: usize) {
    let current = t.peers.at(from);
    let state = current.and_then(|peer| t.peers.get(peer)).map(|session| &session.state);
    // Our hello's answer is still on its way: it will be sent again, and so will this.
    if !matches!(state, Some(State::Opening(opening)) if opening.local == prefix.to) {
        refusal::send(t, now, from, prefix, ResetReason::NoSession, length);
    }
}

/// A peer has proven that it saw our answer to its hello: its session begins, an older one is over.
fn begin(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    agreed: Agreed,
    guard: Guard,
    events: &mut Vec<Event>,
) -> Option<Peer> {
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
        None => t.peers.insert(from, State::Opening(Opening::new(now, agreed.local, now, Vec::new(), None)))?,
    };
    t.open(now, peer, agreed, guard, events);
    // It may have been over at once.
    t.peers.get(peer).map(|session| session.peer)
}
