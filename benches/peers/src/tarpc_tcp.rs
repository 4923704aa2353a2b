//! tarpc over TCP, with bincode, as its examples have it; with TCP_NODELAY, which they leave out, and room for 1,000 calls.

use std::net::SocketAddr;

use futures::{StreamExt, future};
use serde_bytes::ByteBuf;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context, serde_transport};
use yardstick::{Tasks, contents};

use crate::text;

#[tarpc::service]
pub(crate) trait Calls {
    async fn echo(number: u64) -> u64;
    /// As one run of bytes: a `Vec<u8>` would be encoded byte by byte.
    async fn fetch(bytes: u32) -> ByteBuf;
}

#[derive(Clone)]
struct Server;

impl Calls for Server {
    async fn echo(self, _: context::Context, number: u64) -> u64 {
        number
    }

    async fn fetch(self, _: context::Context, bytes: u32) -> ByteBuf {
        ByteBuf::from(contents::expected(bytes))
    }
}

/// Serves in tasks of the runtime; returns the address.
pub(crate) async fn serve(bind: SocketAddr) -> Result<String, String> {
    let mut listener = serde_transport::tcp::listen(bind, Bincode::default).await.map_err(text)?;
    let address = listener.local_addr();
    tokio::spawn(async move {
        while let Some(Ok(connection)) = listener.next().await {
            // Without it, calls still work, more slowly.
            let _ = connection.get_ref().set_nodelay(true);
            let calls = BaseChannel::with_defaults(connection).execute(Server.serve());
            tokio::spawn(calls.for_each(|call| {
                tokio::spawn(call);
                future::ready(())
            }));
        }
    });
    Ok(address.to_string())
}

pub(crate) async fn connect(place: &str) -> Result<CallsClient, String> {
    let connection = serde_transport::tcp::connect(place, Bincode::default).await.map_err(text)?;
    connection.get_ref().set_nodelay(true).map_err(text)?;
    let mut config = client::Config::default();
    config.max_in_flight_requests = 1_024;
    config.pending_request_buffer = 1_024;
    Ok(CallsClient::new(config, connection).spawn())
}

impl Tasks for CallsClient {
    type Contents = ByteBuf;

    async fn echo(&self, number: u64) -> Result<u64, String> {
        CallsClient::echo(self, context::current(), number).await.map_err(text)
    }

    async fn fetch(&self, bytes: u32) -> Result<ByteBuf, String> {
        CallsClient::fetch(self, context::current(), bytes).await.map_err(text)
    }
}
