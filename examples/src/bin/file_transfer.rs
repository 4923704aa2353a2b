//! A file transfer that only its ends can make right.
//!
//! `cargo run --release -p examples --bin file_transfer -- --corrupt-in-memory 10` starts a relay and a receiver as processes of
//! their own, and sends a file by way of the one to the other. With `--trust-the-hops` nobody compares the ends. By hand, and on
//! several machines, in this order: `file_transfer receive --listen 0.0.0.0:4001 --to COPY`, `file_transfer relay --listen
//! 0.0.0.0:4000 --next THERE:4001`, `file_transfer send --next THERE:4000 --file FILE`.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use clap::{Args, Parser, Subcommand};
use examples::file_transfer::{
    CHUNK_BYTES_MAX, Destination, FILE_BYTES_MAX, Link, Order, Receiver, Relay, Source, TransferError, send,
};
use rpc::impair::parse_probability;
use rpc::trace::Trace;
use rpc::wire::Integrity;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Send a file by way of a relay that may damage it in its own memory, where no hop's check can see it
///
/// Without a subcommand, starts the relay and the receiver, too. The status is 0 when the received file is right.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    sending: Sending,
    #[command(flatten)]
    memory: Memory,
    #[command(flatten)]
    storing: Storing,
    #[command(flatten)]
    hops: Hops,
}

#[derive(Subcommand)]
enum Role {
    /// Only send, to a relay (or a receiver) that was started by hand
    Send {
        /// The relay's address
        #[arg(long, value_name = "IP:PORT")]
        next: SocketAddr,
        #[command(flatten)]
        sending: Sending,
        #[command(flatten)]
        hops: Hops,
    },
    /// Only relay, for a sender that is started by hand
    Relay {
        /// Where the sender finds it; port 0 is any free one
        #[arg(long, value_name = "IP:PORT")]
        listen: SocketAddr,
        /// The receiver's address
        #[arg(long, value_name = "IP:PORT")]
        next: SocketAddr,
        #[command(flatten)]
        memory: Memory,
        #[command(flatten)]
        hops: Hops,
        #[command(flatten)]
        leash: Leash,
    },
    /// Only receive, for a relay that is started by hand
    Receive {
        /// Where the relay finds it; port 0 is any free one
        #[arg(long, value_name = "IP:PORT")]
        listen: SocketAddr,
        #[command(flatten)]
        storing: Storing,
        #[command(flatten)]
        hops: Hops,
        #[command(flatten)]
        leash: Leash,
    },
}

#[derive(Args)]
struct Sending {
    /// The file to send [default: a sample]
    #[arg(long)]
    file: Option<PathBuf>,
    /// Bytes of the sample
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20, conflicts_with = "file", value_parser = clap::value_parser!(u64).range(0..=FILE_BYTES_MAX))]
    size: u64,
    /// Bytes of a chunk
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(CHUNK_BYTES_MAX)))]
    chunk: u32,
    /// How often chunks may be sent until the ends must agree
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Do not compare the ends
    #[arg(long)]
    trust_the_hops: bool,
}

#[derive(Args)]
struct Memory {
    /// The relay changes one bit, in its own memory, in every Nth chunk
    #[arg(long, value_name = "N")]
    corrupt_in_memory: Option<NonZeroU64>,
}

