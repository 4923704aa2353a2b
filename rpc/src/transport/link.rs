//! An open session: the two halves, joined with time. Says when to acknowledge, and when to send again.

use std::time::Duration;

use bytes::Bytes;

use super::config::TransportConfig;
use super::congestion::Congestion;
use super::guard::Guard;
use super::liveness::Liveness;
use super::path::{Path, datagram_charge, fragment_bytes};
use super::pool::Pool;
use super::random::Random;
use super::receive::{Accepted, ReceiveHalf};
use super::rtt::Rtt;
use super::send::{SendHalf, SendLimits};
use super::sent_times::SentTimes;
use super::types::{BootEpoch, Counters, LostReason, SendError};
use crate::planted::Planted;
use crate::security::data::PACKETS_MAX;
use crate::time::{Time, sooner};
use crate::wire::{AckBlock, Echo, Flags, Fragment, Kind, Prefix, RESERVED_WORDS, Reader, SessionId};
use crate::wire::{MAX_WORDS, WINDOW_FRAGMENTS, data_header_bytes};

/// Acknowledge at once when this much has arrived since the last acknowledgement: the sender's window must not run dry.
/// Two datagrams of the largest size are less, so that who asks for the next as soon as they have come needs no bare acknowledgement.
const ACK_EVERY_BYTES: usize = 160 << 10;
/// The same in fragments.
const ACK_EVERY_FRAGMENTS: usize = 128;

/// Where much is to be sent, so many acknowledgements are asked for in each window.
const ASKS: usize = 8;

/// When the timer runs out so often and nothing is acknowledged, what was known of the path counts no more (RFC 9002 section 7.6).
const STALLED: u32 = 2;

/// What two endpoints have agreed on.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Agreed {
    pub boot: BootEpoch,
    pub local: SessionId,
    pub remote: SessionId,
    pub datagram_max: usize,
    pub message_max: usize,
}

/// What a datagram carries beside its acknowledgement.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Content {
    Frames,
    Nothing,
    /// Padding up to this size.
    Probe(usize),
    /// The number of a probe that has come.
    Probed(u64),
}

impl Content {
    fn flags(self) -> Flags {
        match self {
            Content::Frames | Content::Nothing => Flags::NONE,
            Content::Probe(_) => Flags::PROBE,
            Content::Probed(_) => Flags::PROBED,
        }
    }
}

/// What an operation may use of its transport.
pub(super) struct Context<'a> {
    pub config: &'a TransportConfig,
    pub random: &'a mut Random,
    pub pool: &'a mut Pool,
    pub counters: &'a mut Counters,
    /// Takes what is about to be sealed.
    pub unsealed: Option<&'a mut Vec<u8>>,
}

/// An acknowledgement that has come and is not taken yet.
#[derive(Debug)]
struct Unread {
    ack: AckBlock,
    /// Whether its bitmap does not reach as far as its sender knows.
    is_cut: bool,
    /// When it came.
    at: Time,
    /// What was under way then.
    flying: usize,
}

/// An open session.
#[derive(Debug)]
pub(super) struct Link {
    pub agreed: Agreed,
    pub guard: Guard,
    pub send: SendHalf,
    pub receive: ReceiveHalf,
    /// Bytes of a message that may not be cut.
    uncut_max: Option<usize>,
    rtt: Rtt,
    congestion: Congestion,
    path: Path,
    /// A probe of the peer's has come, in the datagram of this number: it wants to know.
    probed: Option<u64>,
    /// What has left since an acknowledgement was last asked for.
    unasked_bytes: usize,
    sent: SentTimes,
    retransmit_at: Option<Time>,
    liveness: Liveness,
    /// The largest packet number seen, and when it came.
    newest: Option<(u64, Time)>,
    newest_echoed: Option<u64>,
    unread: Option<Unread>,
    ack_at: Option<Time>,
    ack_now: bool,
    unacked_bytes: usize,
    unacked_fragments: usize,
}

