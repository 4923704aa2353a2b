//! A bank that is called by name.
//!
//! First `dsm-node key bank.key`, for all of them. In one shell `dsm-node names --key-file bank.key`, in a second and a third `bank serve
//! --register 127.0.0.1:4747 --key-file bank.key`, in a fourth `bank deposit ada 5 --key-file bank.key` and `dsm-node call bank.balance
//! '["ada"]' --key-file bank.key`; then end one branch, and go on.
//!
//! The lesson of byte orders, where nobody need be kept out: `bank serve --listen 127.0.0.1:4000 --byte-order foreign --plain` plays a
//! machine of the other kind that writes what it has in memory, and `bank deposit ada 1 --server 127.0.0.1:4000 --byte-order native
//! --plain` calls it from this one.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use examples::bank::{BankClient, BankServer, Branch};
use examples::guard::Guard;
use rpc::codec::ByteOrder;
use rpc::driver::DriverConfig;
use rpc::names::{LEASE, RegistrationState};
use rpc::{Client, ClientConfig, Server, ServerHandle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Open a branch of a bank, or go to one
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    errand: Errand,
}

#[derive(Subcommand)]
enum Errand {
    /// Open a branch, until a signal closes it
    Serve(Serve),
    /// Add to an account
    Deposit {
        account: String,
        cents: u64,
        #[command(flatten)]
        to: To,
    },
    /// Take from an account
    Withdraw {
        account: String,
        cents: u64,
        #[command(flatten)]
        to: To,
    },
    /// Ask what is in an account
    Balance {
        account: String,
        #[command(flatten)]
        to: To,
    },
}

#[derive(Args)]
struct Serve {
    /// Where to serve; port 0 is any free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Register at this name server
    #[arg(long, value_name = "IP:PORT")]
    register: Option<SocketAddr>,
    /// The name to register
    #[arg(long, default_value = "bank")]
    name: String,
    /// How long the name stays after a branch that died, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = LEASE.as_millis() as u64)]
    lease: u64,
    /// How to write numbers
    #[arg(long, default_value = "network")]
    byte_order: Order,
    #[command(flatten)]
    guard: Guard,
}

/// Where the branch is, and who may go there.
#[derive(Args)]
struct To {
    /// The name server
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:4747")]
    binder: SocketAddr,
    /// The registered name
    #[arg(long, default_value = "bank")]
    name: String,
    /// The branch's address, instead of a name
    #[arg(long, value_name = "IP:PORT", conflicts_with_all = ["binder", "name"])]
    server: Option<SocketAddr>,
    /// How to write numbers
    #[arg(long, default_value = "network")]
    byte_order: Order,
    #[command(flatten)]
    guard: Guard,
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, ValueEnum)]
enum Order {
    /// Big-endian, whatever the machine
    Network,
    /// As this machine has them in memory
    Native,
    /// As a machine of the other kind has them in memory
    Foreign,
}

impl From<Order> for ByteOrder {
    fn from(order: Order) -> ByteOrder {
        match order {
            Order::Network => ByteOrder::Network,
            Order::Native => ByteOrder::Native,
            Order::Foreign => ByteOrder::Foreign,
        }
    }
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().errand {
        Errand::Serve(serve) => serve.run(),
        Errand::Deposit { account, cents, to } => to.go(|bank| Ok(bank.deposit(account, cents)?)),
        Errand::Withdraw { account, cents, to } => to.go(|bank| Ok(bank.withdraw(account, cents)?)),
        Errand::Balance { account, to } => to.go(|bank| Ok(bank.balance(account)?)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bank: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome<T> = Result<T, Box<dyn Error>>;

impl Serve {
    fn run(&self) -> Outcome<()> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let mut builder = Server::builder(DriverConfig::new(self.guard.security()?))
            .byte_order(self.byte_order.into())
            .bind(self.listen)?
            .lease(Duration::from_millis(self.lease))
            .serve(BankServer::new(Branch::default()));
        if let Some(binder) = self.register {
            builder = builder.register(binder, &self.name);
        }
        let server = builder.start()?;
        say(format_args!("serving at {}", server.local_addr()));
        tell_registrations(&server);
        signals.forever().next();
        Ok(())
    }
}

/// Says once how the registration went.
fn tell_registrations(server: &ServerHandle) {
    for registration in server.registrations() {
        let (name, binder) = (&registration.name, registration.binder);
        match registration.state {
            RegistrationState::Registered => say(format_args!("registered as {name} at {binder}")),
            RegistrationState::Asked => say(format_args!("registering as {name} at {binder}")),
            RegistrationState::Failed(why) => say(format_args!("not registered as {name} at {binder} yet: {why}")),
        }
    }
}

/// Whoever started it may not be listening any more; it serves all the same.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

impl To {
    fn go(&self, errand: impl FnOnce(&BankClient) -> Outcome<u64>) -> Outcome<()> {
        let security = self.guard.security()?;
        let config = ClientConfig { byte_order: self.byte_order.into(), ..ClientConfig::new(security) };
        let client = match self.server {
            Some(server) => Client::connect(server, config)?,
            None => Client::by_name(self.binder, &self.name, config)?,
        };
        say(format_args!("{} cents", errand(&BankClient::new(client))?));
        Ok(())
    }
}
