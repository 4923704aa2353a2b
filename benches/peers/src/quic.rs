//! quinn: one request for each bidirectional stream, on one connection, with the settings that it comes with but for the number of
//! streams: 1,000 calls are to be outstanding.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, ServerConfig, TransportConfig, VarInt};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use yardstick::{Tasks, contents};

use crate::text;

const STREAMS_MAX: u32 = 1_024;
const NAME: &str = "localhost";

/// A request: what is wanted, and a number.
const REQUEST_BYTES: usize = 9;
const ECHO: u8 = 1;
const FETCH: u8 = 2;

fn request(kind: u8, number: u64) -> [u8; REQUEST_BYTES] {
    let mut request = [kind; REQUEST_BYTES];
    request[1..].copy_from_slice(&number.to_be_bytes());
    request
}

/// Serves in tasks of the runtime; returns address and certificate.
pub(crate) fn serve(bind: SocketAddr) -> Result<String, String> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(text)?;
    let certificate = CertificateDer::from(made.cert);
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::with_single_cert(vec![certificate.clone()], key.into()).map_err(text)?;
    config.transport_config(streams());
    let endpoint = Endpoint::server(config, bind).map_err(text)?;
    let address = endpoint.local_addr().map_err(text)?;
    tokio::spawn(async move {
        while let Some(connecting) = endpoint.accept().await {
            tokio::spawn(async move {
                let Ok(connection) = connecting.await else { return };
                while let Ok((send, receive)) = connection.accept_bi().await {
                    tokio::spawn(answer(send, receive));
                }
            });
        }
    });
    let hex: String = certificate.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{address}/{hex}"))
}

fn streams() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config.max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX));
    Arc::new(config)
}

/// A caller that goes away gets no answer.
async fn answer(mut send: SendStream, mut receive: RecvStream) -> Option<()> {
    let asked = receive.read_to_end(REQUEST_BYTES).await.ok()?;
    let (kind, number) = asked.split_first()?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    match *kind {
        ECHO => send.write_all(&number.to_be_bytes()).await.ok()?,
        FETCH => send.write_all(contents::expected(u32::try_from(number).ok()?)).await.ok()?,
        _ => return None,
    }
    send.finish().ok()
}

pub(crate) struct Caller {
    connection: Connection,
    // The connection needs it.
    _endpoint: Endpoint,
}

pub(crate) async fn connect(place: &str) -> Result<Caller, String> {
    let (address, hex) = place.split_once('/').ok_or("the server announced no certificate")?;
    let address: SocketAddr = address.parse().map_err(text)?;
    let bytes: Result<Vec<u8>, _> = (0..hex.len() / 2)
        .map(|place| hex.get(2 * place..2 * place + 2).unwrap_or_default())
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(bytes.map_err(text)?)).map_err(text)?;
    let mut config = ClientConfig::with_root_certificates(Arc::new(roots)).map_err(text)?;
    config.transport_config(streams());
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut endpoint = Endpoint::client(SocketAddr::new(any, 0)).map_err(text)?;
    endpoint.set_default_client_config(config);
    let connection = endpoint.connect(address, NAME).map_err(text)?.await.map_err(text)?;
    Ok(Caller { connection, _endpoint: endpoint })
}

impl Caller {
    async fn call(&self, kind: u8, number: u64, limit: usize) -> Result<Vec<u8>, String> {
        let (mut send, mut receive) = self.connection.open_bi().await.map_err(text)?;
        send.write_all(&request(kind, number)).await.map_err(text)?;
        send.finish().map_err(text)?;
        receive.read_to_end(limit).await.map_err(text)
    }
}

impl Tasks for Caller {
    type Contents = Vec<u8>;

    async fn echo(&self, number: u64) -> Result<u64, String> {
        let answer = self.call(ECHO, number, 8).await?;
        answer.try_into().map(u64::from_be_bytes).map_err(|_| "an answer of another length".to_owned())
    }

    async fn fetch(&self, bytes: u32) -> Result<Vec<u8>, String> {
        self.call(FETCH, bytes.into(), bytes as usize).await
    }
}