impl Link {
    pub fn new(now: Time, agreed: Agreed, guard: Guard, config: &TransportConfig) -> Self {
        let fragment_bytes = fragment_bytes(agreed.datagram_max, guard.protection());
        let congestion = Congestion::new(datagram_charge(fragment_bytes), config.window_bytes);
        let limits = SendLimits {
            fragment_bytes,
            window_bytes: congestion.window(),
            window_fragments: config.window_fragments.clamp(1, WINDOW_FRAGMENTS),
        };
        Link {
            agreed,
            guard,
            send: SendHalf::new(limits).teach(config.lessons),
            receive: ReceiveHalf::new(fragment_bytes, agreed.message_max).teach(config.lessons),
            uncut_max: config.lessons.no_fragmentation.then_some(fragment_bytes),
            rtt: Rtt::new(config.lessons),
            congestion,
            path: Path::new(agreed.datagram_max),
            probed: None,
            unasked_bytes: 0,
            sent: SentTimes::default(),
            retransmit_at: None,
            liveness: Liveness::new(now, agreed.local > agreed.remote),
            newest: None,
            newest_echoed: None,
            unread: None,
            ack_at: None,
            ack_now: false,
            unacked_bytes: 0,
            unacked_fragments: 0,
        }
    }

    /// Gives both halves and the link the transport's bug.
    pub fn plant(&mut self, planted: Planted) {
        self.liveness.planted = planted;
        self.send.planted = planted;
        self.receive.planted = planted;
    }

    /// Whether a message of so many bytes may be queued.
    pub fn check_size(&self, bytes: usize) -> Result<(), SendError> {
        match self.uncut_max {
            Some(limit) if bytes > limit => Err(SendError::NotFragmented { bytes, limit }),
            _ if bytes > self.agreed.message_max => Err(SendError::TooLarge { bytes, limit: self.agreed.message_max }),
            _ => Ok(()),
        }
    }

    /// Whether [`Self::transmit`] would write a datagram.
    pub fn wants_transmit(&self) -> bool {
        let has_something =
            self.ack_now || self.liveness.asks() || self.probed.is_some() || self.path.probe().is_some();
        (has_something || self.send.can_fill()) && !self.is_exhausted()
    }

    /// A datagram of this session has come: takes its packet number, and its acknowledgement now or in
    /// [`Self::read`]. An acknowledgement of what was never sent is an error, and nothing of that datagram counts.
    pub fn heard(&mut self, now: Time, packet: u64, flags: Flags, ack: AckBlock, cx: &mut Context<'_>) -> bool {
        if ack.echo.is_some_and(|echo| echo.packet >= self.sent.next()) || !self.send.is_possible(&ack) {
            return false;
        }
        self.read(cx);
        self.liveness.confirm();
        // A late copy of what the peer once sent is no sign of life.
        if self.newest.is_none_or(|(newest, _)| packet > newest) {
            self.newest = Some((packet, now));
            self.liveness.heard(now, cx.config);
        }
        self.ack_now |= flags.has(Flags::PING);
        let (flying, waits) = (self.send.flying_bytes(), self.send.is_in_no_hurry(&ack) && self.sent.is_short());
        self.unread = Some(Unread { ack, is_cut: flags.has(Flags::CUT), at: now, flying });
        if !waits {
            self.read(cx);
            self.arm(now, cx);
        }
        true
    }

