//! Our own calls, blocking and as futures.

use std::net::SocketAddr;
use std::time::Duration;

use rpc::call::Waiting;
use rpc::driver::DriverConfig;
use rpc::{Bytes, Client, ClientConfig, Key, Server};
use yardstick::{Blocking, Plan, Tasks, blocking, contents, process, tasks};

use super::POLL;
use super::stack::Ours;

/// What is called. Both take less than to hand a call over to a worker, so the server's receiving thread answers, as raw UDP's does.
#[rpc::service]
pub trait Measured {
    /// The number itself.
    #[rpc(inline)]
    fn echo(&self, number: u64) -> u64;
    /// So many bytes.
    #[rpc(inline)]
    fn fetch(&self, bytes: u32) -> Bytes;
}

struct Handler;

impl Measured for Handler {
    fn echo(&self, number: u64) -> u64 {
        number
    }

    fn fetch(&self, bytes: u32) -> Bytes {
        Bytes::from(contents::expected(bytes))
    }
}

/// Known to everybody: what is measured is no secret.
const KEY: [u8; 32] = [7; 32];

/// Both ends of the measured session have this configuration.
fn config(ours: Ours, datagram: Option<usize>) -> DriverConfig {
    let mut config = if ours.encrypted { DriverConfig::new(Key::from_bytes(KEY)) } else { DriverConfig::plain() };
    if let Some(bytes) = datagram {
        config.transport.datagram_max_loopback = bytes;
    }
    if ours.explicit {
        config.transport.ack_delay = Duration::ZERO;
    }
    config
}

/// How both sides wait.
fn waiting(ours: Ours) -> Waiting {
    Waiting { poll: if ours.polling { POLL } else { Duration::ZERO } }
}

/// Serves until the process is dismissed.
pub(crate) fn serve(bind: SocketAddr, ours: Ours, datagram: Option<usize>) -> Result<(), String> {
    let builder = Server::builder(config(ours, datagram)).bind(bind).map_err(text)?.waiting(waiting(ours));
    let server = builder.serve(MeasuredServer::new(Handler)).start().map_err(text)?;
    process::announce(&server.local_addr().to_string()).map_err(text)?;
    process::until_dismissed();
    server.stop();
    Ok(())
}

/// Carries out the plan.
pub(crate) fn call(
    stack: &str,
    server: SocketAddr,
    process: u32,
    plan: Plan,
    (ours, datagram): (Ours, Option<usize>),
) -> Result<(), String> {
    let config = ClientConfig { driver: config(ours, datagram), waiting: waiting(ours), ..ClientConfig::plain() };
    let client = Client::connect(server, config).map_err(text)?;
    match plan {
        Plan::Calls(calls) if !ours.futures => {
            blocking::measure(stack, &calls, process, BlockingCaller(MeasuredClient::new(client)))
        }
        plan => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(text)?;
            runtime.block_on(tasks::measure(stack, plan, process, TasksCaller(MeasuredAsyncClient::new(client))))
        }
    }
}

/// Threads share a client.
struct BlockingCaller(MeasuredClient);

struct TasksCaller(MeasuredAsyncClient);

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Blocking for BlockingCaller {
    type Contents = Bytes;

    fn echo(&mut self, number: u64) -> Result<u64, String> {
        self.0.echo(number).map_err(text)
    }

    fn fetch(&mut self, bytes: u32, result: &mut Bytes) -> Result<(), String> {
        *result = self.0.fetch(bytes).map_err(text)?;
        Ok(())
    }

    fn another(&self) -> Option<BlockingCaller> {
        Some(BlockingCaller(self.0.clone()))
    }

    fn datagrams(&self) -> Option<u64> {
        let transport = self.0.client().counters().transport;
        Some(transport.datagrams_sent + transport.datagrams_received)
    }
}

impl Tasks for TasksCaller {
    type Contents = Bytes;

    async fn echo(&self, number: u64) -> Result<u64, String> {
        self.0.echo(number).await.map_err(text)
    }

    async fn fetch(&self, bytes: u32) -> Result<Bytes, String> {
        self.0.fetch(bytes).await.map_err(text)
    }
}
