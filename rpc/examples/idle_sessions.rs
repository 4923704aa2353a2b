//! How much memory a session holds that nobody uses: opens thousands of them in one process, without a network, and looks at what
//! the process has grown by.
//!
//!     cargo run --release -p rpc --example idle_sessions [SESSIONS]

use std::error::Error;
use std::net::SocketAddr;

use rpc::time::Time;
use rpc::transport::{BootEpoch, Event, Transport, TransportConfig};

const NOW: Time = Time(1_000_000);

fn addr(network: u8, number: usize) -> SocketAddr {
    SocketAddr::from(([10, network, (number >> 8) as u8, number as u8], 7_000))
}

/// What this process has in memory, bytes.
fn resident() -> Result<usize, Box<dyn Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split_whitespace().nth(1).ok_or("no second field in /proc/self/statm")?.parse()?;
    Ok(pages * 4_096)
}

/// Opens a session of every client with the server; returns how many came to be.
fn open(server: &mut Transport, network: u8, clients: &mut [Transport]) -> Result<usize, Box<dyn Error>> {
    let (mut out, mut events) = (Vec::new(), Vec::new());
    for (number, client) in clients.iter_mut().enumerate() {
        client.connect(NOW, addr(network, 0))?;
        loop {
            let mut is_quiet = true;
            while client.transmit(NOW, &mut out).is_some() {
                is_quiet = false;
                server.receive(NOW, addr(0, number), &mut out, &mut events);
            }
            while server.transmit(NOW, &mut out).is_some() {
                is_quiet = false;
                client.receive(NOW, addr(network, 0), &mut out, &mut Vec::new());
            }
            if is_quiet {
                break;
            }
        }
    }
    Ok(events.iter().filter(|event| matches!(event, Event::Up { .. })).count())
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(5_000), |count| count.parse())?;
    let config = TransportConfig { max_peers: count, ..TransportConfig::plain() };
    let transport = |number: usize| Transport::new(config.clone(), BootEpoch(number as u64), number as u64);
    let mut clients: Vec<Transport> = (0..count).map(transport).collect();
    let mut servers = [transport(count), transport(count + 1)];
    // What an endpoint itself needs is there after its first session.
    open(&mut servers[0], 1, &mut clients)?;
    let before = resident()?;
    let opened = open(&mut servers[1], 2, &mut clients)?;
    let grown = resident()?.saturating_sub(before);
    println!("{opened} more sessions: {} bytes for each side of one", grown / (2 * opened.max(1)));
    Ok(())
}
