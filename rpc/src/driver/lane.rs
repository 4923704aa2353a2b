//! A socket of its own for the peer that sends nearly all.
//!
//! A socket that many may send to has the kernel look for the way to whoever is answered, and write down who has sent, for each datagram:
//! a third of a microsecond of a null call's eight and a half. So a peer that sends from a loopback address, many
//! datagrams in a row, gets a *lane*: a second socket with the same address that is connected to it. The kernel prefers that for what comes
//! from there (QUIC servers do the same with each of their clients). It goes when others have sent more and it is empty.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Type};

/// So many datagrams in a row earn a lane.
const EARNED_BY: u32 = 256;

/// While there is a lane, the other socket is looked at once in so many times.
const LOOKS: u32 = 16;

/// So many more datagrams of others than over the lane end it.
const OUTNUMBERED_BY: u32 = 16;

/// Where datagrams come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The socket that anybody may send to.
    Main,
    /// The one of a single peer.
    Lane,
}

/// Who has earned a lane, and who has lost it.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    latest: Option<SocketAddr>,
    /// How many datagrams have come from there in a row.
    run: u32,
    /// How many more have come from others than over the lane, while there is one.
    others: u32,
    looks: u32,
    /// There may be something beside the lane, too.
    elsewhere: bool,
}

impl Traffic {
    /// One datagram has come from `from`, not over a lane. Whether that peer has earned one.
    pub fn saw(&mut self, from: SocketAddr) -> bool {
        if self.latest != Some(from) {
            (self.latest, self.run) = (Some(from), 0);
        }
        self.run = self.run.saturating_add(1);
        self.run == EARNED_BY && from.ip().is_loopback()
    }

    /// So many have come over the lane.
    pub fn used(&mut self, count: usize) {
        self.others = self.others.saturating_sub(count as u32);
    }

    /// So many have come beside it, and so many of these from others.
    pub fn passed(&mut self, count: usize, others: usize) {
        self.others = self.others.saturating_add(others as u32);
        if count > 0 {
            self.elsewhere = true;
        }
    }

    /// Whether the lane is of no use any more.
    pub fn is_outnumbered(&self) -> bool {
        self.others >= OUTNUMBERED_BY
    }

    /// Nobody has looked for a while, or what was found took long: there may be something anywhere.
    pub fn rested(&mut self) {
        self.elsewhere = true;
    }

    /// Where to look next, while there is a lane: there, and now and then first at the other socket; in turn while something comes to
    /// both, so that a lane that is never empty keeps nobody waiting.
    pub fn order(&mut self) -> &'static [Way] {
        self.looks = (self.looks + 1) % LOOKS;
        if self.looks == 0 {
            return &[Way::Main, Way::Lane];
        }
        if std::mem::take(&mut self.elsewhere) {
            // The next look begins at the other.
            self.looks = LOOKS - 1;
            return &[Way::Lane, Way::Main];
        }
        &[Way::Lane]
    }
}

/// A socket beside `other`, prepared, and connected to `peer`. What others send in between may come to it, too.
pub(super) fn open(
    other: &UdpSocket,
    peer: SocketAddr,
    prepare: impl FnOnce(&UdpSocket) -> io::Result<()>,
) -> io::Result<UdpSocket> {
    let lane: UdpSocket = socket2::Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP))?.into();
    prepare(&lane)?;
    // The kernel lets nobody but this user share the address, and that only while both say so.
    setsockopt(&lane, sockopt::ReusePort, &true)?;
    setsockopt(other, sockopt::ReusePort, &true)?;
    let connected = connect_beside(&lane, other, peer);
    setsockopt(other, sockopt::ReusePort, &false)?;
    setsockopt(&lane, sockopt::ReusePort, &false)?;
    connected.map(|()| lane)
}

fn connect_beside(lane: &UdpSocket, other: &UdpSocket, peer: SocketAddr) -> io::Result<()> {
    SockRef::from(lane).bind(&other.local_addr()?.into())?;
    lane.connect(peer)
}

