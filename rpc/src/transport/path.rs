//! How large a datagram may be: packetization layer path MTU discovery for datagram transports (DPLPMTUD, RFC 8899).
//!
//! Datagrams start at a size that every path carries. Once there is more to send than fits into one, padded probes find out what
//! the path takes: first the largest size that both ends agreed on, then the sizes that links are known to have, upwards. A probe
//! that is lost says nothing about congestion; one that is lost `PROBES_MAX` times is too large.
//!
//! A path may begin to swallow large datagrams without a word. So whenever the retransmission timer runs out, datagrams are as small
//! as at the start until a probe of the former size is answered; and where much is lost, a probe asks now and then whether it is the
//! size.
//!
//! **Fragments are never cut again.** From the start they are so small that the smallest datagram holds one
//! ([`fragment_bytes`]); the size of datagrams says only how many travel together. So whatever was cut before the path
//! shrank, and whatever was lost in it, goes on in smaller datagrams. The exception is the loopback interface, known by its agreed
//! size: there fragments fill the largest datagrams from the start, and nothing is searched for.

use std::time::Duration;

use super::send::FRAGMENT_CHARGE;
use crate::time::Time;
use crate::wire::{self, FRAME_HEADER_BYTES, Protection};

/// What every path carries (BASE_PLPMTU of RFC 8899).
const BASE: usize = 1_200;
/// No link but the loopback interface takes more than this: Ethernet's jumbo frames.
pub const LINK_MAX: usize = 9_216;
/// The UDP payload that fills an Ethernet frame (IPv4).
const ETHERNET: usize = 1_472;
/// UDP payloads that fill the packets of links as they are: IPv6's least, tunnels, Ethernet with IPv6 and IPv4, jumbo frames.
const LINKS: [usize; 8] = [1_232, 1_372, 1_392, 1_452, ETHERNET, 4_052, 8_952, 8_972];
/// So many probes of one size must be lost before it counts as too large (MAX_PROBES, of which RFC 8899 asks for more than one):
/// where one datagram in five is lost, and one answer in five, a good size is missed once in 150 times.
const PROBES_MAX: u32 = 5;
/// A size that was too large is tried again after this time (PMTU_RAISE_TIMER), if there is something to send.
const RAISE_AFTER: Duration = Duration::from_secs(600);
/// So many fragments may be lost before it is asked whether the path still takes datagrams of this size.
const LOST_MAX: usize = 256;

/// How many bytes of a message a fragment carries when two endpoints have agreed on datagrams of at most `datagram_max` bytes: half of
/// what an Ethernet frame holds, which also fits into the smallest datagram; or all that the agreed datagram holds, where that is
/// smaller yet, or where it can only cross the loopback interface.
pub fn fragment_bytes(datagram_max: usize, protection: Protection) -> usize {
    if datagram_max <= BASE || datagram_max > LINK_MAX {
        return wire::fragment_bytes(datagram_max, protection);
    }
    let whole = wire::fragment_bytes(datagram_max.min(ETHERNET), protection);
    (whole - FRAME_HEADER_BYTES) / 2
}

/// What a full datagram is charged when it goes by an Ethernet frame, or by the loopback interface.
pub fn datagram_charge(fragment_bytes: usize) -> usize {
    let fragments = (ETHERNET / (fragment_bytes + FRAME_HEADER_BYTES)).max(1);
    fragments * (fragment_bytes + FRAGMENT_CHARGE)
}

/// What is known of a path.
#[derive(Clone, Debug)]
pub struct Path {
    /// What both ends take.
    max: usize,
    /// What needs no proof.
    base: usize,
    /// What datagrams may be now.
    size: usize,
    /// The smallest size that is known to be too large.
    too_large: usize,
    /// What is tried first: the largest, or what was good before.
    hope: usize,
    wanted: bool,
    probing: Option<Probing>,
    raise_at: Time,
    lost: usize,
}

/// A size that is being tried.
#[derive(Copy, Clone, Debug)]
struct Probing {
    size: usize,
    /// The numbers of the datagrams that tried it lie from this one on.
    first_packet: Option<u64>,
    lost: u32,
    /// When the latest counts as lost; none while one waits to be sent.
    lost_at: Option<Time>,
}

impl Probing {
    fn new(size: usize) -> Self {
        Probing { size, first_packet: None, lost: 0, lost_at: None }
    }
}

