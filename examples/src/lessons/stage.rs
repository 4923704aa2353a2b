//! A client and a server of a small service, in one process.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rpc::codec::ByteOrder;
use rpc::driver::DriverConfig;
use rpc::trace::Trace;
use rpc::{Bytes, Client, ClientConfig, ClientCounters, ReplyLimits, Server, ServerCounters, ServerHandle};

use super::{LessonError, Totals};

/// What the client calls.
#[rpc::service(version = 1)]
pub trait Blackboard {
    /// Writes down a number. To do that twice is not the same as to do it once.
    fn write(&self, number: u64);
    /// Gives the bytes back.
    #[rpc(idempotent)]
    fn echo(&self, bytes: Bytes) -> Bytes;
    /// Takes so many milliseconds.
    fn think(&self, millis: u32);
    /// Takes so many milliseconds on the thread that receives: meanwhile the server hears nothing.
    #[rpc(inline)]
    fn stall(&self, millis: u32);
}

/// The blackboard.
#[derive(Default)]
struct Desk {
    written: AtomicU64,
    last: AtomicU64,
}

impl Blackboard for Desk {
    fn write(&self, number: u64) {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.last.store(number, Ordering::Relaxed);
    }

    fn echo(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    fn think(&self, millis: u32) {
        thread::sleep(Duration::from_millis(u64::from(millis)));
    }

    fn stall(&self, millis: u32) {
        thread::sleep(Duration::from_millis(u64::from(millis)));
    }
}

/// How the two ends are set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The client.
    pub client: ClientConfig,
    /// The server's socket and transport.
    pub server: DriverConfig,
    /// Threads that run calls.
    pub pool: usize,
    /// What the server remembers of calls that are over.
    pub replies: ReplyLimits,
    /// How the server writes numbers.
    pub byte_order: ByteOrder,
}

impl Setup {
    /// Everything as usual.
    pub fn usual() -> Setup {
        Setup {
            client: ClientConfig::plain(),
            server: DriverConfig::plain(),
            pool: 2,
            replies: ReplyLimits::default(),
            byte_order: ByteOrder::Network,
        }
    }

    /// Both endpoints.
    pub fn drivers(&mut self) -> [&mut DriverConfig; 2] {
        [&mut self.client.driver, &mut self.server]
    }

    pub(super) fn trace(&mut self, trace: Option<&Trace>) {
        for driver in self.drivers() {
            driver.trace = trace.cloned();
        }
    }
}

/// The two ends, at work.
pub struct Stage {
    setup: Setup,
    desk: Arc<Desk>,
    client: BlackboardClient,
    server: ServerHandle,
}

/// So often the client tries to meet the server: on a network that loses much, without retransmission, some of that is in vain.
const MEETINGS: usize = 50;

impl Stage {
    pub(super) fn open(setup: Setup) -> Result<Stage, LessonError> {
        let desk = Arc::<Desk>::default();
        let server = Server::builder(setup.server.clone())
            .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?
            .pool(setup.pool)
            .replies(setup.replies)
            .byte_order(setup.byte_order)
            .serve(BlackboardServer::shared(Arc::clone(&desk)))
            .start()?;
        let client = connect(server.local_addr(), &setup.client)?;
        Ok(Stage { setup, desk, client, server })
    }

    /// Opens the session: what that costs is not what is to be seen.
    pub(super) fn meet(&self) -> Result<(), LessonError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.client.echo(Bytes::from(Vec::new())) {
                Ok(_) => return Ok(()),
                Err(error) if tries == MEETINGS => return Err(LessonError::NotMet(error)),
                Err(_) => {}
            }
        }
    }

    /// The client.
    pub fn client(&self) -> &BlackboardClient {
        &self.client
    }

    /// Another client of the same kind, with other faults: where damage gets through, a session may never recover.
    pub(super) fn another(&self, seed: u64) -> Result<BlackboardClient, LessonError> {
        let mut config = self.setup.client.clone();
        config.driver.impairments.seed = config.driver.impairments.seed.wrapping_add(seed);
        connect(self.server.local_addr(), &config)
    }

    /// How often something was written on the blackboard.
    pub(super) fn executions(&self) -> u64 {
        self.desk.written.load(Ordering::Relaxed)
    }

    /// What was written there last.
    pub(super) fn last(&self) -> u64 {
        self.desk.last.load(Ordering::Relaxed)
    }

    pub(super) fn counters(&self) -> (ClientCounters, ServerCounters) {
        (self.client.client().counters(), self.server.counters())
    }

    pub(super) fn totals(&self) -> Totals {
        let (client, server) = self.counters();
        let both = [client.transport, server.transport];
        Totals {
            datagrams: both.iter().map(|end| end.datagrams_sent).sum(),
            retransmissions: both.iter().map(|end| end.retransmissions).sum(),
            duplicates: both.iter().map(|end| end.duplicates_dropped).sum(),
            damaged: both.iter().map(|end| end.corrupt_dropped).sum(),
            overflows: both.iter().map(|end| end.receive_overflows).sum(),
        }
    }
}

fn connect(server: SocketAddr, config: &ClientConfig) -> Result<BlackboardClient, LessonError> {
    Ok(BlackboardClient::new(Client::connect(server, config.clone())?))
}
