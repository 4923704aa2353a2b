//! The stub generator: `#[rpc::service]` turns a trait into a remote interface.
//!
//! Use it through the `rpc` crate, which re-exports it as `rpc::service`; the code that it writes names `::rpc`.
#![forbid(unsafe_code)]

mod attributes;
mod canonical;
mod client;
mod complaints;
mod description;
mod expand;
mod interface;
mod server;

use proc_macro::TokenStream;

/// Makes a trait callable from afar: writes its server stub and its two client stubs.
///
/// ```text
/// #[rpc::service(version = 1)]
/// pub trait Bank {
///     /// Adds to an account; gives the new balance.
///     fn deposit(&self, account: String, cents: u64) -> Result<u64, Refused>;
///     #[rpc(idempotent)]
///     fn balance(&self, account: String) -> u64;
///     #[rpc(oneway)]
///     fn note(&self, line: String);
/// }
/// ```
///
/// `#[rpc::service]` alone is version 1. The file `docs/stubs.md` shows this interface's whole expansion.
///
/// # What it writes
///
/// With the visibility of the trait, beside it:
///
/// - **the trait itself**, as `trait Bank: Send + Sync + 'static`, because several workers of a server share one value
///   of it; a server's program implements it. A handler may block;
/// - **`BankServer<T: Bank>`**: the server stub. `BankServer::new(value)` or `BankServer::shared(Arc<T>)` wrap an
///   implementation; it implements `rpc::Service`, that is: it takes a request's arguments out one by one, calls the method, and encodes
///   the result;
/// - **`BankClient`**: the client stub that blocks. `BankClient::new(rpc::Client)`; each method takes the trait's
///   arguments by value and returns `Result<R, rpc::CallError>`, where `R` is what the trait's method returns. A method that
///   returns `Result<T, E>` itself yields `Result<T, rpc::Failure<E>>`: one error, which is either the method's own or the call's;
/// - **`BankAsyncClient`**: the same with `async fn`. Its futures need no particular executor; dropping one gives up
///   the wait (the call may still run).
///
/// Both clients are `Clone`, and have `client()` to reach the `rpc::Client` inside, `ID` and `INTERFACE`. Documentation comments
/// and `#[deprecated]` are carried over to them.
///
/// # What may be said of a method
///
/// `#[rpc(...)]` with one or several of
///
/// - `idempotent`: running it twice does the same as running it once;
/// - `oneway`: there is no reply; the client's method returns as soon as the call is sent;
/// - `inline`: so short that the server's receiving thread runs it itself;
/// - `number = N`: its number on the wire.
///
/// # What goes on the wire
///
/// The service's number is the 32-bit FNV-1a hash of the trait's name; a method's number is that of its own name, folded to 16
/// bits, unless it is given. Methods can be added and moved. A request also names the version of the service, and a hash of
/// the names, the method's types, and what those look like on the wire, fields and variants included: where the ends differ, the call fails
/// with both ends' versions and hashes and does not run. Arguments travel as a tuple, encoded by `rpc::codec`, and so does the result.
/// Raise the version when what is meant changes and the types do not.
///
/// # What a service's trait may hold
///
/// Only methods, without a body, each `fn name(&self, argument: Type, ...) -> Type`, with at most 16 arguments. Each
/// argument and result is an owned type that implements serde's `Serialize` and `Deserialize`. Not allowed, each with an error at
/// the line in question: generics and lifetimes, `async`, `unsafe`, `const` and `extern` methods, a receiver
/// that is not `&self`, references, `impl Trait`, `Self` in types, patterns as argument names, associated types and
/// constants, `#[cfg]` on a method (the ends would hold different interfaces), a oneway method with a result, a `Result` whose error
/// is not named, two methods of one number, and methods named `new`, `client`.
#[proc_macro_attribute]
pub fn service(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::service(attribute.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