impl Path {
    /// A path between two ends that take datagrams of up to `max` bytes.
    pub fn new(max: usize) -> Self {
        let base = if max > LINK_MAX { max } else { max.min(BASE) };
        Path {
            max,
            base,
            size: base,
            too_large: max + 1,
            hope: max,
            wanted: false,
            probing: None,
            raise_at: Time::MAX,
            lost: 0,
        }
    }

    /// How large datagrams may be now, bytes of UDP payload.
    pub fn size(&self) -> usize {
        self.size
    }

    /// There is more to send than fits into one datagram.
    pub fn want(&mut self, now: Time) {
        if now >= self.raise_at {
            self.raise_at = Time::MAX;
            self.too_large = self.max + 1;
            self.hope = self.max;
        }
        self.wanted = true;
        self.next_candidate();
    }

    /// The size of the probe that is to be sent now.
    pub fn probe(&self) -> Option<usize> {
        self.probing.filter(|probing| probing.lost_at.is_none()).map(|probing| probing.size)
    }

    /// That probe leaves in the datagram of number `packet`; without an answer it counts as lost after `patience`.
    pub fn sent(&mut self, now: Time, packet: u64, patience: Duration) {
        if let Some(probing) = &mut self.probing {
            probing.first_packet = probing.first_packet.or(Some(packet));
            probing.lost_at = Some(now + patience);
        }
    }

    /// The peer says that the probe of number `packet` has come.
    pub fn answered(&mut self, packet: u64) {
        let Some(probing) = self.probing else { return };
        if probing.first_packet.is_some_and(|first| packet >= first) {
            self.size = probing.size;
            self.probing = None;
            self.lost = 0;
            self.next_candidate();
        }
    }

    /// When [`Self::timeout`] has something to do.
    pub fn next_timeout(&self) -> Option<Time> {
        self.probing.and_then(|probing| probing.lost_at)
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Time) {
        let Some(probing) = &mut self.probing else { return };
        if probing.lost_at.is_none_or(|at| at > now) {
            return;
        }
        probing.lost += 1;
        probing.lost_at = None;
        if probing.lost >= PROBES_MAX {
            let size = probing.size;
            self.refuse(now, size - 1);
        }
    }

    /// Nothing larger than `limit` passes: the kernel says so, or probes do.
    pub fn refuse(&mut self, now: Time, limit: usize) {
        self.too_large = self.too_large.min(limit + 1);
        self.raise_at = now + RAISE_AFTER;
        if self.size > limit {
            self.size = self.base;
        }
        if self.probing.is_some_and(|probing| probing.size > limit) {
            self.probing = None;
        }
        self.next_candidate();
    }

    /// Whether the smallest datagrams are larger than this.
    pub fn needs_more_than(&self, limit: usize) -> bool {
        self.base > limit
    }

    /// Whether the smallest datagrams still pass, as far as is known.
    pub fn carries_base(&self) -> bool {
        self.base < self.too_large
    }

    /// So many fragments were found lost by what came after them. If it is the large datagrams that vanish, a probe shows it.
    pub fn lost(&mut self, fragments: usize) {
        self.lost += fragments;
        if self.lost >= LOST_MAX && self.size > self.base && self.probing.is_none() {
            self.lost = 0;
            self.probing = Some(Probing::new(self.size));
        }
    }

    /// The retransmission timer has run out: perhaps large datagrams vanish.
    pub fn doubt(&mut self) {
        self.lost = 0;
        if self.size > self.base {
            self.hope = self.size;
            self.size = self.base;
            self.probing = None;
            self.next_candidate();
        }
    }