#[derive(Args)]
struct Storing {
    /// Keep the received file under this name [default: it is gone in the end]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Args)]
struct Hops {
    /// What guards the datagrams of every hop: none, additive, fletcher32 or crc32
    #[arg(long, value_name = "CHECK", default_value_t)]
    integrity: Integrity,
    /// How many of the datagrams are damaged on the wire, such as 1%
    #[arg(long, value_name = "PROBABILITY", default_value = "0", value_parser = parse_probability)]
    corrupt_on_the_wire: f64,
    /// Decides the sample, and which datagrams are damaged
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write every datagram to this file as a packet ladder, and to FILE.pcapng for Wireshark; a relay and a receiver that are
    /// started, too, write to FILE.relay and FILE.receiver
    #[arg(long, value_name = "FILE")]
    trace: Option<String>,
}

#[derive(Args)]
struct Leash {
    /// End when the standard input does
    #[arg(long, hide = true)]
    leash: bool,
}

fn main() -> ExitCode {
    let Arguments { role, sending, memory, storing, hops } = Arguments::parse();
    let outcome = match role {
        None => all_in_one(&sending, &memory, &storing, &hops),
        Some(Role::Send { next, sending, hops }) => {
            source(&sending, &hops).and_then(|it| conduct(&it, next, &sending, &hops))
        }
        Some(Role::Relay { listen, next, memory, hops, leash }) => relay(listen, next, &memory, &hops, &leash),
        Some(Role::Receive { listen, storing, hops, leash }) => receive(listen, &storing, &hops, &leash),
    };
    match outcome {
        Ok(status) => status,
        Err(Failure(error)) => {
            eprintln!("file_transfer: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A sentence for the user.
struct Failure(String);

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        Failure(error.to_string())
    }
}

fn failure(what: &str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure(format!("{what}: {error}"))
}

fn source(sending: &Sending, hops: &Hops) -> Result<Source, Failure> {
    let source = match &sending.file {
        Some(path) => Source::open(path),
        None => Source::sample(sending.size, hops.seed),
    };
    Ok(source?)
}

fn conduct(source: &Source, next: SocketAddr, sending: &Sending, hops: &Hops) -> Result<ExitCode, Failure> {
    let Sending { chunk, rounds, trust_the_hops, .. } = *sending;
    let order = Order { chunk_bytes: chunk, rounds, trust_the_hops, link: hops.link(0)? };
    let report = send(source, next, &order)?;
    say(format_args!("{}: {report}", source.name()))?;
    Ok(if report.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn all_in_one(sending: &Sending, memory: &Memory, storing: &Storing, hops: &Hops) -> Result<ExitCode, Failure> {
    let source = source(sending, hops)?;
    let any = "127.0.0.1:0";
    let mut arguments = vec!["receive".to_owned(), "--listen".to_owned(), any.to_owned()];
    let to = storing.to.as_ref().map(|to| ["--to".as_ref(), to.as_os_str()]);
    let receiver = Station::start("receiver", &hops.pass_on("receiver", arguments), to.iter().flatten().copied())?;
    arguments = ["relay", "--listen", any, "--next"].map(str::to_owned).to_vec();
    arguments.push(receiver.addr.to_string());
    if let Some(every) = memory.corrupt_in_memory {
        arguments.extend(["--corrupt-in-memory".to_owned(), every.to_string()]);
    }
    let relay = Station::start("relay", &hops.pass_on("relay", arguments), [])?;
    let status = conduct(&source, relay.addr, sending, hops)?;
    relay.end()?;
    receiver.end()?;
    Ok(status)
}

fn relay(
    listen: SocketAddr,
    next: SocketAddr,
    memory: &Memory,
    hops: &Hops,
    leash: &Leash,
) -> Result<ExitCode, Failure> {
    let relay = Relay::start(listen, next, memory.corrupt_in_memory, hops.link(1)?)?;
    let signal = leash.tie(relay.dismisser())?;
    say(format_args!("listening at {}", relay.local_addr()))?;
    relay.wait();
    Ok(status_after(&signal))
}

fn receive(listen: SocketAddr, storing: &Storing, hops: &Hops, leash: &Leash) -> Result<ExitCode, Failure> {
    let destination = storing.to.clone().map_or(Destination::Nowhere, Destination::Named);
    let receiver = Receiver::start(listen, &destination, hops.link(2)?)?;
    let signal = leash.tie(receiver.dismisser())?;
    say(format_args!("listening at {}", receiver.local_addr()))?;
    receiver.wait();
    Ok(status_after(&signal))
}

/// Of a station that was dismissed by its sender, or ended by a signal.
fn status_after(signal: &AtomicU8) -> ExitCode {
    match signal.load(Ordering::Relaxed) {
        0 => ExitCode::SUCCESS,
        signal => ExitCode::from(128 + signal),
    }
}

/// Prints a line at once. Not `println!`, which panics when nobody reads.
fn say(line: fmt::Arguments<'_>) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}").map_err(failure("cannot write to the standard output"))
}

impl Hops {
    /// What a station sends is damaged by a seed of its own.
    fn link(&self, station: u64) -> Result<Link, Failure> {
        let seed = self.seed.wrapping_mul(3).wrapping_add(station);
        let trace = self.trace.as_ref().map(Trace::create).transpose().map_err(|error| Failure(error.to_string()))?;
        Ok(Link { integrity: self.integrity, corrupt: self.corrupt_on_the_wire, seed, trace })
    }

    fn pass_on(&self, station: &str, mut arguments: Vec<String>) -> Vec<String> {
        let Hops { integrity, corrupt_on_the_wire, seed, trace } = self;
        arguments.extend(["--leash".to_owned(), format!("--integrity={integrity}"), format!("--seed={seed}")]);
        arguments.push(format!("--corrupt-on-the-wire={corrupt_on_the_wire}"));
        arguments.extend(trace.iter().map(|trace| format!("--trace={trace}.{station}")));
        arguments
    }
}

impl Leash {
    /// Has `dismiss` called when somebody asks this process to end: by a signal, or by letting go of the other end of the
    /// standard input, which also happens when that process is killed. The station then leaves in good order. Gives the signal,
    /// once one has come.
    fn tie(&self, dismiss: impl Fn() + Send + Sync + 'static) -> Result<Arc<AtomicU8>, Failure> {
        let (dismiss, signal) = (Arc::new(dismiss), Arc::new(AtomicU8::new(0)));
        if self.leash {
            let dismiss = Arc::clone(&dismiss);
            let until_end = move || {
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                dismiss();
            };
            thread::Builder::new()
                .name("leash".to_owned())
                .spawn(until_end)
                .map_err(failure("cannot start a thread"))?;
        }
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failure("cannot wait for signals"))?;
        let seen = Arc::clone(&signal);
        let forever = move || {
            for number in signals.forever() {
                seen.store(number as u8, Ordering::Relaxed);
                dismiss();
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(forever).map_err(failure("cannot start a thread"))?;
        Ok(signal)
    }
}

/// A relay or a receiver in a process of its own. It does not outlive this value, nor this process.
struct Station {
    name: &'static str,
    addr: SocketAddr,
    process: Child,
    /// The station ends when this is closed.
    leash: Option<ChildStdin>,
}

impl Station {
    fn start<'a>(
        name: &'static str,
        arguments: &[String],
        more: impl IntoIterator<Item = &'a std::ffi::OsStr>,
    ) -> Result<Station, Failure> {
        let program = std::env::current_exe().map_err(failure("cannot find this program's own file"))?;
        let mut command = Command::new(program);
        command.args(arguments).args(more).stdin(Stdio::piped()).stdout(Stdio::piped());
        // What a terminal sends on ^C is for this process; the others leave when it has.
        let mut process = command.process_group(0).spawn().map_err(failure("cannot start another process"))?;
        let leash = process.stdin.take();
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            // A longer line is none of ours.
            let _ = BufReader::new(output.take(100)).read_line(&mut line);
        }
        let addr = line.trim_end().strip_prefix("listening at ").and_then(|addr| addr.parse().ok());
        let mut station = Station { name, addr: SocketAddr::from(([0, 0, 0, 0], 0)), process, leash };
        // It has said itself why.
        station.addr = addr.ok_or_else(|| Failure(format!("the {name} did not start")))?;
        Ok(station)
    }

    /// Waits until the process, which was dismissed, has ended.
    fn end(mut self) -> Result<(), Failure> {
        let status = self.process.wait().map_err(failure("cannot wait for a process"))?;
        if status.success() { Ok(()) } else { Err(Failure(format!("the {} ended badly: {status}", self.name))) }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // Without its leash it leaves by itself, and removes what it has not kept. When it has ended already, both do nothing.
        drop(self.leash.take());
        let _ = self.process.wait();
    }
}