    /// Takes the acknowledgement that came last, if that was not done yet.
    pub fn read(&mut self, cx: &mut Context<'_>) {
        let Some(Unread { ack, is_cut, at, flying }) = self.unread.take() else { return };
        let (queued, flying_now) = (self.send.queued_bytes(), self.send.flying_bytes());
        let Ok(progress) = self.send.acked(&ack, is_cut, cx.pool) else { return };
        if let Some(echo) = ack.echo {
            self.sample(at, echo);
        }
        let acked = queued - self.send.queued_bytes();
        // What was found lost before and has arrived all the same is taken off again.
        self.congestion.lost((flying_now - self.send.flying_bytes()).saturating_sub(acked));
        if acked > 0 {
            self.congestion.acked(at, acked, flying);
        }
        self.send.set_window(self.congestion.window());
        cx.counters.fast_retransmissions += progress.lost as u64;
        self.path.lost(progress.lost);
        if progress.acked > 0 {
            if !self.send.is_flying() {
                self.send.rest();
                self.sent.rest();
            }
            self.rtt.progress();
            self.retransmit_at = None;
        }
    }

    /// Fragments that are not acknowledged, sent or not.
    pub fn unacknowledged(&self) -> usize {
        match &self.unread {
            Some(unread) => self.send.outstanding_after(&unread.ack),
            None => self.send.outstanding(),
        }
    }

    /// Takes a datagram that was [`Self::heard`] and is about the path alone; false when it is another.
    pub fn about_the_path(&mut self, packet: u64, flags: Flags, body: &Reader<'_>) -> bool {
        if flags.has(Flags::PROBE) {
            self.probed = Some(packet);
        } else if flags.has(Flags::PROBED)
            && let Ok(packet) = body.clone().u64()
        {
            self.path.answered(packet);
        }
        flags.has(Flags::PROBE) || flags.has(Flags::PROBED)
    }

    /// How large datagrams may be now.
    pub fn datagram_size(&self) -> usize {
        self.path.size()
    }

    /// Whether no fragment would fit into so few bytes.
    pub fn needs_more_than(&self, limit: usize) -> bool {
        self.path.needs_more_than(limit)
    }

    /// No datagram of more than `limit` bytes passes; false when not even one fragment would.
    pub fn narrowed(&mut self, now: Time, limit: usize) -> bool {
        self.path.refuse(now, limit);
        self.path.carries_base()
    }

    fn sample(&mut self, now: Time, echo: Echo) {
        if self.newest_echoed.is_some_and(|newest| echo.packet <= newest) {
            return;
        }
        self.newest_echoed = Some(echo.packet);
        let waited = Duration::from_micros(u64::from(echo.waited_us));
        if let Some(sent) = self.sent.at(echo.packet)
            && let Some(round_trip) = (now - sent).checked_sub(waited)
        {
            self.rtt.sample(round_trip);
            if let Some(smoothed) = self.rtt.smoothed() {
                self.congestion.sample(now, round_trip, smoothed);
            }
        }
    }

    /// One fragment of a datagram that was [`Self::heard`].
    pub fn accept(
        &mut self,
        now: Time,
        fragment: Fragment,
        bytes: &[u8],
        allowance: usize,
        cx: &mut Context<'_>,
    ) -> Accepted {
        let asked = self.ack_now;
        let accepted = self.receive.accept(fragment, bytes, allowance);
        match accepted {
            Accepted::Single | Accepted::Part | Accepted::Assembled(_) => {
                cx.counters.fragments_received += 1;
                self.unacked_bytes += bytes.len();
                self.unacked_fragments += 1;
                self.ack_now |= self.receive.has_gap()
                    || self.unacked_bytes >= ACK_EVERY_BYTES
                    || self.unacked_fragments >= ACK_EVERY_FRAGMENTS;
            }
            // Its sender has missed our acknowledgement, or sent again too early: tell it soon.
            Accepted::Duplicate => {
                cx.counters.duplicates_dropped += 1;
                self.ack_now = true;
            }
            Accepted::Refused => cx.counters.overflow_dropped += 1,
            Accepted::Invalid => cx.counters.garbage_dropped += 1,
        }
        // Without a delay it goes before any answer to what came.
        self.ack_now |= cx.config.ack_delay.is_zero();
        if self.ack_at.is_none() {
            self.ack_at = Some(now + cx.config.ack_delay);
        }
        if cx.config.lessons.no_working_acks {
            (self.ack_now, self.ack_at) = (asked, None);
        }
        accepted
    }

