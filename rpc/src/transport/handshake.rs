//! Openings: hellos and their answers, with a key and without.

use std::net::SocketAddr;

use super::guard::Guard;
use super::link::Agreed;
use super::opening::{Opening, Sealed};
use super::path::fragment_bytes;
use super::peers::State;
use super::{BootEpoch, Event, Transport, TransportConfig, control, refusal};
use crate::planted::Bug;
use crate::security::noise::Responder;
use crate::time::Time;
use crate::wire::{DATAGRAM_MIN, Flags, Hello, Kind, PREFIX_BYTES, Prefix, Reader, ResetReason, SEALED_HELLO_BYTES};
use crate::wire::{SessionId, WireError};

/// What we say of ourselves to a peer.
fn own_hello(config: &TransportConfig, boot: BootEpoch, addr: SocketAddr) -> Hello {
    let datagram_max = if addr.ip().is_loopback() { config.datagram_max_loopback } else { config.datagram_max };
    Hello {
        boot: boot.0,
        datagram_max: u32::try_from(datagram_max).unwrap_or(u32::MAX),
        message_max: u32::try_from(config.max_message).unwrap_or(u32::MAX),
    }
}

/// The prefix of a hello or an answer, which says what guards our data.
fn own_prefix(config: &TransportConfig, kind: Kind, to: SessionId, from: SessionId) -> Prefix {
    Prefix { flags: Flags::of(config.security.protection()), ..Prefix::new(kind, to, from) }
}

/// Begins to open a session: the hello is written once, and the same is sent again until it is answered.
pub(super) fn opening(t: &mut Transport, now: Time, addr: SocketAddr, local: SessionId) -> Opening {
    let hello = own_hello(&t.config, t.boot, addr);
    let prefix = own_prefix(&t.config, Kind::Hello, SessionId::UNKNOWN, local);
    let give_up_at = now + t.config.connect_timeout;
    match &mut t.secrets {
        None => Opening::new(now, local, give_up_at, control::plain_hello(prefix, hello), None),
        Some(secrets) => {
            let (bytes, initiator) = control::sealed_hello(prefix, hello, secrets);
            Opening::new(now, local, give_up_at, bytes, Some(initiator))
        }
    }
}

/// What a peer's hello and ours come to.
fn agree(t: &Transport, addr: SocketAddr, local: SessionId, remote: SessionId, theirs: Hello) -> Agreed {
    let ours = own_hello(&t.config, t.boot, addr);
    let datagram_max = ours.datagram_max.min(theirs.datagram_max) as usize;
    let fragments_hold = fragment_bytes(datagram_max, t.config.security.protection()) * usize::from(u16::MAX);
    Agreed {
        boot: BootEpoch(theirs.boot),
        local,
        remote,
        datagram_max,
        message_max: (ours.message_max.min(theirs.message_max) as usize).min(fragments_hold),
    }
}

/// Whether a correct sender would say this.
fn check(prefix: &Prefix, theirs: Hello) -> Result<(), WireError> {
    let is_sound = theirs.datagram_max as usize >= DATAGRAM_MIN && prefix.from.0 != 0;
    if is_sound { Ok(()) } else { Err(WireError::Value) }
}

/// Reads what fills the rest of a datagram.
pub(super) fn whole<'a, T>(
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
    reader: &mut Reader<'a>,
) -> Result<T, WireError> {
    let value = read(reader)?;
    if reader.remaining() == 0 { Ok(value) } else { Err(WireError::Value) }
}

/// A hello; `body` is what stands between its prefix and its CRC.
pub(super) fn hello(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    body: &[u8],
) -> Result<(), WireError> {
    // Of a kind that is not known here, too: the refusal says what is.
    if prefix.flags.protection() != Ok(t.config.security.protection()) {
        t.counters.protection_mismatches += 1;
        refusal::send(t, now, from, prefix, ResetReason::Protection, PREFIX_BYTES + body.len());
        return Ok(());
    }
    if t.secrets.is_some() {
        return sealed_hello(t, now, from, prefix, body);
    }
    let theirs = whole(Hello::read, &mut Reader::new(body))?;
    check(prefix, theirs)?;
    let boot = BootEpoch(theirs.boot);
    let planted = t.planted;
    let known = match session(t, from) {
        Some(State::Up(link)) if planted.has(Bug::StaleEpochAccepted) => {
            Some(Agreed { remote: prefix.from, ..link.agreed })
        }
        // The answer was lost.
        Some(State::Up(link)) if link.agreed.remote == prefix.from && link.agreed.boot == boot => Some(link.agreed),
        _ => None,
    };
    let known = known.or_else(|| t.candidates.find(now, from, |c| c.remote == prefix.from && c.boot == boot));
    let agreed = known.unwrap_or_else(|| {
        let local = answering_id(t, from);
        let agreed = agree(t, from, local, prefix.from, theirs);
        t.candidates.add(from, agreed, now, now + 2 * t.config.connect_timeout, None);
        agreed
    });
    let ours = own_hello(&t.config, t.boot, from);
    let prefix = own_prefix(&t.config, Kind::HelloAck, agreed.remote, agreed.local);
    t.counters.hellos_answered += u64::from(t.controls.push(from, control::plain_hello(prefix, ours)));
    Ok(())
}

