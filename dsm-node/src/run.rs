//! `dsm-node run`: starts the nodes of a job and stays with them.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use dsm_core::job::Consistency;
use dsm_core::launch::{self, JobKey, JobSpec, LaunchError, Sinks};
use rpc::impair::Impairments;

use crate::{complain, signals, units};

/// The status for a mistake in the command line.
const USAGE: i32 = 2;

/// The status when the system refuses something that the launcher itself needs.
const TROUBLE: i32 = 1;

/// Start a program as N nodes that share one memory
///
/// Each line that a node prints gets `[rank] ` in front. The exit status is the worst of the nodes', 128 + n for signal n. When a
/// node fails, the others have 5 s to end by themselves, then they are ended. Nothing stays behind.
#[derive(Args)]
#[command(after_help = "Example: dsm-node run -n 4 --loss 5% --seed 7 -- target/release/jacobi --size 512")]
pub struct Run {
    /// How many nodes, 1 to 64
    #[arg(short = 'n', long, value_name = "N")]
    nodes: usize,

    /// How views of one page are kept in step: sequential
    #[arg(long, default_value_t)]
    consistency: Consistency,

    /// Address space of the shared memory; only what is touched takes memory
    #[arg(long, value_name = "SIZE", default_value = "64GiB", value_parser = units::size)]
    region: u64,

    /// Address of node 0's UDP socket; node n takes the port n above it, port 0 takes any
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    bind: SocketAddr,

    /// Address at which the launcher lets the nodes find each other, port 0 takes any
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Print the nodes' lines without the rank in front
    #[arg(long)]
    no_labels: bool,

    /// How long a node polls for what others are about to send before it sleeps, such as 100us; 0us never polls
    #[arg(long, value_name = "TIME", default_value = "100us", value_parser = units::delay)]
    poll: Duration,

    /// Fetch no pages ahead of threads that read in streams
    #[arg(long)]
    no_prefetch: bool,

    /// Do not encrypt: guard datagrams by a CRC-32 against accidents, and keep nobody out; for measurements
    #[arg(long)]
    plain: bool,

    /// Bind each node to its own share of the processors: steadier figures
    #[arg(long)]
    pin: bool,

    #[command(flatten)]
    faults: Faults,

    /// The program and its arguments
    #[arg(trailing_var_arg = true, value_name = "PROGRAM", help_heading = "Program")]
    program: Vec<OsString>,
}

/// Faults to inject into what nodes send to each other.
#[derive(Args)]
#[command(next_help_heading = "Faults in the network between the nodes")]
struct Faults {
    /// Share of datagrams that vanish, such as 5%
    #[arg(long, value_name = "SHARE", default_value = "0", hide_default_value = true, value_parser = units::probability)]
    loss: f64,

    /// Share of datagrams that arrive twice
    #[arg(long, value_name = "SHARE", default_value = "0", hide_default_value = true, value_parser = units::probability)]
    duplicate: f64,

    /// Share of datagrams that are overtaken by later ones
    #[arg(long, value_name = "SHARE", default_value = "0", hide_default_value = true, value_parser = units::probability)]
    reorder: f64,

    /// Share of datagrams with flipped bits
    #[arg(long, value_name = "SHARE", default_value = "0", hide_default_value = true, value_parser = units::probability)]
    corrupt: f64,

    /// Mean extra delay of a datagram, such as 2ms
    #[arg(long, value_name = "TIME", default_value = "0us", hide_default_value = true, value_parser = units::delay)]
    delay: Duration,

    /// The same seed gives the same faults
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl Run {
    /// Runs the job and returns the status to exit with.
    pub fn execute(self) -> i32 {
        match self.spec() {
            Ok(spec) => supervise(spec),
            Err(message) => {
                complain(message);
                USAGE
            }
        }
    }

    fn spec(self) -> Result<JobSpec, &'static str> {
        let mut words = self.program.into_iter();
        let program = words
            .next()
            .filter(|program| !program.is_empty())
            .ok_or("nothing to run: give the program after --, as in `dsm-node run -n 2 -- ./hello`")?;
        Ok(JobSpec {
            args: words.collect(),
            impairments: self.faults.into(),
            region_bytes: self.region,
            consistency: self.consistency,
            bind: self.bind,
            listen: self.listen,
            label: !self.no_labels,
            stdin: true,
            poll: self.poll,
            prefetch: !self.no_prefetch,
            pin: self.pin,
            key: if self.plain { JobKey::Plain } else { JobKey::Fresh },
            ..JobSpec::new(self.nodes, program)
        })
    }
}

impl From<Faults> for Impairments {
    fn from(faults: Faults) -> Impairments {
        let Faults { loss, duplicate, reorder, corrupt, delay, seed } = faults;
        Impairments { loss, duplicate, reorder, corrupt, delay, seed }
    }
}

fn supervise(spec: JobSpec) -> i32 {
    // Signals are collected before the first node starts, so that none of them can end us and leave a node behind.
    let signals = match signals::collect() {
        Ok(signals) => signals,
        Err(error) => return trouble("cannot watch for signals", error),
    };
    let running = match Sinks::inherit() {
        Ok(sinks) => launch::start(spec, sinks),
        Err(error) => return trouble("cannot use the standard output", error),
    };
    let running = match running {
        Ok(running) => running,
        Err(error) => {
            complain(remedied(&error));
            return error.exit_status();
        }
    };
    match signals::pass_on(signals, running.control()) {
        Ok(()) => running.wait().status(),
        Err(error) => trouble("cannot start a thread", error),
    }
}

fn trouble(what: &str, error: std::io::Error) -> i32 {
    complain(format_args!("{what}: {error}"));
    TROUBLE
}

/// The error with the option that mends it, where there is one.
fn remedied(error: &LaunchError) -> String {
    let option = match error {
        LaunchError::NodeCount(_) => " (option -n)",
        LaunchError::Region { .. } => " (option --region)",
        LaunchError::Ports { .. } | LaunchError::Bind { .. } => " (option --bind)",
        LaunchError::Unspecified(_) => " (options --bind, --listen)",
        LaunchError::Rendezvous { .. } => " (option --listen)",
        _ => "",
    };
    format!("{error}{option}")
}
