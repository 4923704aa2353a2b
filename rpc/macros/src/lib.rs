//! The stub generator: `#[rpc::service]` turns a trait into a remote interface.
//!
//! Use it through the `rpc` crate, which re-exports it as `rpc::service`; the code that it writes names `::rpc`.
#![forbid(unsafe_code)]

mod expand;
mod interface;

use proc_macro::TokenStream;

/// Makes a trait callable from afar: writes its server stub and its two client stubs.
///
/// ```text
/// #[rpc::service]
/// pub trait Echo {
///     /// Gives the text back.
///     fn echo(&self, text: String) -> String;
///     fn add(&self, a: u64, b: u64) -> Result<u64, String>;
/// }
/// ```
///
/// # What it writes
///
/// With the visibility of the trait, beside it:
///
/// - **the trait itself**, as `trait Echo: Send + Sync + 'static`, because several workers of a server share one value
///   of it; a server's program implements it. A handler may block;
/// - **`EchoServer<T: Echo>`**: the server stub. `EchoServer::new(value)` or `EchoServer::shared(Arc<T>)` wrap an
///   implementation; it implements `rpc::Service`, that is: it decodes arguments, calls the method, encodes the result;
/// - **`EchoClient`**: the client stub that blocks. `EchoClient::new(rpc::Client)`; each method takes the trait's
///   arguments by value and returns `Result<R, rpc::CallError>`, where `R` is what the trait's method returns. So a
///   method that returns `Result<T, E>` yields `Result<Result<T, E>, rpc::CallError>`: the outer error tells what the
///   network or the server did, the inner one is the method's own answer;
/// - **`EchoAsyncClient`**: the same with `async fn`. Its futures need no particular executor; dropping one gives up
///   the wait (the call may still run).
///
/// Both clients are `Clone`, and have `client()` to reach the `rpc::Client` inside. Documentation comments and
/// `#[deprecated]` are carried over to them.
///
/// # What goes on the wire
///
/// The service's number is the 32-bit FNV-1a hash of the trait's name (`EchoServer::<T>::ID`, `EchoClient::ID`); a
/// method's number is its place in the trait, from 0. Arguments travel as a tuple, encoded by `rpc::codec`, and so does
/// the result. Hence two programs understand each other only if they hold the same trait: append methods, never reorder
/// or change them, or rename the trait with the change.
///
/// # What a service's trait may hold
///
/// Only methods, without a body, each `fn name(&self, argument: Type, ...) -> Type`, with at most 16 arguments. Each
/// argument and result is an owned type that implements serde's `Serialize` and `Deserialize`. Not allowed, each with an error at
/// the line in question: generics and lifetimes, `async`, `unsafe`, `const` and `extern` methods, a receiver
/// that is not `&self`, references, `impl Trait`, `Self` in types, patterns as argument names, associated types and
/// constants, `#[cfg]` on a method (both ends would number the methods differently), and methods named `new`, `client`.
#[proc_macro_attribute]
pub fn service(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::service(attribute.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
