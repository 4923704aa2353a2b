//! The line with loss: two network namespaces, a TUN device in each, and one process that carries packets from one to the other.
//! Alike for everything that speaks IP.
//!
//! A thread that has left for a namespace of its own makes the device and starts the program there: children live where the
//! thread that started them lives. Needs the right to make namespaces and devices (root, or CAP_NET_ADMIN and CAP_SYS_ADMIN).

use std::io::{self, BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::time::TimeSpec;
use tun_rs::{DeviceBuilder, SyncDevice};
use yardstick::experiment::{CALLER, Experiment, PLACE, PROCESS, SERVER};
use yardstick::network::{Direction, Network};
use yardstick::process;

use crate::text;

/// An Ethernet frame's worth.
const MTU: u16 = 1_500;

/// How long to sleep when nothing is under way: then the end of the experiment is noticed.
const IDLE: Duration = Duration::from_millis(50);

/// Packets taken from one device before the other is looked at.
const BATCH: usize = 64;

/// Sets the experiment up, lets the caller print its figures, and leaves nothing behind.
pub(crate) fn run(experiment: &str) -> Result<(), String> {
    let experiment: Experiment = serde_json::from_str(experiment).map_err(text)?;
    let Experiment { network, server, caller } = &experiment;
    let (server_end, mut server) = in_namespace(SERVER, || start_server(server))?;
    let arguments = caller.iter().map(|word| match word.as_str() {
        PLACE => server.place.clone(),
        PROCESS => server.child.id().to_string(),
        _ => word.clone(),
    });
    let arguments: Vec<String> = arguments.collect();
    let (caller_end, mut caller) = in_namespace(CALLER, || spawn(&arguments, Stdio::null(), Stdio::inherit()))?;
    let over = AtomicBool::new(false);
    let status = thread::scope(|scope| {
        let carrier = scope.spawn(|| carry(network, &server_end, &caller_end, &over));
        let status = caller.wait();
        over.store(true, Ordering::Relaxed);
        carrier.join().unwrap_or_else(|_| Err(io::Error::other("the carrier panicked")))?;
        status
    });
    drop(server.input.take());
    let status = status.map_err(text)?;
    server.child.wait().map_err(text)?;
    if status.success() { Ok(()) } else { Err(format!("the caller failed ({status})")) }
}

/// A device in a namespace of its own, and what `start` started there. The namespace lives as long as either.
fn in_namespace<T: Send>(
    address: [u8; 4],
    start: impl FnOnce() -> Result<T, String> + Send,
) -> Result<(SyncDevice, T), String> {
    let there = || -> Result<(SyncDevice, T), String> {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|errno| format!("cannot make a network namespace, which takes root: {errno}"))?;
        let device =
            DeviceBuilder::new()
                .name("line0")
                .ipv4(Ipv4Addr::from(address), 24, None)
                .mtu(MTU)
                .build_sync()
                .map_err(|error| format!("cannot make a TUN device, which takes root and /dev/net/tun: {error}"))?;
        device.set_nonblocking(true).map_err(text)?;
        Ok((device, start()?))
    };
    thread::scope(|scope| scope.spawn(there).join()).unwrap_or_else(|_| Err("the set-up panicked".to_owned()))
}

struct Server {
    child: Child,
    /// Open for as long as it shall serve.
    input: Option<ChildStdin>,
    place: String,
}

fn spawn(words: &[String], input: Stdio, output: Stdio) -> Result<Child, String> {
    let (program, arguments) = words.split_first().ok_or("no program is named")?;
    let child = Command::new(program).args(arguments).stdin(input).stdout(output).spawn();
    child.map_err(|error| format!("cannot start {program}: {error}"))
}

fn start_server(words: &[String]) -> Result<Server, String> {
    let mut child = spawn(words, Stdio::piped(), Stdio::piped())?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line).map_err(text)?;
    }
    let input = child.stdin.take();
    let place = process::announced(&line).ok_or("the server said nothing and ended")?;
    Ok(Server { child, input, place: place.to_owned() })
}

/// Carries packets both ways until the experiment is over.
fn carry(network: &Network, server: &SyncDevice, caller: &SyncDevice, over: &AtomicBool) -> io::Result<()> {
    let start = Instant::now();
    let mut to_caller = Direction::new(network, 0);
    let mut to_server = Direction::new(network, 1);
    let mut packet = [0; MTU as usize];
    while !over.load(Ordering::Relaxed) {
        take(server, &mut packet, |packet| to_caller.send(start.elapsed(), packet))?;
        take(caller, &mut packet, |packet| to_server.send(start.elapsed(), packet))?;
        let now = start.elapsed();
        // A device whose queue is full loses the packet, as a network card does.
        to_caller.arrivals(now, |packet| drop(caller.send(packet)));
        to_server.arrivals(now, |packet| drop(server.send(packet)));
        let next = [to_caller.next_arrival(), to_server.next_arrival()].into_iter().flatten().min();
        let wait = next.map_or(IDLE, |next| next.saturating_sub(start.elapsed()).min(IDLE));
        let mut ready =
            [PollFd::new(server.as_fd(), PollFlags::POLLIN), PollFd::new(caller.as_fd(), PollFlags::POLLIN)];
        ppoll(&mut ready, Some(TimeSpec::from_duration(wait)), None)?;
    }
    Ok(())
}

/// What is there to be carried, within limits.
fn take(device: &SyncDevice, packet: &mut [u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    for _ in 0..BATCH {
        match device.recv(packet) {
            Ok(bytes) => each(packet.get(..bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