    /// Starts the retransmission timer if something is under way and it does not run.
    pub fn arm(&mut self, now: Time, cx: &mut Context<'_>) {
        if self.retransmit_at.is_some() || self.send.outstanding() == 0 || !self.send.is_flying() {
            return;
        }
        let timeout = crate::time::nanoseconds(self.rtt.timeout(cx.config.ack_delay));
        // Up to an eighth of jitter, so that peers that lost together do not come back together.
        let jitter = cx.random.below(timeout / 8);
        self.retransmit_at = Some(now + Duration::from_nanos(timeout + jitter));
    }

    /// Writes the next datagram, if there is one: to `out`, but for what stands before its trailer and is `lent`.
    pub fn transmit(&mut self, now: Time, out: &mut Vec<u8>, lent: Option<&mut Bytes>, cx: &mut Context<'_>) -> bool {
        if !self.wants_transmit() {
            return false;
        }
        let mut lent = lent.filter(|_| self.guard.lends());
        let packet = self.sent.next();
        let mut ack = self.receive.ack(self.newest.map(|(packet, at)| Echo { packet, waited_us: micros(now - at) }));
        let content = self.content(&ack);
        let is_bare = !matches!(content, Content::Frames);
        let mut flags = content.flags().with(self.guard.flags());
        if ack.cut(self.words_max(is_bare)) {
            flags = flags.with(Flags::CUT);
        }
        let (pings, asks) = (self.liveness.asks(), !is_bare && self.asks());
        if pings || asks {
            flags = flags.with(Flags::PING);
        }
        cx.counters.pings += u64::from(pings);
        Prefix { flags, ..Prefix::new(Kind::Data, self.agreed.remote, self.agreed.local) }.write(out);
        out.extend_from_slice(&packet.to_be_bytes());
        ack.write(out);
        match content {
            Content::Frames => {
                self.fill(now, packet, out, lent.as_deref_mut(), cx);
                if asks {
                    self.unasked_bytes = 0;
                }
            }
            Content::Nothing => cx.counters.acks_bare += u64::from(!pings),
            Content::Probed(probe) => out.extend_from_slice(&probe.to_be_bytes()),
            Content::Probe(size) => out.resize(size.saturating_sub(self.guard.protection().trailer_bytes()), 0),
        }
        if matches!(content, Content::Frames | Content::Nothing) {
            self.guard.pad(out, self.path.size());
        }
        if let Some(unsealed) = &mut cx.unsealed {
            unsealed.extend_from_slice(out);
        }
        self.guard.seal(packet, out, lent.as_deref().map_or(&[], |lent| lent));
        self.sent.record(now);
        match content {
            // What it acknowledges goes out once more: it may be lost for being large.
            Content::Probe(_) => {
                cx.counters.probes += 1;
                self.path.sent(now, packet, self.rtt.timeout(cx.config.ack_delay));
                return true;
            }
            Content::Probed(_) => self.probed = None,
            Content::Frames | Content::Nothing => {}
        }
        self.ack_now = false;
        self.ack_at = None;
        self.unacked_bytes = 0;
        self.unacked_fragments = 0;
        self.liveness.asked();
        true
    }

    /// What the next datagram carries beside its acknowledgement.
    fn content(&self, ack: &AckBlock) -> Content {
        if let Some(probe) = self.probed {
            return Content::Probed(probe);
        }
        if let Some(size) = self.path.probe() {
            return Content::Probe(size);
        }
        // A bitmap that does not fit beside frames travels alone first.
        let is_long = self.ack_now && ack.words().len() > RESERVED_WORDS;
        if is_long || !self.send.can_fill() { Content::Nothing } else { Content::Frames }
    }

