//! Starting the measured processes and collecting what they print.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dsm_core::job::POLL_DEFAULT;
use dsm_core::launch::{self, JobKey, JobSpec, Sinks};
use serde::Serialize;

use crate::figure::Figure;
use crate::node::Part;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Launches of each kind.
    pub launches: usize,
    /// Accesses of each kind in a launch.
    pub samples: usize,
    /// Whether the nodes have a key.
    pub encrypted: bool,
}

/// One figure, from all launches.
#[derive(Clone, Debug)]
pub struct Measured {
    /// In which job.
    pub part: Part,
    /// What each launch said.
    pub launches: Vec<Figure>,
}

/// Runs the plan, and calls `progress` before each launch. Returns the figures by name.
///
/// # Errors
///
/// A launch failed: a sentence for the user.
pub fn measure(plan: Plan, mut progress: impl FnMut(Part)) -> Result<BTreeMap<String, Measured>, String> {
    let mut figures: BTreeMap<String, Measured> = BTreeMap::new();
    for _ in 0..plan.launches {
        for part in Part::ALL {
            progress(part);
            for figure in launch_once(part, plan)? {
                let none = || Measured { part, launches: Vec::new() };
                figures.entry(figure.name.clone()).or_insert_with(none).launches.push(figure);
            }
        }
    }
    Ok(figures)
}

fn launch_once(part: Part, plan: Plan) -> Result<Vec<Figure>, String> {
    let mut spec = own(part.nodes())?;
    spec.args = ["node".into(), part.name().into(), plan.samples.to_string().into()].into();
    spec.pin = true;
    spec.key = if plan.encrypted { JobKey::Fresh } else { JobKey::Plain };
    spec.prefetch = part.prefetches();
    spec.poll = if part.sleeps() { Duration::ZERO } else { POLL_DEFAULT };
    spec.bind = free_ports(part.nodes()).map_err(|error| format!("no free ports: {error}"))?;
    printed(spec).map_err(|why| format!("{part:?}: {why}"))?.lines().map(str::parse).collect()
}

/// A job of this program itself.
fn own(nodes: usize) -> Result<JobSpec, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program's own file: {error}"))?;
    let mut spec = JobSpec::new(nodes, program);
    spec.label = false;
    Ok(spec)
}

/// The same, told by the name of a command and JSON what its nodes are to do.
pub(crate) fn own_job(nodes: usize, command: &str, orders: &impl Serialize) -> Result<JobSpec, String> {
    let mut spec = own(nodes)?;
    spec.args = vec![command.into(), serde_json::to_string(orders).map_err(|error| error.to_string())?.into()];
    Ok(spec)
}

/// Runs a job, and gives what it printed.
pub(crate) fn printed(spec: JobSpec) -> Result<String, String> {
    let (printed, complaints) = (Kept::default(), Kept::default());
    let sinks = Sinks { stdout: Box::new(printed.clone()), stderr: Box::new(complaints.clone()) };
    let outcome = launch::run(spec, sinks).map_err(|error| error.to_string())?;
    if outcome.status() != 0 {
        return Err(format!("ended with status {}\n{}", outcome.status(), complaints.text()));
    }
    Ok(printed.text())
}

/// An address whose port, and those above it, are free at this moment, and stay so while the job starts: they lie below those that the kernel
/// gives to whoever asks for any (32,768 and up: ip(7)), as the job's own sockets do.
fn free_ports(count: usize) -> io::Result<SocketAddr> {
    let attempt = || -> io::Result<SocketAddr> {
        let any = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let first = 10_000 + any.port() % 20_000;
        for offset in 0..count as u16 {
            UdpSocket::bind((Ipv4Addr::LOCALHOST, first + offset))?;
        }
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, first)))
    };
    (0..100).map(|_| attempt()).find(Result::is_ok).unwrap_or_else(attempt)
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
