//! Large results over a line with loss: ours, TCP and QUIC, one after the other over the same line.
//!
//! The line is the program of the peers' (`peers line`): two network namespaces with a TUN device in each, and one process that carries
//! packets between them through [`Network`]. It takes root. Where that is not to be had, ours alone goes through [`relay`]
//! on this machine's loopback, with the same [`Network`].

pub mod relay;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use yardstick::experiment::{Experiment, PLACE, PROCESS, SERVER};
use yardstick::network::Network;
use yardstick::plan::Goodput;

use crate::figure::Figure;
use crate::rpc::stack::{Congestion, Stack};

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds in which stacks and losses take turns.
    pub launches: usize,
    /// How long results are counted, after half as long to warm up.
    pub counting: Duration,
    /// Decides which packets are lost.
    pub seed: u64,
}

/// Hundredths of packets that are lost.
pub const LOSSES: [u32; 4] = [0, 1, 5, 20];

/// A link of a hundred megabits, ten milliseconds there and back, with a queue of twice what is under way then.
const LINE: Network = Network {
    rate_megabits: 100,
    delay: Duration::from_millis(5),
    queue_bytes: 250_000,
    loss: 0.0,
    duplicate: 0.0,
    reorder: 0.0,
    seed: 0,
};

/// Bytes of a result. Smaller than a mebibyte: where most is lost, something should still be counted.
const RESULT_BYTES: u32 = 64 << 10;
/// So many are asked for at a time: twice what the line and its queue hold.
const OUTSTANDING: usize = 16;

impl Plan {
    /// The line and what is measured over it.
    fn of(self, loss: u32, round: usize) -> (Network, yardstick::Plan) {
        let seed = self.seed.wrapping_add(round as u64);
        let network = Network { loss: f64::from(loss) / 100.0, seed, ..LINE };
        let goodput = Goodput {
            label: label(loss),
            counting: self.counting,
            warm_up: self.counting / 2,
            outstanding: OUTSTANDING,
            bytes: RESULT_BYTES,
        };
        (network, yardstick::Plan::Goodput(goodput))
    }
}

/// Whether the kernel has this congestion control for TCP.
pub fn has(congestion: Congestion) -> bool {
    let available = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap_or_default();
    let has = |name| available.split_whitespace().any(|word| word == name);
    match congestion {
        Congestion::Default => true,
        Congestion::Cubic => has("cubic"),
        Congestion::Bbr => has("bbr"),
    }
}

/// As figures have it.
pub fn label(loss: u32) -> String {
    format!("loss_{loss}")
}

/// How the measured programs are told what to do.
fn words(program: &Path, first: &[&str], role: &str, stack: Stack, rest: &[&str]) -> Vec<String> {
    let program = program.display().to_string();
    let words = first.iter().chain([&role]).map(|word| word.to_string());
    std::iter::once(program)
        .chain(words)
        .chain([stack.to_string()])
        .chain(rest.iter().map(|word| word.to_string()))
        .collect()
}

/// One stack over one line, by way of the program of the peers.
///
/// # Errors
///
/// A sentence for the user.
pub fn over_devices(plan: Plan, stack: Stack, loss: u32, round: usize, peers: &Path) -> Result<Vec<Figure>, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program's own file: {error}"))?;
    let (program, first): (&Path, &[&str]) = if stack.is_peer() { (peers, &[]) } else { (&own, &["side"]) };
    let (network, what) = plan.of(loss, round);
    let bind = format!("{}:0", std::net::Ipv4Addr::from(SERVER));
    let what = json(&what)?;
    let experiment = Experiment {
        network,
        server: words(program, first, "serve", stack, &["--bind", &bind]),
        caller: words(program, first, "call", stack, &[PLACE, PROCESS, &what]),
    };
    let mut command = Command::new(peers);
    command.arg("line").arg(json(&experiment)?);
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot start the peers: {error}"))?;
    if !output.status.success() {
        return Err(format!("{stack} at {loss} % loss: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8_lossy(&output.stdout).lines().map(str::parse).collect()
}

fn json(value: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}
