//! The stacks that ours is measured against, each as its friends would set it up, and the line with loss that all are measured over.
//! `dsm-bench rpc` and `dsm-bench loss` build and start this program; it is in no workspace, so that nothing else compiles it.
#![forbid(unsafe_code)]

mod line;
mod quic;
mod tarpc_tcp;
mod tonic_http2;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use yardstick::process::{self, Side};
use yardstick::{Plan, tasks};

/// Serve or call through one of the stacks that dsm-bench compares with
#[derive(Parser)]
#[command(name = "peers", version)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Serve until standard input closes
    Serve {
        /// Which stack
        stack: Stack,
        /// Where to listen; port 0 is any free one
        #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
        bind: SocketAddr,
        /// Bind the process to its half of the processors
        #[arg(long)]
        pin: bool,
    },
    /// Start two programs with a line between them that loses packets, and print the caller's figures; takes root
    Line {
        /// The line and the programs, as JSON
        experiment: String,
    },
    /// Measure calls to a server, and print figures
    Call {
        /// Which stack
        stack: Stack,
        /// What the server announced
        place: String,
        /// The server's process, for its processor time
        process: u32,
        /// What to measure, as JSON
        plan: String,
        /// Bind the process to its half of the processors
        #[arg(long)]
        pin: bool,
    },
}

/// A stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stack {
    /// tarpc over TCP, with bincode.
    Tarpc,
    /// tonic: gRPC over HTTP/2 over TCP.
    Tonic,
    /// quinn: QUIC, a bidirectional stream for each call.
    Quinn,
}

impl Stack {
    fn name(self) -> &'static str {
        match self {
            Stack::Tarpc => "tarpc",
            Stack::Tonic => "tonic",
            Stack::Quinn => "quinn",
        }
    }
}

/// Whatever a stack says went wrong, for the user.
pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn main() -> ExitCode {
    let result = match Cli::parse().role {
        Role::Serve { stack, bind, pin } => pinned(pin, Side::Server).and_then(|()| serve(stack, bind)),
        Role::Call { stack, place, process, plan, pin } => {
            pinned(pin, Side::Caller).and_then(|()| call(stack, &place, process, &plan))
        }
        Role::Line { experiment } => line::run(&experiment),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("peers: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Before any thread is started: they inherit it.
fn pinned(pin: bool, side: Side) -> Result<(), String> {
    if pin { process::pin(side).map_err(text) } else { Ok(()) }
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(text)
}

fn serve(stack: Stack, bind: SocketAddr) -> Result<(), String> {
    let runtime = runtime()?;
    let place = runtime.block_on(async {
        match stack {
            Stack::Tarpc => tarpc_tcp::serve(bind).await,
            Stack::Tonic => tonic_http2::serve(bind).await,
            Stack::Quinn => quic::serve(bind),
        }
    })?;
    process::announce(&place).map_err(text)?;
    process::until_dismissed();
    runtime.shutdown_background();
    Ok(())
}

fn call(stack: Stack, place: &str, server: u32, plan: &str) -> Result<(), String> {
    let plan: Plan = serde_json::from_str(plan).map_err(text)?;
    let name = stack.name();
    runtime()?.block_on(async {
        match stack {
            Stack::Tarpc => tasks::measure(name, plan, server, tarpc_tcp::connect(place).await?).await,
            Stack::Tonic => tasks::measure(name, plan, server, tonic_http2::connect(place).await?).await,
            Stack::Quinn => tasks::measure(name, plan, server, quic::connect(place).await?).await,
        }
    })
}
