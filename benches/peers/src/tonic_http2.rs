//! tonic: gRPC over HTTP/2 over TCP, with the settings that it comes with (TCP_NODELAY is one). Messages and service are written by hand
//! as the generator would, which needs `protoc`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, client, server};
use tonic_prost::ProstCodec;
use yardstick::{Tasks, contents};

use crate::text;

const ECHO: &str = "/yardstick.Calls/Echo";
const FETCH: &str = "/yardstick.Calls/Fetch";

#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(uint64, tag = "1")]
    number: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Contents {
    #[prost(bytes = "bytes", tag = "1")]
    bytes: Bytes,
}

impl AsRef<[u8]> for Contents {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

struct Echo;

impl UnaryService<Number> for Echo {
    type Response = Number;
    type Future = BoxFuture<Response<Number>, Status>;

    fn call(&mut self, request: Request<Number>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(request.into_inner())) })
    }
}

struct Fetch;

impl UnaryService<Number> for Fetch {
    type Response = Contents;
    type Future = BoxFuture<Response<Contents>, Status>;

    fn call(&mut self, request: Request<Number>) -> Self::Future {
        Box::pin(async move {
            let bytes =
                u32::try_from(request.into_inner().number).map_err(|error| Status::out_of_range(text(error)))?;
            Ok(Response::new(Contents { bytes: Bytes::from_static(contents::expected(bytes)) }))
        })
    }
}

#[derive(Clone)]
struct Calls;

impl NamedService for Calls {
    const NAME: &'static str = "yardstick.Calls";
}

impl Service<http::Request<Body>> for Calls {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                ECHO => server::Grpc::new(ProstCodec::default()).unary(Echo, request).await,
                FETCH => server::Grpc::new(ProstCodec::default()).unary(Fetch, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// Serves in tasks of the runtime; returns the address.
pub(crate) async fn serve(bind: SocketAddr) -> Result<String, String> {
    let listener = TcpListener::bind(bind).await.map_err(text)?;
    let address = listener.local_addr().map_err(text)?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(Server::builder().add_service(Calls).serve_with_incoming(incoming));
    Ok(address.to_string())
}

pub(crate) struct Caller(Channel);

pub(crate) async fn connect(place: &str) -> Result<Caller, String> {
    let channel = Channel::from_shared(format!("http://{place}")).map_err(text)?;
    Ok(Caller(channel.connect().await.map_err(text)?))
}

impl Caller {
    async fn call<R: prost::Message + Default + 'static>(&self, path: &'static str, number: u64) -> Result<R, String> {
        let mut grpc = client::Grpc::new(self.0.clone());
        grpc.ready().await.map_err(text)?;
        let codec = ProstCodec::<Number, R>::default();
        let request = Request::new(Number { number });
        let response = grpc.unary(request, PathAndQuery::from_static(path), codec).await.map_err(text)?;
        Ok(response.into_inner())
    }
}

impl Tasks for Caller {
    type Contents = Contents;

    async fn echo(&self, number: u64) -> Result<u64, String> {
        self.call::<Number>(ECHO, number).await.map(|answer| answer.number)
    }

    async fn fetch(&self, bytes: u32) -> Result<Contents, String> {
        self.call(FETCH, bytes.into()).await
    }
}