    /// Appends frames to a datagram.
    fn fill(&mut self, now: Time, packet: u64, out: &mut Vec<u8>, lent: Option<&mut Bytes>, cx: &mut Context<'_>) {
        let room = self.path.size().saturating_sub(out.len() + self.guard.protection().trailer_bytes());
        // Of what flies, an acknowledgement that is not read yet may know better.
        let (idle, flying) = (!self.send.is_flying() || self.unread.is_some(), self.send.flying_bytes());
        // Half a round trip is the way there.
        let arrival = now + self.rtt.smoothed().unwrap_or_default() / 2;
        let filled = self.send.fill(arrival, packet, room, out, lent);
        self.unasked_bytes += self.send.flying_bytes() - flying;
        if self.liveness.is_confirmed() && self.send.can_fill() {
            self.path.want(now);
        }
        cx.counters.fragments_sent += filled.fresh as u64;
        cx.counters.retransmissions += filled.again as u64;
        if idle && filled.again == 0 {
            self.liveness.owes(now);
        }
    }

    /// Whether the next datagram, one of many, asks to be acknowledged at once (SCTP does so by a bit, too: RFC 7053). Who sends
    /// knows the window, and so how often it must hear; who receives does not know whether more is coming.
    fn asks(&self) -> bool {
        let unit = self.congestion.unit();
        if self.send.waiting_bytes() <= unit {
            return false;
        }
        let (window, flying) = (self.congestion.window(), self.send.flying_bytes());
        // Of what is under way, something earlier may have asked: its answer makes room as well, where more than that fits the window.
        let is_last = flying + 2 * unit > window && (self.unasked_bytes >= flying || window < 4 * unit);
        is_last || self.unasked_bytes + unit >= (window / ASKS).max(2 * unit)
    }

    fn words_max(&self, bare: bool) -> usize {
        let room = self.path.size() - data_header_bytes(0) - self.guard.protection().trailer_bytes();
        if bare { MAX_WORDS.min(room / 8) } else { RESERVED_WORDS }
    }

    /// When [`Self::timeout`] has something to do.
    pub fn next_timeout(&self, config: &TransportConfig) -> Option<Time> {
        if self.is_exhausted() {
            return Some(Time::ZERO);
        }
        // Asked for with each datagram: no list is made of them.
        let own = sooner(sooner(self.ack_at, self.retransmit_at), self.path.next_timeout());
        sooner(own, self.liveness.next_timeout(self.send.outstanding() > 0, config))
    }

    /// Does what is due; a reason ends the session.
    pub fn timeout(&mut self, now: Time, cx: &mut Context<'_>) -> Option<LostReason> {
        if let Some(reason) = self.liveness.timeout(now, self.send.outstanding() > 0, cx.config) {
            return Some(reason);
        }
        if self.is_exhausted() {
            return Some(LostReason::Exhausted);
        }
        if self.ack_at.is_some_and(|at| at <= now) {
            self.ack_at = None;
            self.ack_now = true;
        }
        self.path.timeout(now);
        if self.retransmit_at.is_some_and(|at| at <= now) {
            let age = self.rtt.timeout(cx.config.ack_delay);
            self.path.doubt();
            let flying = self.send.flying_bytes();
            self.send.expired(self.sent.newest_before(now, age));
            self.rtt.back_off();
            self.congestion.lost(flying - self.send.flying_bytes());
            if self.rtt.backed_off() >= STALLED {
                self.congestion.stalled();
                self.send.set_window(self.congestion.window());
            }
            cx.counters.timeouts += 1;
            self.retransmit_at = None;
            self.arm(now, cx);
        }
        None
    }

    /// No packet number ever comes twice, so a session ends with them.
    fn is_exhausted(&self) -> bool {
        self.sent.next() >= PACKETS_MAX
    }

    /// The next datagram has this number.
    #[cfg(test)]
    pub fn skip_to(&mut self, packet: u64) {
        self.sent.skip_to(packet);
    }

    /// See [`Liveness::doubt`].
    pub fn doubt(&mut self, now: Time, reason: LostReason) {
        self.liveness.doubt(now, reason);
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
