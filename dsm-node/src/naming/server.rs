//! `dsm-node names`: the name server.

use std::io::Write;
use std::net::SocketAddr;

use clap::Args;
use examples::guard::Guard;
use rpc::Server;
use rpc::driver::DriverConfig;
use rpc::names::{BinderServer, Limits, NameServer};

use super::{DEFAULT_BINDER, Failed, status};
use crate::{complain, signals};

/// Keep the names under which servers are found, until a signal ends it
///
/// Names live in memory. Servers renew theirs: what a dead one leaves goes away, and what this program forgets when it is
/// restarted comes back within seconds.
#[derive(Args)]
#[command(
    after_help = "Example: dsm-node key k; dsm-node names --key-file k & bank serve --register 127.0.0.1:4747 --key-file k &\n         dsm-node call bank.deposit '[\"ada\", 5]' --key-file k"
)]
pub struct Names {
    /// Where to serve; port 0 is any free one
    #[arg(long, value_name = "IP:PORT", default_value = DEFAULT_BINDER)]
    listen: SocketAddr,

    /// Most registrations, of all names together
    #[arg(long, value_name = "N", default_value_t = Limits::default().entries)]
    registrations: usize,

    #[command(flatten)]
    guard: Guard,
}

impl Names {
    pub fn execute(&self) -> i32 {
        match self.serve() {
            Ok(()) => 0,
            Err(Failed { words, status }) => {
                complain(words);
                status
            }
        }
    }

    fn serve(&self) -> Result<(), Failed> {
        // Collected before anybody can know that this serves.
        let mut signals = signals::collect().map_err(|error| Failed::new(status::FAILED, error.to_string()))?;
        let limits = Limits { entries: self.registrations, ..Limits::default() };
        let config = DriverConfig::new(self.guard.security()?);
        let server =
            Server::builder(config).bind(self.listen)?.serve(BinderServer::new(NameServer::new(limits))).start()?;
        // Whoever started it may not be listening any more; it serves all the same.
        let _ = writeln!(std::io::stdout(), "name server at {}", server.local_addr());
        signals.forever().next();
        Ok(())
    }
}
