//! A relay between one client and one server, which can be cut in either direction.
#![allow(dead_code, reason = "each test program uses its part")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

struct Line {
    front: UdpSocket,
    back: UdpSocket,
    server: Mutex<SocketAddr>,
    client: Mutex<Option<SocketAddr>>,
    to_server: AtomicBool,
    to_client: AtomicBool,
    over: AtomicBool,
}

pub struct Relay {
    line: Arc<Line>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Relay {
        let socket = || {
            let socket = UdpSocket::bind(super::loopback()).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            socket
        };
        let line = Arc::new(Line {
            front: socket(),
            back: socket(),
            server: Mutex::new(server),
            client: Mutex::new(None),
            to_server: AtomicBool::new(true),
            to_client: AtomicBool::new(true),
            over: AtomicBool::new(false),
        });
        let (there, back) = (Arc::clone(&line), Arc::clone(&line));
        Relay {
            line,
            threads: vec![thread::spawn(move || there.carry_there()), thread::spawn(move || back.carry_back())],
        }
    }

    /// Where the client finds the server.
    pub fn addr(&self) -> SocketAddr {
        self.line.front.local_addr().unwrap()
    }

    pub fn cut_to_client(&self) {
        self.line.to_client.store(false, Ordering::SeqCst);
    }

    pub fn cut(&self) {
        self.cut_to_client();
        self.line.to_server.store(false, Ordering::SeqCst);
    }

    pub fn heal(&self) {
        self.line.to_client.store(true, Ordering::SeqCst);
        self.line.to_server.store(true, Ordering::SeqCst);
    }

    /// From now on another server is there.
    pub fn turn_to(&self, server: SocketAddr) {
        *self.line.server.lock().unwrap() = server;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.line.over.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

impl Line {
    fn carry_there(&self) {
        let mut bytes = vec![0; 1 << 16];
        while !self.over.load(Ordering::SeqCst) {
            let Ok((length, from)) = self.front.recv_from(&mut bytes) else { continue };
            *self.client.lock().unwrap() = Some(from);
            if self.to_server.load(Ordering::SeqCst) {
                let _ = self.back.send_to(&bytes[..length], *self.server.lock().unwrap());
            }
        }
    }

    fn carry_back(&self) {
        let mut bytes = vec![0; 1 << 16];
        while !self.over.load(Ordering::SeqCst) {
            let Ok((length, from)) = self.back.recv_from(&mut bytes) else { continue };
            if from == *self.server.lock().unwrap()
                && self.to_client.load(Ordering::SeqCst)
                && let Some(client) = *self.client.lock().unwrap()
            {
                let _ = self.front.send_to(&bytes[..length], client);
            }
        }
    }
}
