//! `dsm-node call`: one call of any service, in JSON.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use rpc::reflection::{JSON_BYTES_MAX, JsonError, MethodInfo, ReflectionClient, ServiceInfo};
use rpc::{Client, ClientConfig, Failure, Ran};

use super::target::{Place, Target};
use super::{Failed, Reach, finish, status};
use crate::complain;

/// How often a call that may have run is made again, if that does no harm.
const REPEATS: usize = 2;

/// Call a method of any service, with arguments and result in JSON
///
/// The result goes to the standard output, on one line. The status is 0 for a result, 3 for the method's own error (told in
/// JSON), 2 for a method that is not there or arguments that do not fit, 1 for a call that did not run, 4 for one that may
/// have.
#[derive(Args)]
#[command(
    after_help = "Examples: dsm-node call bank.deposit '[\"ada\", 5]' --key-file k\n          dsm-node call bank.balance '{\"account\": \"ada\"}' --key-file k --trace balance.txt\n          dsm-node call 127.0.0.1:4000/Bank.balance '[\"ada\"]' --plain"
)]
pub struct Call {
    /// NAME.method of a registered name, or IP:PORT/Service.method
    #[arg(value_name = "TARGET")]
    target: Target,

    /// A JSON array of all arguments, or an object by name; `-` reads it from the standard input
    #[arg(value_name = "JSON", default_value = "[]")]
    arguments: String,

    /// Write every datagram of this call, those to the name server too, to this file as a packet ladder, and to FILE.pcapng for
    /// Wireshark: readable, with a key too
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,

    #[command(flatten)]
    reach: Reach,
}

impl Call {
    pub fn execute(&self) -> i32 {
        finish(self.call().map(|result| result + "\n"))
    }

    fn call(&self) -> Result<String, Failed> {
        let mut config = self.reach.config()?;
        let arguments = self.arguments()?;
        config.driver.trace = self.reach.guard.trace(self.trace.as_deref())?;
        let outcome = self.call_with(&config, &arguments);
        if let Some(failure) = config.driver.trace.and_then(|trace| trace.failure()) {
            complain(format_args!("the trace has ended early: {failure}"));
        }
        outcome
    }

    fn call_with(&self, config: &ClientConfig, arguments: &str) -> Result<String, Failed> {
        let (client, service) = self.find(config)?;
        let mirror = ReflectionClient::new(client);
        let method = self.method(&mirror, &service)?;
        let mut repeats = if method.idempotent { REPEATS } else { 0 };
        loop {
            match mirror.call(service.clone(), method.name.clone(), arguments.to_owned()) {
                Ok(result) => return Ok(result),
                Err(Failure::Call(error)) if error.ran == Ran::Maybe && repeats > 0 => repeats -= 1,
                Err(Failure::Call(error)) => return Err(Failed::call(self.shown(), &error)),
                Err(Failure::Application(error)) => return Err(self.refused(&method, &error)),
            }
        }
    }

    fn arguments(&self) -> Result<String, Failed> {
        if self.arguments != "-" {
            return Ok(self.arguments.clone());
        }
        let mut text = String::new();
        let read = std::io::stdin().take(JSON_BYTES_MAX as u64 + 1).read_to_string(&mut text);
        read.map_err(|error| Failed::new(status::USAGE, format!("cannot read the arguments: {error}")))?;
        Ok(text)
    }

    /// Whom to call, and the service's name.
    fn find(&self, config: &ClientConfig) -> Result<(Client, String), Failed> {
        match &self.target.place {
            Place::At(addr, service) => Ok((Client::connect(*addr, config.clone())?, service.clone())),
            Place::Name(name) => {
                let binder = self.reach.binder(config)?;
                let at = self.reach.binder;
                let entries = match binder.resolve(name.clone()) {
                    Ok(entries) => entries,
                    Err(Failure::Application(error)) => {
                        let words = format!("{error}; `dsm-node services` shows those that there are");
                        return Err(Failed::new(status::USAGE, words));
                    }
                    Err(Failure::Call(error)) => return Err(Failed::binder(at, &error)),
                };
                let service = entries.into_iter().map(|entry| entry.service).next().unwrap_or_default();
                Ok((Client::by_name(at, name, config.clone())?, service))
            }
        }
    }

    /// What the server says of the method.
    fn method(&self, mirror: &ReflectionClient, service: &str) -> Result<MethodInfo, Failed> {
        let services = mirror.services().map_err(|error| Failed::call(self.shown(), &error))?;
        let names = || services.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
        let missing = || Failed::new(status::USAGE, format!("there is no service `{service}`; there is {}", names()));
        let found = services.iter().find(|one| one.name == service).ok_or_else(missing)?;
        let method = found.methods.iter().find(|method| method.name == self.target.method);
        method.cloned().ok_or_else(|| Failed::new(status::USAGE, no_method(found, &self.target.method)))
    }

    fn refused(&self, method: &MethodInfo, error: &JsonError) -> Failed {
        match error {
            JsonError::Application(json) => Failed::new(status::APPLICATION, format!("{}: {json}", self.shown())),
            JsonError::BadResult(_) => Failed::new(status::MAYBE, format!("{}: {error}", self.shown())),
            _ => Failed::new(status::USAGE, format!("{error}; the method is {}", method.signature())),
        }
    }

    /// The target as it was written.
    fn shown(&self) -> String {
        match &self.target.place {
            Place::Name(name) => format!("{name}.{}", self.target.method),
            Place::At(addr, service) => format!("{addr}/{service}.{}", self.target.method),
        }
    }
}

fn no_method(service: &ServiceInfo, wanted: &str) -> String {
    let methods: Vec<_> = service.methods.iter().map(|method| format!("\n    {}", method.signature())).collect();
    format!("{} has no method `{wanted}`; it has{}", service.name, methods.concat())
}