/// The same with a key. The answer is as long as the question, and the question alone changes nothing.
fn sealed_hello(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    message: &[u8],
) -> Result<(), WireError> {
    if message.len() != SEALED_HELLO_BYTES - PREFIX_BYTES - 4 {
        return Err(WireError::Value);
    }
    if let Some(answer) = t.candidates.answer_to(now, from, prefix.from, message) {
        let answer = answer.to_vec();
        t.counters.hellos_answered += u64::from(t.controls.push(from, answer));
        return Ok(());
    }
    let Some(secrets) = &mut t.secrets else { return Ok(()) };
    let ephemeral = secrets.ephemeral();
    let Some((payload, responder)) = Responder::hear(&secrets.key, ephemeral, message) else {
        t.counters.wrong_key += 1;
        refusal::send(t, now, from, prefix, ResetReason::WrongKey, PREFIX_BYTES + message.len());
        return Ok(());
    };
    let (said, theirs) = control::read_payload(payload.bytes())?;
    check(prefix, theirs)?;
    // What stands outside has been changed, or it is our own hello that comes back.
    if said != *prefix || theirs.boot == t.boot.0 {
        return Err(WireError::Value);
    }
    // The session that it asked for is open: a copy, or it crossed ours.
    if let Some(State::Up(link)) = session(t, from)
        && link.agreed.remote == prefix.from
        && link.agreed.boot.0 == theirs.boot
    {
        t.counters.replays_dropped += 1;
        return Ok(());
    }
    let local = answering_id(t, from);
    let agreed = agree(t, from, local, prefix.from, theirs);
    let ours = own_hello(&t.config, t.boot, from);
    let prefix = own_prefix(&t.config, Kind::HelloAck, agreed.remote, agreed.local);
    let (answer, keys) = control::sealed_answer(prefix, ours, responder);
    let sealed = Sealed { question: message.into(), answer: answer.clone().into(), keys };
    t.candidates.add(from, agreed, now, now + 2 * t.config.connect_timeout, Some(sealed));
    t.counters.hellos_answered += u64::from(t.controls.push(from, answer));
    Ok(())
}

/// The number under which an answer to a hello from there is to be addressed. When both sides open at once, it is the one that our
/// own hello carries.
fn answering_id(t: &mut Transport, from: SocketAddr) -> SessionId {
    match session(t, from) {
        Some(State::Opening(Opening { local, .. })) => *local,
        _ => t.new_session_id(),
    }
}

fn session(t: &mut Transport, from: SocketAddr) -> Option<&State> {
    let peer = t.peers.at(from)?;
    t.peers.get(peer).map(|session| &session.state)
}

/// The answer to a hello.
pub(super) fn hello_ack(
    t: &mut Transport,
    now: Time,
    from: SocketAddr,
    prefix: &Prefix,
    body: &[u8],
    events: &mut Vec<Event>,
) -> Result<(), WireError> {
    // Whoever knows of no other kind than its own answers all the same.
    let theirs = prefix.flags.protection()?;
    if theirs != t.config.security.protection() {
        return refusal::other_protection(t, now, from, prefix, theirs, events);
    }
    let asked = t.peers.at(from).filter(|peer| {
        let state = t.peers.get(*peer).map(|session| &session.state);
        matches!(state, Some(State::Opening(opening)) if opening.local == prefix.to)
    });
    let Some(peer) = asked else {
        t.counters.replays_dropped += u64::from(t.secrets.is_some());
        return Ok(());
    };
    let Some(State::Opening(opening)) = t.peers.get_mut(peer).map(|session| &mut session.state) else { return Ok(()) };
    let started = opening.started;
    let (remote, theirs, mut guard) = match (&mut opening.initiator, &t.config.security) {
        (Some(initiator), _) => {
            let Some((payload, keys)) = initiator.finish(body) else {
                t.counters.wrong_key += 1;
                return Ok(());
            };
            // Its own word counts: what stands outside may have been changed.
            let (said, theirs) = control::read_payload(payload.bytes())?;
            (said.from, theirs, Guard::sealed(keys))
        }
        (None, crate::Security::Plain(integrity)) => {
            (prefix.from, whole(Hello::read, &mut Reader::new(body))?, Guard::Plain(*integrity))
        }
        (None, crate::Security::PreShared(_)) => return Ok(()),
    };
    check(&Prefix { from: remote, ..*prefix }, theirs)?;
    let agreed = agree(t, from, prefix.to, remote, theirs);
    t.candidates.drop_dead(from, agreed.boot, started);
    if let Some(keys) = t.candidates.settle(from, &agreed) {
        guard.open_also(keys);
    }
    t.open(now, peer, agreed, guard, events);
    Ok(())
}
