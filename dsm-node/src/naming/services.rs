//! `dsm-node services`: who is there, and what it can do.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

use clap::Args;
use rpc::names::Entry;
use rpc::reflection::{MethodInfo, ReflectionClient, ServiceInfo};
use rpc::{Client, ClientConfig};

use super::{Failed, Reach, finish};

/// Show the registered names, their servers and their methods
#[derive(Args)]
pub struct Services {
    /// Show the services of the server at this address instead, registered or not
    #[arg(value_name = "IP:PORT")]
    at: Option<SocketAddr>,

    #[command(flatten)]
    reach: Reach,
}

impl Services {
    pub fn execute(&self) -> i32 {
        finish(self.reach.config().and_then(|config| match self.at {
            Some(at) => of_server(at, &config),
            None => self.of_names(&config),
        }))
    }

    fn of_names(&self, config: &ClientConfig) -> Result<String, Failed> {
        let binder = self.reach.binder(config)?;
        let entries = binder.list().map_err(|error| Failed::binder(self.reach.binder, &error))?;
        if entries.is_empty() {
            return Ok(format!("no names at {}\n", self.reach.binder));
        }
        let mut names: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            names.entry(entry.name.clone()).or_default().push(entry);
        }
        let mut text = String::new();
        for (name, servers) in &names {
            let _ = writeln!(text, "{name}");
            show_name(&mut text, servers, config);
        }
        Ok(text)
    }
}

fn of_server(at: SocketAddr, config: &ClientConfig) -> Result<String, Failed> {
    let services = ask(at, config)?;
    let mut text = String::new();
    for service in &services {
        let _ = writeln!(text, "{at}/{}  version {}, schema {:08x}", service.name, service.version, service.schema);
        show_methods(&mut text, service);
    }
    Ok(text)
}

/// The servers of a name, and the methods as the first that answers has them, for each interface.
fn show_name(text: &mut String, servers: &[Entry], config: &ClientConfig) {
    let mut described: BTreeMap<(u16, u32), Option<ServiceInfo>> = BTreeMap::new();
    for entry in servers {
        let Entry { addr, service, version, schema, .. } = entry;
        let known = described.entry((*version, *schema)).or_default();
        let silent = match (known.is_some(), ask(*addr, config)) {
            (true, Ok(_)) => String::new(),
            (false, Ok(services)) => {
                *known = services.into_iter().find(|one| one.name == *service);
                String::new()
            }
            (_, Err(error)) => format!("  ({})", error.words),
        };
        let _ = writeln!(text, "    {addr}  {service} version {version}, schema {schema:08x}{silent}");
    }
    for service in described.values().flatten() {
        show_methods(text, service);
    }
}

fn ask(at: SocketAddr, config: &ClientConfig) -> Result<Vec<ServiceInfo>, Failed> {
    let mirror = ReflectionClient::new(Client::connect(at, config.clone())?);
    mirror.services().map_err(|error| Failed::call(at, &error))
}

fn show_methods(text: &mut String, service: &ServiceInfo) {
    for method in &service.methods {
        let _ = writeln!(text, "        {}{}", method.signature(), flags(method));
        if !method.doc.is_empty() {
            let _ = writeln!(text, "            {}", method.doc);
        }
    }
}

fn flags(method: &MethodInfo) -> String {
    let flags = [(method.idempotent, "idempotent"), (method.oneway, "oneway")];
    let words: Vec<_> = flags.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
    if words.is_empty() { String::new() } else { format!("  [{}]", words.join(", ")) }
}
