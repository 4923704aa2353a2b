//! The travelling salesman over RPC: a server holds queue and best bound, workers call it.
//!
//! `cargo run --release -p examples --bin tsp_rpc` serves in this process and starts three workers as processes of
//! their own, which get a fresh key through a pipe. By hand, and on several machines: `dsm-node key KEY` once, and copies of that file
//! for all; `tsp_rpc serve --key-file KEY --listen 0.0.0.0:4000` here, `tsp_rpc work --key-file KEY --server HERE:4000` there, as often as
//! you like. Kill a worker in mid-job: the others finish it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use examples::guard::Guard;
use examples::tsp::over_rpc::{self, TspServer};
use examples::tsp::{Choice, Chosen, Report};
use rpc::Key;
use rpc::driver::DriverConfig;
use rpc::trace::Trace;

/// How long workers that have nothing left to do are waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// Find the shortest tour, with the work queue and the best bound behind remote procedure calls
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Worker processes to start
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    seeing: Seeing,
}

#[derive(Subcommand)]
enum Role {
    /// Only serve, for workers that are started by hand
    Serve {
        /// Where the workers find it; port 0 is any free one
        #[arg(long, value_name = "IP:PORT")]
        listen: SocketAddr,
        #[command(flatten)]
        guard: Guard,
        #[command(flatten)]
        choice: Choice,
        #[command(flatten)]
        seeing: Seeing,
    },
    /// Only work
    Work {
        /// The server's address
        #[arg(long, value_name = "IP:PORT")]
        server: SocketAddr,
        #[command(flatten)]
        guard: Guard,
        #[command(flatten)]
        seeing: Seeing,
    },
}

#[derive(Args)]
struct Seeing {
    /// Write every datagram of this process to this file as a packet ladder, and to FILE.pcapng for Wireshark
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.role {
        None => all_in_one(&arguments.choice, arguments.workers, &arguments.seeing),
        Some(Role::Serve { listen, guard, choice, seeing }) => {
            config(&guard, &seeing).and_then(|config| serve(&choice, listen, config))
        }
        Some(Role::Work { server, guard, seeing }) => config(&guard, &seeing).and_then(|config| work(server, config)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tsp_rpc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn config(guard: &Guard, seeing: &Seeing) -> Result<DriverConfig, String> {
    let security = guard.security().map_err(text)?;
    let trace = guard.trace(seeing.trace.as_deref()).map_err(text)?;
    Ok(DriverConfig { trace, ..DriverConfig::new(security) })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn work(server: SocketAddr, config: DriverConfig) -> Result<(), String> {
    over_rpc::work(server, config).map(|_| ()).map_err(text)
}

fn start(chosen: &Chosen, listen: SocketAddr, config: DriverConfig) -> Result<TspServer, String> {
    TspServer::start(listen, &chosen.problem, &chosen.text, chosen.ascent, chosen.depth, config).map_err(text)
}

fn serve(choice: &Choice, listen: SocketAddr, config: DriverConfig) -> Result<(), String> {
    let chosen = choice.load()?;
    let server = start(&chosen, listen, config)?;
    eprintln!("serving at {}", server.local_addr());
    let report = loop {
        if let Some(report) = server.wait(Duration::from_secs(1)) {
            break report;
        }
    };
    server.dismiss(FAREWELL);
    conclude(&chosen, &report)
}

fn all_in_one(choice: &Choice, workers: u8, seeing: &Seeing) -> Result<(), String> {
    let chosen = choice.load()?;
    let key = Key::random().map_err(text)?;
    let trace = seeing.trace.as_ref().map(Trace::create).transpose().map_err(text)?;
    let config = DriverConfig { trace, ..DriverConfig::new(key.clone()) };
    let server = start(&chosen, SocketAddr::from(([127, 0, 0, 1], 0)), config)?;
    let mut workers =
        Workers::start(workers, server.local_addr(), &key).map_err(|error| format!("no worker: {error}"))?;
    let report = loop {
        if let Some(report) = server.wait(Duration::from_millis(100)) {
            break report;
        }
        if !workers.any_left() {
            return Err("all workers ended before the work was done".to_owned());
        }
    };
    server.dismiss(FAREWELL);
    conclude(&chosen, &report)
}

fn conclude(chosen: &Chosen, report: &Report) -> Result<(), String> {
    println!("{}\n{report}\n{}", chosen.headline(), chosen.verdict(report)?);
    Ok(())
}

/// Worker processes. None outlives this value.
struct Workers(Vec<Child>);

impl Workers {
    fn start(count: u8, server: SocketAddr, key: &Key) -> io::Result<Workers> {
        let program = std::env::current_exe()?;
        let mut workers = Workers(Vec::new());
        for _ in 0..count {
            // A pipe is nobody's but ours: no command line and no file has the key.
            let mut command = Command::new(&program);
            command.args(["work", "--key-file", "/dev/stdin", "--server", &server.to_string()]).stdin(Stdio::piped());
            let mut worker = command.spawn()?;
            let pipe = worker.stdin.take();
            workers.0.push(worker);
            let digits: String = key.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            pipe.ok_or_else(|| io::Error::other("the worker has no pipe"))?.write_all(digits.as_bytes())?;
        }
        Ok(workers)
    }

    fn any_left(&mut self) -> bool {
        self.0.iter_mut().any(|worker| matches!(worker.try_wait(), Ok(None)))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            // Most have ended by themselves; both calls then fail or return at once.
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}