    fn next_candidate(&mut self) {
        if !self.wanted || self.probing.is_some() {
            return;
        }
        let is_open = |size: &usize| (self.size + 1..self.too_large).contains(size);
        let candidate = Some(self.hope).filter(is_open).or_else(|| LINKS.into_iter().find(is_open));
        self.probing = candidate.map(Probing::new);
        self.wanted = self.probing.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Integrity;

    const PROTECTION: Protection = Protection::Plain(Integrity::Crc32);

    const MS: Duration = Duration::from_millis(1);

    /// Probes until there is nothing left to find out, on a path that carries `carried`; returns how many probes were sent.
    fn search(path: &mut Path, now: &mut Time, carried: usize) -> u64 {
        path.want(*now);
        let mut packets = 0;
        while let Some(size) = path.probe() {
            path.sent(*now, packets, MS);
            if size <= carried {
                path.answered(packets);
            } else {
                *now += MS;
                path.timeout(*now);
            }
            packets += 1;
        }
        packets
    }

    #[test]
    fn the_largest_size_is_found_by_one_probe_where_it_passes() {
        let (mut path, mut now) = (Path::new(1_472), Time::ZERO);
        assert_eq!((path.size(), path.probe()), (1_200, None));
        assert_eq!(search(&mut path, &mut now, 1_472), 1);
        assert_eq!(path.size(), 1_472);
        assert_eq!(search(&mut path, &mut now, 1_472), 0);
    }

    #[test]
    fn a_narrow_path_gives_the_largest_of_the_known_sizes_that_pass() {
        for (carried, found) in [(1_200, 1_200), (1_300, 1_232), (1_400, 1_392), (1_460, 1_452), (8_960, 8_952)] {
            let (mut path, mut now) = (Path::new(8_972), Time::ZERO);
            search(&mut path, &mut now, carried);
            assert_eq!(path.size(), found);
        }
    }

    #[test]
    fn what_was_too_large_is_tried_again_after_a_while() {
        let (mut path, mut now) = (Path::new(1_472), Time::ZERO);
        search(&mut path, &mut now, 1_400);
        assert_eq!(search(&mut path, &mut now, 1_472), 0);
        now += RAISE_AFTER;
        search(&mut path, &mut now, 1_472);
        assert_eq!(path.size(), 1_472);
    }

    #[test]
    fn a_path_in_doubt_is_used_with_small_datagrams_until_a_probe_of_the_former_size_is_answered() {
        let (mut path, mut now) = (Path::new(1_472), Time::ZERO);
        search(&mut path, &mut now, 1_400);
        path.doubt();
        assert_eq!(path.size(), 1_200);
        path.want(now);
        assert_eq!(path.probe(), Some(1_392));
        assert_eq!(search(&mut path, &mut now, 1_400), 1);
        assert_eq!(path.size(), 1_392);
    }

    #[test]
    fn many_losses_raise_the_question_and_the_size_stays_until_it_is_answered() {
        let (mut path, mut now) = (Path::new(1_472), Time::ZERO);
        search(&mut path, &mut now, 1_472);
        path.lost(LOST_MAX - 1);
        assert_eq!(path.probe(), None);
        path.lost(1);
        assert_eq!((path.size(), path.probe()), (1_472, Some(1_472)));
        path.sent(now, 1_000, MS);
        path.answered(1_000);
        assert_eq!((path.size(), path.probe()), (1_472, None));
        path.lost(LOST_MAX);
        search(&mut path, &mut now, 1_250);
        assert_eq!(path.size(), 1_232);
    }

    #[test]
    fn what_the_kernel_refuses_is_not_tried() {
        let (mut path, mut now) = (Path::new(8_972), Time::ZERO);
        path.want(now);
        path.sent(now, 0, MS);
        path.refuse(now, 1_472);
        assert_eq!(path.probe(), Some(1_232));
        search(&mut path, &mut now, 9_000);
        assert_eq!(path.size(), 1_472);
        path.refuse(now, 1_300);
        assert_eq!((path.size(), path.carries_base()), (1_200, true));
        path.refuse(now, 1_100);
        assert!(!path.carries_base());
    }

    #[test]
    fn answers_to_older_probes_prove_nothing() {
        let (mut path, now) = (Path::new(1_472), Time::ZERO);
        path.want(now);
        path.sent(now, 7, MS);
        path.answered(6);
        assert_eq!(path.size(), 1_200);
        path.answered(7);
        assert_eq!(path.size(), 1_472);
    }

    #[test]
    fn the_loopback_interface_is_used_in_full_and_small_agreements_are_kept() {
        for max in [65_507, 508, 1_200] {
            let (mut path, mut now) = (Path::new(max), Time::ZERO);
            assert_eq!(path.size(), max);
            path.doubt();
            assert_eq!((search(&mut path, &mut now, max), path.size()), (0, max));
        }
    }

    #[test]
    fn every_datagram_holds_a_fragment_and_an_ethernet_frame_holds_two() {
        let around = |fragments: usize, bytes: usize| {
            let frames = fragments * (FRAME_HEADER_BYTES + bytes);
            wire::data_header_bytes(wire::RESERVED_WORDS) + frames + PROTECTION.trailer_bytes()
        };
        for max in [508, 1_200, 1_201, 1_472, LINK_MAX, 65_507] {
            let bytes = fragment_bytes(max, PROTECTION);
            assert!(around(1, bytes) <= Path::new(max).size());
        }
        assert!((1_470..=1_472).contains(&around(2, fragment_bytes(8_972, PROTECTION))));
    }
}
