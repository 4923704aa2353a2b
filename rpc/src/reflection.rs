//! What a server tells of its services, and calls with arguments in JSON: for programs that do not hold the interface, such as
//! `dsm-node call`.
//!
//! Every server serves [`Reflection`] beside its own services. It adds nothing to what a caller may do: whoever may call a
//! service may call it in JSON.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::call::{Interface, JsonRequest, Method, OtherForm, Refusal, Service};
use crate::codec::Encoded;

/// Longest arguments in JSON; as values in memory they take many times more.
pub const JSON_BYTES_MAX: usize = 1 << 20;

/// What every server offers.
#[rpc_macros::service(version = 1)]
pub trait Reflection {
    /// The services of this server, this one not counted.
    #[rpc(idempotent)]
    fn services(&self) -> Vec<ServiceInfo>;

    /// Calls a method. The arguments are a JSON array of all, or an object by name; the result is JSON.
    fn call(&self, service: String, method: String, arguments: String) -> Result<String, JsonError>;
}

/// An [`Interface`] that travels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceInfo {
    /// The trait's name.
    pub name: String,
    /// The trait's version.
    pub version: u16,
    /// Hash of names and types.
    pub schema: u32,
    /// In the order of the trait.
    pub methods: Vec<MethodInfo>,
}

/// A [`Method`] that travels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MethodInfo {
    /// Its name.
    pub name: String,
    /// Name and type of each argument.
    pub arguments: Vec<(String, String)>,
    /// What it returns.
    pub result: String,
    /// The first line of its documentation.
    pub doc: String,
    /// To run it twice does the same as to run it once.
    pub idempotent: bool,
    /// It has no reply.
    pub oneway: bool,
}

impl MethodInfo {
    /// As it stands in the trait, on one line.
    pub fn signature(&self) -> String {
        let arguments: Vec<_> = self.arguments.iter().map(|(name, of)| format!("{name}: {of}")).collect();
        format!("{}({}) -> {}", self.name, arguments.join(", "), self.result)
    }
}

impl From<&Interface> for ServiceInfo {
    fn from(interface: &Interface) -> Self {
        let Interface { name, version, methods } = *interface;
        let schema = interface.schema().hash;
        ServiceInfo { name: name.to_owned(), version, schema, methods: methods.iter().map(MethodInfo::from).collect() }
    }
}

impl From<&Method> for MethodInfo {
    fn from(method: &Method) -> Self {
        MethodInfo {
            name: method.name.to_owned(),
            arguments: method.arguments.iter().map(|(name, of)| ((*name).to_owned(), (*of).to_owned())).collect(),
            result: method.result.to_owned(),
            doc: method.doc.to_owned(),
            idempotent: method.idempotent,
            oneway: method.oneway,
        }
    }
}

/// Why a call in JSON gave no result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Error)]
pub enum JsonError {
    /// The method ran, and this is its own error, as JSON.
    #[error("{0}")]
    Application(String),
    /// The server has others.
    #[error("there is no service `{wanted}` here; there is {}", listed(there))]
    UnknownService {
        /// What was asked for.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// The service has others.
    #[error("the service has no method `{wanted}`; it has {}", listed(there))]
    UnknownMethod {
        /// What was asked for.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// Nothing ran.
    #[error("wrong arguments: {0}")]
    BadArguments(String),
    /// The method ran, and its result cannot be written as JSON.
    #[error("the result cannot be written as JSON: {0}")]
    BadResult(String),
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Reflection on these services.
pub(crate) struct Mirror(pub(crate) Arc<[Arc<dyn Service>]>);

impl Reflection for Mirror {
    fn services(&self) -> Vec<ServiceInfo> {
        self.0.iter().map(|service| ServiceInfo::from(service.interface())).collect()
    }

    fn call(&self, service: String, method: String, arguments: String) -> Result<String, JsonError> {
        let Some(found) = self.0.iter().find(|one| one.name() == service) else {
            let there = self.0.iter().map(|one| one.name().to_owned()).collect();
            return Err(JsonError::UnknownService { wanted: service, there });
        };
        let methods = found.interface().methods;
        let Some((place, method)) = methods.iter().enumerate().find(|(_, one)| one.name == method) else {
            let there = methods.iter().map(|method| method.name.to_owned()).collect();
            return Err(JsonError::UnknownMethod { wanted: method, there });
        };
        let mut reply = Encoded::default();
        let request = JsonRequest::new(parse(&arguments)?, method.arguments);
        let mut request = request.map_err(JsonError::BadArguments)?;
        let ran = found.dispatch_other(OtherForm::json(&mut request), &mut reply, place);
        ran.map_err(|refusal| match *refusal {
            Refusal::BadResult(text) => JsonError::BadResult(text),
            Refusal::BadArguments(text) => JsonError::BadArguments(text),
            other => JsonError::BadArguments(other.to_string()),
        })?;
        let text = String::from_utf8(reply.bytes).map_err(|error| JsonError::BadResult(error.to_string()))?;
        if request.failed { Err(JsonError::Application(text)) } else { Ok(text) }
    }
}

fn parse(arguments: &str) -> Result<Value, JsonError> {
    if arguments.len() > JSON_BYTES_MAX {
        let text = format!("{} bytes of JSON, {JSON_BYTES_MAX} at most", arguments.len());
        return Err(JsonError::BadArguments(text));
    }
    serde_json::from_str(arguments).map_err(|error| JsonError::BadArguments(format!("this is not JSON: {error}")))
}
