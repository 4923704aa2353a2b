//! A process dies in the midst of a job: `survivor` shows what becomes of it over shared memory, and over RPC.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use examples::survivor::{PRIMES, Process, over_dsm, over_rpc};

/// Kill one process of a job: over shared memory the others end and name it, over RPC another takes its place
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// A node of the job over shared memory.
    #[command(hide = true)]
    Node,
    /// A worker of the job over RPC.
    #[command(hide = true)]
    Worker {
        /// The name server.
        binder: SocketAddr,
        /// Dies in the midst of a share.
        #[arg(long)]
        mortal: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().role {
        Some(Role::Node) => over_dsm::node().map_err(Into::into).map(|()| true),
        Some(Role::Worker { binder, mortal }) => over_rpc::work(binder, mortal).map_err(Into::into).map(|()| true),
        None => both(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("survivor: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether each ended as it should.
fn both() -> Result<bool, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let process = |word: &str| Process { program: program.clone(), words: vec![word.into()] };
    let shared = over_dsm::run(&process("node"))?;
    println!("over shared memory: {shared}");
    let called = over_rpc::run(&process("worker"))?;
    println!("over RPC: {called}");
    Ok(shared.primes.is_none() && !shared.said.is_empty() && called.primes == Some(PRIMES))
}
