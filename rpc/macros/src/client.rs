//! The client stubs: what makes a call look like one.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Index, ItemTrait, Type, parse_quote};

use crate::description;
use crate::expand::{own, placed_at};
use crate::interface::Method;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    Blocking,
    Async,
}

/// `InterfaceClient` or `InterfaceAsyncClient`.
pub fn stub(item: &ItemTrait, version: u16, methods: &[Method], flavour: Flavour) -> TokenStream {
    let (visibility, interface) = (&item.vis, &item.ident);
    let name = interface.unraw().to_string();
    let blocking = format_ident!("{interface}Client");
    let (client, text, description) = match flavour {
        Flavour::Blocking => (
            blocking,
            format!(" Client stub of [`{interface}`] whose methods block until the reply is here."),
            description::of(item, version, methods),
        ),
        Flavour::Async => (
            format_ident!("{interface}AsyncClient"),
            format!(" Client stub of [`{interface}`] whose methods are futures, for any executor."),
            quote!(#blocking::INTERFACE),
        ),
    };
    let calls = methods.iter().enumerate().map(|(place, method)| call(item, place, method, flavour));
    quote! {
        #[doc = #text]
        #[allow(dead_code, reason = "no program needs both clients")]
        #[derive(Clone, Debug)]
        #visibility struct #client {
            client: ::rpc::Client,
        }

        #[allow(dead_code, reason = "no program needs both clients")]
        impl #client {
            /// The service's number on the wire.
            pub const ID: ::rpc::ServiceId = ::rpc::ServiceId::of(#name);

            /// What both ends must agree on.
            pub const INTERFACE: &'static ::rpc::Interface = #description;

            /// Calls through this client; any number of stubs share one.
            pub fn new(client: ::rpc::Client) -> Self {
                Self { client }
            }

            /// The client inside.
            pub fn client(&self) -> &::rpc::Client {
                &self.client
            }

            #(#calls)*
        }
    }
}

fn call(item: &ItemTrait, place: usize, method: &Method, flavour: Flavour) -> TokenStream {
    let name = &method.name;
    let attributes = &method.attributes;
    let text = format!(" Calls [`{}::{name}`] at the server.", item.ident);
    let errors = errors(method);
    let names: Vec<_> = method.arguments.iter().map(|(name, _)| name).collect();
    let types = method.arguments.iter().map(|(_, of)| of);
    let (value, error) = returned(method);
    let asyncness = (flavour == Flavour::Async).then(|| quote!(async));
    let body = body(place, method, flavour);
    quote! {
        #(#attributes)*
        #[doc = ""]
        #[doc = #text]
        #[doc = ""]
        #[doc = " # Errors"]
        #[doc = #errors]
        pub #asyncness fn #name(&self, #(#names: #types),*) -> ::core::result::Result<#value, #error> {
            #body
        }
    }
}

fn errors(method: &Method) -> &'static str {
    if method.flags.oneway.is_some() {
        " The call was not sent. One that was sent may be lost with the server."
    } else if method.output.error.is_some() {
        " The method's own error, or what the network or the server did instead of answering."
    } else {
        " What the network or the server did instead of answering, and whether the method may have run."
    }
}

/// What a call gives: a value or an error.
fn returned(method: &Method) -> (Type, TokenStream) {
    let value = method.output.value.clone().unwrap_or_else(|| parse_quote!(()));
    match &method.output.error {
        None => (value, quote!(::rpc::CallError)),
        Some(error) => (value, quote!(::rpc::Failure<#error>)),
    }
}

fn body(place: usize, method: &Method, flavour: Flavour) -> TokenStream {
    let index = Index::from(place);
    let id = quote!(Self::INTERFACE.methods[#index].id());
    let place = placed_at(method.name.span());
    let names = method.arguments.iter().map(|(name, _)| name);
    let kind = match method.flags.idempotent {
        Some(_) => quote!(::rpc::CallKind::Idempotent),
        None => quote!(::rpc::CallKind::AtMostOnce),
    };
    let arguments = quote!(&(#(&#names,)*));
    if method.flags.oneway.is_some() {
        return quote_spanned! { place => self.client.send(Self::ID, #id, #arguments) };
    }
    let target = quote_spanned! { place => Self::ID, #id, #kind, #arguments };
    let call = own("call");
    let sent = match flavour {
        Flavour::Blocking => quote_spanned! { place => self.client.call(#target) },
        // Two statements: the borrows of the arguments end before the wait, so the future is Send without asking for Sync.
        Flavour::Async => quote_spanned! { place => let #call = self.client.start(#target); #call.await },
    };
    let reply = own("reply");
    match (&method.output.error, flavour) {
        (None, _) => sent,
        (Some(_), Flavour::Blocking) => quote_spanned! { place => ::rpc::Failure::flatten(#sent) },
        (Some(_), Flavour::Async) => quote_spanned! { place =>
            let #call = self.client.start(#target);
            let #reply = #call.await;
            ::rpc::Failure::flatten(#reply)
        },
    }
}
