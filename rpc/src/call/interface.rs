//! A service's interface as data: what both ends must agree on, and what people want to know of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::message::{MethodId, ServiceId};
use super::service::Refusal;

/// What `#[rpc::service]` knows of a trait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The trait's name.
    pub name: &'static str,
    /// As the trait says; programs of different versions refuse each other's calls.
    pub version: u16,
    /// Hash of name, version, and of every method's name and types: the same at both ends if they hold the same interface.
    pub schema: u32,
    /// In the order of the trait, which means nothing on the wire.
    pub methods: &'static [Method],
}

impl Interface {
    /// Its number on the wire.
    pub const fn id(&self) -> ServiceId {
        ServiceId::of(self.name)
    }

    /// The method of this name.
    pub const fn method(&self, name: &str) -> Option<&'static Method> {
        let mut place = 0;
        while place < self.methods.len() {
            if same(self.methods[place].name, name) {
                return Some(&self.methods[place]);
            }
            place += 1;
        }
        None
    }

    /// The method that a request names.
    ///
    /// # Errors
    /// [`Refusal::OtherSchema`] if the caller's is of another version, or has other types; [`Refusal::UnknownMethod`] if there is none.
    pub fn find(&self, wanted: MethodId) -> Result<&'static Method, Refusal> {
        let method = self.methods.iter().find(|method| method.id.number == wanted.number);
        match method {
            Some(method) if method.id == wanted => Ok(method),
            None if wanted.version == self.version => Err(Refusal::UnknownMethod),
            _ => Err(Refusal::OtherSchema(Box::new(SchemaMismatch {
                service: self.name.to_owned(),
                method: method.map(|method| method.name.to_owned()),
                server: method.map_or(Schema { version: self.version, hash: self.schema }, |method| method.id.schema()),
                client: wanted.schema(),
            }))),
        }
    }
}

/// Whether two texts are equal; `==` cannot be had at compile time.
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut place = 0;
    while place < one.len() {
        if one[place] != other[place] {
            return false;
        }
        place += 1;
    }
    true
}

/// What is known of a method of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Method {
    /// How requests name it.
    pub id: MethodId,
    /// Its name.
    pub name: &'static str,
    /// Name and type of each argument, as texts.
    pub arguments: &'static [(&'static str, &'static str)],
    /// What it returns, as a text.
    pub result: &'static str,
    /// The first line of its documentation, or nothing.
    pub doc: &'static str,
    /// To run it twice does the same as to run it once.
    pub idempotent: bool,
    /// It has no reply.
    pub oneway: bool,
    /// It is so short that the thread that receives requests runs it itself.
    pub inline: bool,
}

/// Two ends that hold different interfaces of one service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SchemaMismatch {
    /// The service.
    pub service: String,
    /// The method, if the server has one of this number.
    pub method: Option<String>,
    /// What the server holds.
    pub server: Schema,
    /// What the caller holds.
    pub client: Schema,
}

impl fmt::Display for SchemaMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, method, server, client } = self;
        let method = method.as_deref().unwrap_or("(a method that it does not have)");
        write!(f, "the server holds another interface of {service}.{method}: {server} there, {client} here")
    }
}

/// One end's view of a method, or of a whole service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Schema {
    /// The service's version.
    pub version: u16,
    /// Hash of the names and types.
    pub hash: u32,
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {}, schema {:08x}", self.version, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: Method = Method {
        id: MethodId { number: 7, version: 2, schema: 0xabcd },
        name: "deposit",
        arguments: &[("cents", "u64")],
        result: "u64",
        doc: "",
        idempotent: false,
        oneway: false,
        inline: false,
    };
    const BANK: Interface = Interface { name: "Bank", version: 2, schema: 0x1234, methods: &[METHOD] };

    #[test]
    fn a_request_that_agrees_finds_its_method() {
        assert_eq!(BANK.find(METHOD.id), Ok(&METHOD));
        assert_eq!(BANK.find(MethodId { number: 8, ..METHOD.id }), Err(Refusal::UnknownMethod));
    }

    #[test]
    fn other_types_and_other_versions_are_told_with_both_ends_schemas() {
        let text = |id| match BANK.find(id) {
            Err(Refusal::OtherSchema(mismatch)) => mismatch.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(
            text(MethodId { schema: 1, ..METHOD.id }),
            "the server holds another interface of Bank.deposit: version 2, schema 0000abcd there, version 2, schema 00000001 here"
        );
        assert!(
            text(MethodId { version: 1, ..METHOD.id })
                .contains("Bank.deposit: version 2, schema 0000abcd there, version 1")
        );
        assert!(
            text(MethodId { number: 8, version: 3, schema: 1 })
                .contains("does not have): version 2, schema 00001234 there")
        );
    }
}