/// Nothing comes over the lane from now on: its peer's datagrams go to the other socket. What has come is still there.
pub(super) fn close(lane: &UdpSocket) -> io::Result<()> {
    lane.connect(lane.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_lane_is_earned_by_a_run_on_this_machine_and_once_by_each_run() {
        let mut traffic = Traffic::default();
        let mut earned = |from, count| (0..count).filter(|_| traffic.saw(from)).count();
        assert_eq!(earned(addr(1), EARNED_BY - 1), 0);
        assert_eq!(earned(addr(2), 1), 0);
        assert_eq!(earned(addr(1), EARNED_BY - 1), 0);
        assert_eq!(earned(addr(1), 3 * EARNED_BY), 1);
        assert_eq!(earned("192.0.2.1:9".parse().unwrap(), EARNED_BY), 0);
    }

    #[test]
    fn a_lane_is_lost_to_others_while_nothing_comes_over_it() {
        let mut traffic = Traffic::default();
        for _ in 0..3 * OUTNUMBERED_BY {
            traffic.passed(1, 1);
            assert!(!traffic.is_outnumbered());
            traffic.used(1);
        }
        // What its own peer sent before there was a lane is nobody else's.
        traffic.passed(OUTNUMBERED_BY as usize, 0);
        traffic.passed(OUTNUMBERED_BY as usize - 1, OUTNUMBERED_BY as usize - 1);
        assert!(!traffic.is_outnumbered());
        traffic.passed(1, 1);
        assert!(traffic.is_outnumbered());
    }

    #[test]
    fn others_are_looked_for_now_and_then_and_after_a_rest() {
        let mut traffic = Traffic::default();
        let orders: Vec<_> = (0..2 * LOOKS).map(|_| traffic.order()).collect();
        assert_eq!(orders.iter().filter(|order| ***order == [Way::Main, Way::Lane]).count(), 2);
        traffic.rested();
        let orders = [(); 3].map(|()| traffic.order());
        assert_eq!(orders, [&[Way::Lane, Way::Main][..], &[Way::Main, Way::Lane], &[Way::Lane]]);
    }

    #[test]
    fn a_lane_that_is_never_empty_and_others_who_always_send_take_turns() {
        for rests in [false, true] {
            let mut traffic = Traffic::default();
            let mut looks = Vec::new();
            for _ in 0..100 {
                if rests {
                    traffic.rested();
                }
                // Something is found wherever it is looked first.
                looks.push(traffic.order()[0]);
                match looks.last() {
                    Some(Way::Main) => traffic.passed(1, 1),
                    _ => traffic.used(1),
                }
            }
            let others = looks.iter().filter(|way| **way == Way::Main).count();
            assert!((40..=60).contains(&others), "{looks:?}");
        }
    }

    #[test]
    fn a_lane_takes_what_its_peer_sends_from_then_on_and_the_address_is_not_for_sharing_afterwards() {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let here = other.local_addr().unwrap();
        let (peer, stranger) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let lane = open(&other, peer.local_addr().unwrap(), |_| Ok(())).unwrap();
        // What goes elsewhere is not waited for.
        for socket in [&other, &peer, &lane] {
            socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        }
        for _ in 0..3 {
            peer.send_to(b"peer", here).unwrap();
            stranger.send_to(b"stranger", here).unwrap();
            let mut bytes = [0; 16];
            assert_eq!(lane.recv(&mut bytes).unwrap(), 4);
            assert_eq!(other.recv_from(&mut bytes).unwrap(), (8, stranger.local_addr().unwrap()));
        }
        lane.send(b"answer").unwrap();
        let mut bytes = [0; 16];
        assert_eq!(peer.recv_from(&mut bytes).unwrap(), (6, here));
        let thief = socket2::Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        setsockopt(&thief, sockopt::ReusePort, &true).unwrap();
        assert!(thief.bind(&here.into()).is_err());
        // Once it is closed, its peer is one among others, and what came before can still be read.
        peer.send_to(b"before", here).unwrap();
        close(&lane).unwrap();
        peer.send_to(b"peer", here).unwrap();
        assert_eq!((lane.recv(&mut bytes).unwrap(), other.recv_from(&mut bytes).unwrap().0), (6, 4));
        drop(lane);
        peer.send_to(b"peer", here).unwrap();
        assert_eq!(other.recv_from(&mut bytes).unwrap().0, 4);
    }
}
