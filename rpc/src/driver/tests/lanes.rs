//! A server that gives the client that sends nearly all a socket of its own.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::super::arrivals::Arrivals;
use super::super::socket::Socket;
use super::Side;
use crate::impair::Impairments;
use crate::time;
use crate::transport::{Channel, LostReason, Peer};

/// Sends `count` messages, one after the other, and takes the answers.
fn ping_pong(side: &mut Side, server: &mut Side, peer: Peer, count: usize) {
    for _ in 0..count {
        let before = side.messages.len();
        side.driver.send(peer, Channel::CALL, &[b"request"]).unwrap();
        side.driver.flush();
        let guard = Instant::now();
        while side.messages.len() == before {
            assert!(guard.elapsed() < Duration::from_secs(60), "{:?}", side.driver.counters());
            server.poll(|driver, peer, body| driver.send(peer, Channel::CALL, &[body]).unwrap());
            side.poll(|_, _, _| {});
        }
    }
}

/// A server, and two clients of it, the first of which has a lane there; and as which peers they know it.
fn laned() -> (Side, [Side; 2], [Peer; 2]) {
    let mut server = Side::new(Impairments::default());
    server.driver.favour();
    server.driver.time_arrivals();
    let mut clients = [(); 2].map(|()| Side::new(Impairments::default()));
    let peers = clients.each_mut().map(|client| client.driver.connect(server.addr()).unwrap());
    for place in [1, 0] {
        ping_pong(&mut clients[place], &mut server, peers[place], 1_000);
    }
    assert_eq!(server.driver.lane().map(|lane| lane.peer_addr().unwrap()), Some(clients[0].addr()));
    (server, clients, peers)
}

#[test]
fn who_sends_most_gets_a_lane_which_keeps_nobody_waiting_and_goes_when_others_take_over() {
    for at in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
        if std::net::UdpSocket::bind(at).is_err() {
            continue;
        }
        let mut server = Side::at(at, Impairments::default());
        server.driver.favour();
        server.driver.time_arrivals();
        let ip = if server.addr().is_ipv4() { "127.0.0.1" } else { "::1" };
        let here = SocketAddr::new(ip.parse().unwrap(), server.addr().port());
        let mut clients: Vec<_> = (0..2)
            .map(|_| Side::at(&SocketAddr::new(ip.parse().unwrap(), 0).to_string(), Impairments::default()))
            .collect();
        let peers: Vec<_> = clients.iter_mut().map(|client| client.driver.connect(here).unwrap()).collect();
        for _ in 0..3 {
            // Batches are read now and then, and count for as many.
            for (client, peer) in clients.iter_mut().zip(&peers) {
                ping_pong(client, &mut server, *peer, 1_000);
                let lane = server.driver.lane().expect(at);
                assert_eq!(lane.peer_addr().unwrap(), client.addr(), "{at}");
            }
            // In turn, nobody earns one: what there is of one does not keep them waiting.
            for _ in 0..100 {
                for (client, peer) in clients.iter_mut().zip(&peers) {
                    ping_pong(client, &mut server, *peer, 1);
                }
            }
        }
        assert!(clients.iter().all(|client| client.lost.is_empty()), "{at}");
        // A server that comes after this one finds the address free.
        let addr = server.addr();
        drop(server);
        std::net::UdpSocket::bind(addr).expect("free");
    }
}

#[test]
fn with_a_lane_and_beside_it_messages_tell_how_long_they_have_waited() {
    let (mut server, [mut busy, mut other], [busys, others]) = laned();
    let pause = Duration::from_millis(10);
    // The kernel begins to note times a little after it was asked to, and a machine may pause where it likes.
    let mut right = 0;
    for attempt in 1.. {
        // Nobody expects anything beside the lane.
        for _ in 0..100 {
            server.poll(|_, _, _| {});
        }
        // With the kernel's notes, and without.
        if attempt % 2 == 0 {
            server.driver.rests(time::now());
        }
        let first = if attempt % 4 < 2 { 0 } else { 1 };
        for (client, peer) in [(&mut busy, busys), (&mut other, others)].into_iter().skip(first) {
            client.driver.send(peer, Channel(1), &[b"tell"]).unwrap();
            client.driver.flush();
        }
        std::thread::sleep(pause);
        let (mut waits, start) = (Vec::new(), Instant::now());
        while waits.len() < 2 - first {
            assert!(start.elapsed() < Duration::from_secs(60), "{waits:?}");
            waits.extend(server.waits());
            server.driver.flush();
            busy.poll(|_, _, _| {});
            other.poll(|_, _, _| {});
        }
        right = if waits.iter().all(|waited| *waited >= pause) { right + 1 } else { 0 };
        if right == 20 {
            return;
        }
        assert!(attempt < 200, "{waits:?}");
    }
}

#[test]
fn what_waits_beside_a_lane_through_an_interruption_is_late_although_the_first_look_does_not_find_it() {
    for _ in 0..8 {
        let (mut server, [mut busy, mut other], [busys, others]) = laned();
        // Long enough, with nothing that waits, for the kernel's notes to end.
        for _ in 0..1_000 {
            ping_pong(&mut busy, &mut server, busys, 1);
            server.poll(|_, _, _| {});
        }
        let pause = Duration::from_millis(10);
        other.driver.send(others, Channel(1), &[b"tell"]).unwrap();
        other.driver.flush();
        std::thread::sleep(pause);
        let start = Instant::now();
        let mut waits = Vec::new();
        while waits.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(60));
            waits.extend(server.waits());
        }
        assert!(waits.iter().all(|waited| *waited >= pause), "{waits:?}");
    }
}

#[test]
fn a_lane_that_was_just_opened_is_looked_at_although_others_never_pause() {
    let bind = || std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (server, peer, other) = (bind(), bind(), bind());
    let here = server.local_addr().unwrap();
    let (mut socket, mut arrivals) = (Socket::new(server, 1 << 20).unwrap(), Arrivals::new());
    socket.favour();
    let mut sent = 0;
    while socket.lane().is_none() {
        assert!(sent < 1_000);
        peer.send_to(b"peer", here).unwrap();
        sent += socket.receive(&mut arrivals, false).unwrap();
    }
    peer.send_to(b"peer", here).unwrap();
    let looks = (0..100).take_while(|_| {
        // More than is read.
        (0..2).for_each(|_| assert_eq!(other.send_to(b"other", here).unwrap(), 5));
        assert_eq!(socket.receive(&mut arrivals, false).unwrap(), 1);
        arrivals.from(0) != Some(peer.local_addr().unwrap())
    });
    assert!(looks.count() < 100);
}

#[test]
fn beside_a_lane_a_refusal_is_heard_and_leaves_nothing_to_wake_for() {
    let (mut server, [busy, gone], _) = laned();
    let peer = server.driver.connect(gone.addr()).unwrap();
    drop(gone.driver);
    server.driver.send(peer, Channel(1), &[b"anybody there?"]).unwrap();
    server.driver.flush();
    let start = Instant::now();
    while server.lost.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60));
        server.poll(|_, _, _| {});
    }
    assert_eq!(server.lost, [LostReason::Refused]);
    assert_eq!(server.driver.lane().map(|lane| lane.peer_addr().unwrap()), Some(busy.addr()));
    let mut watched = [nix::poll::PollFd::new(server.driver.as_fd(), nix::poll::PollFlags::POLLIN)];
    assert_eq!(nix::poll::poll(&mut watched, nix::poll::PollTimeout::ZERO), Ok(0));
}
