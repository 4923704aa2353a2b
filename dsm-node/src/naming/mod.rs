//! Names and services from the shell: the name server, and a client that needs no stubs.

mod call;
mod key;
mod server;
mod services;
mod target;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use examples::guard::{Guard, GuardError};
use rpc::names::BinderClient;
use rpc::transport::LostReason;
use rpc::{CallError, CallErrorKind, Client, ClientConfig, Ran, StartError};

pub use call::Call;
pub use key::NewKey;
pub use server::Names;
pub use services::Services;

/// Where `dsm-node names` serves unless told otherwise.
const DEFAULT_BINDER: &str = "127.0.0.1:4747";

/// The statuses that tell how a command failed; 0 is success.
mod status {
    /// It failed, and nothing ran at a server.
    pub const FAILED: i32 = 1;
    /// The command line asks for something that is not there, or with arguments that do not fit.
    pub const USAGE: i32 = 2;
    /// The method ran and answered with its own error.
    pub const APPLICATION: i32 = 3;
    /// The call failed, and may have run.
    pub const MAYBE: i32 = 4;
}

/// Where the name server is, and how long to wait.
#[derive(Args)]
struct Reach {
    /// The name server
    #[arg(long, value_name = "IP:PORT", default_value = DEFAULT_BINDER)]
    binder: SocketAddr,

    /// How long a call may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3600))]
    timeout: u16,

    #[command(flatten)]
    guard: Guard,
}

impl Reach {
    /// How to call anybody.
    fn config(&self) -> Result<ClientConfig, Failed> {
        let timeout = Duration::from_secs(u64::from(self.timeout));
        Ok(ClientConfig { timeout, ..ClientConfig::new(self.guard.security()?) })
    }

    fn binder(&self, config: &ClientConfig) -> Result<BinderClient, Failed> {
        Ok(BinderClient::new(Client::connect(self.binder, config.clone())?))
    }
}

/// Why a command failed: words and a status.
#[derive(Debug)]
struct Failed {
    words: String,
    status: i32,
}

impl Failed {
    fn new(status: i32, words: impl Into<String>) -> Self {
        Failed { words: words.into(), status }
    }

    /// Of a call to somebody.
    fn call(whom: impl std::fmt::Display, error: &CallError) -> Self {
        let status = if error.ran == Ran::No { status::FAILED } else { status::MAYBE };
        Failed::new(status, format!("{whom}: {error}"))
    }

    /// Of a question to the name server, which changes nothing.
    fn binder(binder: SocketAddr, error: &CallError) -> Self {
        let words = format!("the name server at {binder}: {error}");
        // One that is there, and has other keys than ours, need not be started.
        Failed::new(
            status::FAILED,
            match error.kind {
                CallErrorKind::PeerLost { reason: LostReason::WrongKey | LostReason::Protection { .. } } => words,
                _ => words + "; `dsm-node names` starts one, --binder says where it is",
            },
        )
    }
}

impl From<GuardError> for Failed {
    fn from(error: GuardError) -> Self {
        let status = if matches!(error, GuardError::Trace(_)) { status::FAILED } else { status::USAGE };
        Failed::new(status, error.to_string())
    }
}

impl From<StartError> for Failed {
    fn from(error: StartError) -> Self {
        Failed::new(status::FAILED, error.to_string())
    }
}

/// Prints what there is to say, and gives the status.
fn finish(outcome: Result<String, Failed>) -> i32 {
    use std::io::Write;
    match outcome {
        // A reader that has gone wants no more of it.
        Ok(text) => i32::from(std::io::stdout().write_all(text.as_bytes()).is_err()),
        Err(Failed { words, status }) => {
            crate::complain(words);
            status
        }
    }
}
