//! The way to the next station.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc::transport::{Counters, LostReason};
use rpc::{CallError, CallErrorKind, Client, ClientConfig, Failure};

use super::{FileTransferClient, Link, TransferError};

/// At least so much of a file is read back in a second; a station that has more to read may take longer to answer.
const READ_BACK_PER_SECOND: u64 = 20_000_000;

/// Calls the next station. A call that failed is made again, over a session of its own: where damage gets through the checks, a
/// session may never recover from it.
pub(super) struct Line {
    next: SocketAddr,
    link: Link,
    patience: Duration,
    tries: u32,
    state: Mutex<State>,
}

struct State {
    client: Client,
    sessions: u64,
    /// Datagrams of clients that are gone: received, and damaged.
    gone: Counters,
}

impl Line {
    /// To the station at `next`, which is asked up to `tries` times, and has `patience` to answer where there is nothing to read.
    pub fn new(next: SocketAddr, link: Link, patience: Duration, tries: u32) -> Result<Line, TransferError> {
        let client = connect(next, &link)?;
        let state = Mutex::new(State { client, sessions: 1, gone: Counters::default() });
        Ok(Line { next, link, patience, tries, state })
    }

    /// Makes a call; `reading` is how many bytes of the file the stations read for it.
    pub fn call<T>(
        &self,
        reading: u64,
        make: impl Fn(&FileTransferClient) -> Result<T, Failure<String>>,
    ) -> Result<T, TransferError> {
        let timeout = self.patience + Duration::from_millis(reading * 1_000 / READ_BACK_PER_SECOND);
        let (at, mut tries) = (self.next, 0);
        loop {
            let client = self.state().client.with_timeout(timeout);
            tries += 1;
            match make(&FileTransferClient::new(client)) {
                Ok(answer) => return Ok(answer),
                Err(Failure::Application(why)) if tries >= self.tries => {
                    return Err(TransferError::Refused { at, tries, why });
                }
                Err(Failure::Call(error)) if tries >= self.tries || is_hopeless(&error) => {
                    return Err(TransferError::Call { at, tries, error });
                }
                Err(Failure::Application(_)) => {}
                Err(Failure::Call(_)) => self.renew()?,
            }
        }
    }

    fn renew(&self) -> Result<(), TransferError> {
        let mut state = self.state();
        let seed = self.link.seed.wrapping_add(state.sessions);
        let old = std::mem::replace(&mut state.client, connect(self.next, &Link { seed, ..self.link.clone() })?);
        state.sessions += 1;
        let (gone, last) = (&mut state.gone, old.counters().transport);
        gone.datagrams_received += last.datagrams_received;
        gone.corrupt_dropped += last.corrupt_dropped;
        Ok(())
    }

    /// What came from the next station, over all sessions.
    pub fn counters(&self) -> Counters {
        let state = self.state();
        let (mut counters, gone) = (state.client.counters().transport, state.gone);
        counters.datagrams_received += gone.datagrams_received;
        counters.corrupt_dropped += gone.corrupt_dropped;
        counters
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is nobody to ask again: nothing has answered for seconds, or not in our way.
fn is_hopeless(error: &CallError) -> bool {
    let CallErrorKind::PeerLost { reason } = &error.kind else { return false };
    matches!(reason, LostReason::Unreachable | LostReason::Version { .. } | LostReason::Protection { .. })
}

fn connect(next: SocketAddr, link: &Link) -> Result<Client, TransferError> {
    Ok(Client::connect(next, ClientConfig { driver: link.driver(), ..ClientConfig::plain() })?)
}
