//! The text of the stubs.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, ItemTrait, Result, Type, parse_quote};

use crate::interface::{self, Method};

/// The whole expansion of `#[rpc::service]`.
pub fn service(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !attribute.is_empty() {
        return Err(Error::new_spanned(attribute, "#[rpc::service] takes no arguments"));
    }
    let mut item: ItemTrait = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), format!("#[rpc::service] goes on a trait: {error}")))?;
    let methods = interface::methods(&item)?;
    let server = server(&item, &methods);
    let blocking = client(&item, &methods, Flavour::Blocking);
    let futures = client(&item, &methods, Flavour::Async);
    item.supertraits.push(parse_quote!(::core::marker::Send));
    item.supertraits.push(parse_quote!(::core::marker::Sync));
    item.supertraits.push(parse_quote!('static));
    if item.colon_token.is_none() {
        item.colon_token = Some(Default::default());
    }
    Ok(quote! { #item #server #blocking #futures })
}

#[derive(Clone, Copy)]
enum Flavour {
    Blocking,
    Async,
}

fn server(item: &ItemTrait, methods: &[Method]) -> TokenStream {
    let (visibility, interface) = (&item.vis, &item.ident);
    let name = interface.to_string();
    let server = format_ident!("{interface}Server");
    let text = format!("Server stub of [`{interface}`]: hand it to `rpc::Server`'s builder.");
    let method_names = methods.iter().map(|method| method.name.to_string());
    let arms = (0u16..).zip(methods).map(|(number, method)| dispatch_arm(item, number, method));
    quote! {
        #[doc = #text]
        #[allow(dead_code, reason = "a program may be a client only")]
        #visibility struct #server<T> {
            service: ::std::sync::Arc<T>,
        }

        #[allow(dead_code, reason = "a program may be a client only")]
        impl<T: #interface> #server<T> {
            /// The service's number on the wire.
            pub const ID: ::rpc::ServiceId = ::rpc::ServiceId::of(#name);

            /// Serves this value.
            pub fn new(service: T) -> Self {
                Self::shared(::std::sync::Arc::new(service))
            }

            /// Serves a value that the program keeps hold of.
            pub fn shared(service: ::std::sync::Arc<T>) -> Self {
                Self { service }
            }
        }

        #[allow(deprecated, reason = "that a method is served is no use of it")]
        impl<T: #interface> ::rpc::Service for #server<T> {
            fn id(&self) -> ::rpc::ServiceId {
                Self::ID
            }

            fn name(&self) -> &'static str {
                #name
            }

            fn methods(&self) -> &'static [::rpc::Method] {
                const { &[#(::rpc::Method::new(#method_names)),*] }
            }

            fn dispatch(
                &self,
                method: ::rpc::MethodId,
                arguments: &[u8],
                reply: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), ::rpc::Refusal> {
                match method.0 {
                    #(#arms)*
                    _ => ::core::result::Result::Err(::rpc::Refusal::UnknownMethod),
                }
            }
        }
    }
}

fn dispatch_arm(item: &ItemTrait, number: u16, method: &Method) -> TokenStream {
    let (interface, name) = (&item.ident, &method.name);
    let types = method.arguments.iter().map(|(_, of)| of);
    let bindings: Vec<_> = (0..method.arguments.len()).map(|place| format_ident!("argument{place}")).collect();
    let result = result_type(method);
    let checks = method.arguments.iter().map(|(_, of)| of).chain([&result]).map(|of| {
        let place = placed_at(of.span());
        quote_spanned! { place => ::rpc::codec::travels::<#of>(); }
    });
    let place = placed_at(name.span());
    let decode = quote_spanned! { place => ::rpc::codec::decode(arguments).map_err(::rpc::Refusal::bad_arguments)? };
    let encode = quote_spanned! { place => ::rpc::codec::encode(&result, reply).map_err(::rpc::Refusal::bad_result) };
    quote! {
        #number => {
            #(#checks)*
            let (#(#bindings,)*): (#(#types,)*) = #decode;
            let result: #result = <T as #interface>::#name(&self.service, #(#bindings),*);
            #encode
        }
    }
}

/// Generated code whose errors ("does not implement") show the user's words instead of the attribute.
fn placed_at(words: Span) -> Span {
    Span::call_site().located_at(words)
}

fn result_type(method: &Method) -> Type {
    method.result.clone().unwrap_or_else(|| parse_quote!(()))
}

fn client(item: &ItemTrait, methods: &[Method], flavour: Flavour) -> TokenStream {
    let (visibility, interface) = (&item.vis, &item.ident);
    let name = interface.to_string();
    let (client, text) = match flavour {
        Flavour::Blocking => (
            format_ident!("{interface}Client"),
            format!("Client stub of [`{interface}`] whose methods block until the reply is here."),
        ),
        Flavour::Async => (
            format_ident!("{interface}AsyncClient"),
            format!("Client stub of [`{interface}`] whose methods are futures, for any executor."),
        ),
    };
    let calls = (0u16..).zip(methods).map(|(number, method)| client_method(item, number, method, flavour));
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

fn client_method(item: &ItemTrait, number: u16, method: &Method, flavour: Flavour) -> TokenStream {
    let name = &method.name;
    let attributes = &method.attributes;
    let text = format!("Calls [`{}::{name}`] at the server.", item.ident);
    let names: Vec<_> = method.arguments.iter().map(|(name, _)| name).collect();
    let types = method.arguments.iter().map(|(_, of)| of);
    let result = result_type(method);
    let place = placed_at(name.span());
    let target =
        quote_spanned! { place => Self::ID, ::rpc::MethodId(#number), ::rpc::CallKind::AtMostOnce, &(#(&#names,)*) };
    let (asyncness, call) = match flavour {
        Flavour::Blocking => (quote!(), quote_spanned! { place => self.client.call(#target) }),
        // Two statements: the borrows of the arguments end before the wait, so the future is Send without asking for Sync.
        Flavour::Async => {
            (quote!(async), quote_spanned! { place => let call = self.client.start(#target); call.await })
        }
    };
    quote! {
        #(#attributes)*
        #[doc = ""]
        #[doc = #text]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = "What the network or the server did instead of answering, and whether the method may have run."]
        pub #asyncness fn #name(&self, #(#names: #types),*) -> ::core::result::Result<#result, ::rpc::CallError> {
            #call
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trait_becomes_a_trait_a_server_and_two_clients() {
        let expanded =
            service(quote!(), quote! { pub trait Echo { fn echo(&self, text: String) -> String; fn reset(&self); } });
        let file: syn::File = syn::parse2(expanded.expect("expands")).expect("is Rust");
        let names: Vec<_> = file
            .items
            .iter()
            .filter_map(|item| match item {
                syn::Item::Trait(item) => Some(item.ident.to_string()),
                syn::Item::Struct(item) => Some(item.ident.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(names, ["Echo", "EchoServer", "EchoClient", "EchoAsyncClient"]);
    }

    #[test]
    fn arguments_of_the_attribute_and_other_items_are_refused() {
        let words = |attribute, item| service(attribute, item).expect_err("refused").to_string();
        assert!(words(quote!(version = 2), quote! { trait S { fn f(&self); } }).contains("no arguments"));
        assert!(words(quote!(), quote! { struct S; }).contains("goes on a trait"));
    }
}
