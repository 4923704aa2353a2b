//! One of the two processes of a stack that is in this program.

use std::net::{Ipv4Addr, SocketAddr};

use yardstick::Plan;
use yardstick::process::{self, Side};

use super::stack::Stack;
use super::{ours, raw};
use crate::loss::tally;

/// Where a server listens if nobody says otherwise: any free port of this machine.
pub const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Which process.
#[derive(clap::Subcommand)]
pub enum Role {
    /// Answer until standard input closes.
    Serve {
        /// Which stack.
        stack: Stack,
        /// Where.
        #[arg(long, default_value_t = ANYWHERE)]
        bind: SocketAddr,
        /// Largest datagram to an end on this machine; ours alone.
        #[arg(long)]
        datagram: Option<usize>,
        /// On one half of the processors.
        #[arg(long)]
        pin: bool,
    },
    /// Measure, and print figures.
    Call {
        /// Which stack.
        stack: Stack,
        /// What the server announced.
        place: SocketAddr,
        /// The server's process, for its processor time.
        process: u32,
        /// What to measure, as JSON.
        plan: String,
        /// Largest datagram to an end on this machine; ours alone.
        #[arg(long)]
        datagram: Option<usize>,
        /// On the other half of the processors.
        #[arg(long)]
        pin: bool,
    },
    /// Write down what runs, until standard input closes.
    Tally {
        /// How, as JSON.
        setup: String,
    },
}

impl Role {
    /// Plays it.
    ///
    /// # Errors
    ///
    /// A sentence for the user.
    pub fn play(self) -> Result<(), String> {
        match self {
            Role::Serve { stack, bind, datagram, pin } => {
                pinned(pin, Side::Server)?;
                serve(stack, bind, datagram)
            }
            Role::Call { stack, place, process, plan, datagram, pin } => {
                pinned(pin, Side::Caller)?;
                call(stack, place, process, &plan, datagram)
            }
            Role::Tally { setup } => tally::serve(&setup),
        }
    }
}

/// Before any thread is started: they inherit it.
fn pinned(pin: bool, side: Side) -> Result<(), String> {
    if !pin {
        return Ok(());
    }
    process::pin(side).map_err(|error| format!("cannot bind this process to its processors: {error}"))
}

fn not_here(stack: Stack) -> String {
    format!("{stack} is not in this program, or not for this plan")
}

fn serve(stack: Stack, bind: SocketAddr, datagram: Option<usize>) -> Result<(), String> {
    match stack {
        Stack::Udp { polling } => ends_when_dismissed(move || raw::udp::serve(bind, polling)),
        Stack::Tcp(congestion) => ends_when_dismissed(move || raw::tcp::serve(bind, congestion)),
        Stack::Ours(ours) => ours::serve(bind, ours, datagram),
        Stack::Peer(_) => Err(not_here(stack)),
    }
}

/// A raw server knows no end but that of its process.
fn ends_when_dismissed(serve: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    std::thread::spawn(|| {
        if let Err(why) = serve() {
            eprintln!("dsm-bench: {why}");
            std::process::exit(1);
        }
    });
    process::until_dismissed();
    Ok(())
}

fn call(stack: Stack, place: SocketAddr, server: u32, plan: &str, datagram: Option<usize>) -> Result<(), String> {
    let plan: Plan = serde_json::from_str(plan).map_err(|error| format!("the plan cannot be read: {error}"))?;
    let name = &stack.to_string();
    match (stack, plan) {
        (Stack::Udp { polling }, Plan::Calls(calls)) => raw::udp::call(name, place, server, &calls, polling),
        (Stack::Tcp(_), Plan::Calls(calls)) => raw::tcp::call(name, place, server, &calls),
        (Stack::Tcp(_), Plan::Goodput(goodput)) => raw::tcp::goodput(name, place, &goodput),
        (Stack::Ours(ours), plan) => ours::call(name, place, server, plan, (ours, datagram)),
        _ => Err(not_here(stack)),
    }
}
