//! A service's interface as data: what both ends must agree on, and what people want to know of it.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec;

use super::message::{MethodId, ServiceId, fnv1a};
use super::service::Refusal;

/// What `#[rpc::service]` knows of a trait.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// The trait's name.
    pub name: &'static str,
    /// As the trait says; programs of different versions refuse each other's calls.
    pub version: u16,
    /// In the order of the trait, which means nothing on the wire.
    pub methods: &'static [Method],
}

impl Interface {
    /// Its number on the wire.
    pub const fn id(&self) -> ServiceId {
        ServiceId::of(self.name)
    }

    /// What both ends must agree on: the same for both if they hold the same interface.
    pub fn schema(&self) -> Schema {
        let mut methods: Vec<_> = self.methods.iter().map(Method::id).map(|id| (id.number, id.schema)).collect();
        methods.sort_unstable();
        Schema { version: self.version, hash: fnv1a(&format!("{} {methods:x?}", self.name)) }
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

    /// The place in [`Self::methods`] of the method that a request names.
    ///
    /// # Errors
    /// [`Refusal::OtherSchema`] if the caller's is of another version, or has other types; [`Refusal::UnknownMethod`] if there is none.
    pub fn find(&self, wanted: MethodId) -> Result<usize, Refusal> {
        let place = self.methods.iter().position(|method| method.number == wanted.number);
        let method = place.and_then(|place| self.methods.get(place));
        match (place, method) {
            (Some(place), Some(method)) if method.id() == wanted => Ok(place),
            (None, _) if wanted.version == self.version => Err(Refusal::UnknownMethod),
            _ => Err(Refusal::OtherSchema(Box::new(SchemaMismatch {
                service: self.name.to_owned(),
                method: method.map(|method| method.name.to_owned()),
                server: method.map_or_else(|| self.schema(), |method| method.id().schema()),
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
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its number in its service.
    pub number: u16,
    /// The service's.
    pub version: u16,
    /// The hash of its signature and of what the types in that look like on the wire: [`schema`], or any number.
    pub schema: fn() -> u32,
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

impl Method {
    /// How requests name it.
    #[inline]
    pub fn id(&self) -> MethodId {
        MethodId { number: self.number, version: self.version, schema: (self.schema)() }
    }
}

/// The hash of a method's signature, of the tuple of its arguments, and of its result: of the fields of structs and the variants of enums
/// as well, however deep. To find it takes a while: `#[rpc::service]` does so once for each method, when it is first called.
pub fn schema<A: DeserializeOwned, R: DeserializeOwned>(signature: &str) -> u32 {
    fnv1a(&format!("{signature}: {} -> {}", codec::shape::<A>(), codec::shape::<R>()))
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
        number: 7,
        version: 2,
        schema: || 0xabcd,
        name: "deposit",
        arguments: &[("cents", "u64")],
        result: "u64",
        doc: "",
        idempotent: false,
        oneway: false,
        inline: false,
    };
    const BANK: Interface = Interface { name: "Bank", version: 2, methods: &[METHOD] };

    #[test]
    fn a_request_that_agrees_finds_its_method() {
        assert_eq!(BANK.find(METHOD.id()), Ok(0));
        assert!(matches!(BANK.find(MethodId { number: 8, ..METHOD.id() }), Err(Refusal::UnknownMethod)));
    }

    #[test]
    fn other_types_and_other_versions_are_told_with_both_ends_schemas() {
        let text = |id| match BANK.find(id) {
            Err(Refusal::OtherSchema(mismatch)) => mismatch.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(
            text(MethodId { schema: 1, ..METHOD.id() }),
            "the server holds another interface of Bank.deposit: version 2, schema 0000abcd there, version 2, schema 00000001 here"
        );
        assert!(
            text(MethodId { version: 1, ..METHOD.id() })
                .contains("Bank.deposit: version 2, schema 0000abcd there, version 1")
        );
        assert!(
            text(MethodId { number: 8, version: 3, schema: 1 })
                .contains(&format!("does not have): {} there", BANK.schema()))
        );
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "its shape alone is of interest")]
    struct Order {
        number: u64,
        pieces: u16,
    }

    /// Another program's.
    mod other {
        use super::*;

        #[derive(Deserialize)]
        #[expect(dead_code, reason = "as above")]
        pub struct Order {
            pieces: u16,
            number: u64,
        }
    }

    #[test]
    fn a_schema_knows_the_fields_behind_the_names_of_types() {
        assert_eq!(schema::<(Order,), ()>("f(Order)"), schema::<(Order,), ()>("f(Order)"));
        assert_ne!(schema::<(Order,), ()>("f(Order)"), schema::<(other::Order,), ()>("f(Order)"));
        assert_ne!(schema::<(), Order>("f() -> Order"), schema::<(), other::Order>("f() -> Order"));
        assert_ne!(schema::<(), ()>("f()"), schema::<(), ()>("g()"));
    }

    #[test]
    fn the_order_of_methods_means_nothing() {
        let other = Method { number: 8, schema: || 5, ..METHOD };
        let of = |methods| Interface { methods, ..BANK }.schema();
        let [one, two] = [[METHOD, other], [other, METHOD]].map(|methods| of(Box::leak(Box::new(methods))));
        assert_eq!(one, two);
        assert_ne!(one, BANK.schema());
    }
}
