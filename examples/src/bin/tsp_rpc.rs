//! The travelling salesman over RPC: a server holds queue and best bound, workers call it.
//!
//! `cargo run --release -p examples --bin tsp_rpc` serves in this process and starts three workers as processes of
//! their own. By hand, and on several machines: `tsp_rpc serve --listen 0.0.0.0:4000` here, `tsp_rpc work --server
//! HERE:4000` there, as often as you like. Kill a worker in mid-job: the others finish it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use examples::tsp::over_rpc::{self, TspServer};
use examples::tsp::{Choice, Chosen, Report};
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
        seeing: Seeing,
    },
}

#[derive(Args)]
struct Seeing {
    /// Write every datagram of this process to this file as a packet ladder, and to FILE.pcapng for Wireshark
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

impl Seeing {
    fn config(&self) -> Result<DriverConfig, String> {
        let trace = self.trace.as_ref().map(Trace::create).transpose().map_err(|error| error.to_string())?;
        Ok(DriverConfig { trace, ..DriverConfig::plain() })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.role {
        None => all_in_one(&arguments.choice, arguments.workers, &arguments.seeing),
        Some(Role::Serve { listen, choice, seeing }) => serve(&choice, listen, &seeing),
        Some(Role::Work { server, seeing }) => work(server, &seeing),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tsp_rpc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work(server: SocketAddr, seeing: &Seeing) -> Result<(), String> {
    over_rpc::work(server, seeing.config()?).map(|_| ()).map_err(|error| error.to_string())
}

fn start(chosen: &Chosen, listen: SocketAddr, seeing: &Seeing) -> Result<TspServer, String> {
    TspServer::start(listen, &chosen.problem, &chosen.text, chosen.ascent, chosen.depth, seeing.config()?)
        .map_err(|error| error.to_string())
}

fn serve(choice: &Choice, listen: SocketAddr, seeing: &Seeing) -> Result<(), String> {
    let chosen = choice.load()?;
    let server = start(&chosen, listen, seeing)?;
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
    let server = start(&chosen, SocketAddr::from(([127, 0, 0, 1], 0)), seeing)?;
    let mut workers = Workers::start(workers, server.local_addr()).map_err(|error| format!("no worker: {error}"))?;
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
    fn start(count: u8, server: SocketAddr) -> io::Result<Workers> {
        let program = std::env::current_exe()?;
        let mut workers = Workers(Vec::new());
        for _ in 0..count {
            let worker = Command::new(&program).args(["work", "--server", &server.to_string()]).spawn()?;
            workers.0.push(worker);
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
