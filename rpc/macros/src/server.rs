//! The server stub: what runs a method for bytes that came.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, ItemTrait};

use crate::canonical::type_text;
use crate::expand::{own, placed_at};
use crate::interface::Method;

/// `InterfaceServer`. Where types of the interface stand, its own parameter has a name that none of them will have.
pub fn stub(item: &ItemTrait, methods: &[Method]) -> TokenStream {
    let (visibility, interface) = (&item.vis, &item.ident);
    let (server, client) = (format_ident!("{interface}Server"), format_ident!("{interface}Client"));
    let text = format!(" Server stub of [`{interface}`]: hand it to `rpc::Server`'s builder.");
    let [called, arguments, reply] = ["method", "arguments", "reply"].map(own);
    let names = methods.iter().map(run_name);
    let runs = methods.iter().map(|method| run(item, method));
    quote! {
        #[doc = #text]
        #[allow(dead_code, reason = "a program may be a client only")]
        #visibility struct #server<T> {
            service: ::std::sync::Arc<T>,
        }

        #[allow(dead_code, reason = "a program may be a client only")]
        impl<T: #interface> #server<T> {
            /// Serves this value.
            pub fn new(service: T) -> Self {
                Self::shared(::std::sync::Arc::new(service))
            }

            /// Serves a value that the program keeps hold of.
            pub fn shared(service: ::std::sync::Arc<T>) -> Self {
                Self { service }
            }
        }

        impl<T: #interface> ::rpc::Service for #server<T> {
            fn interface(&self) -> &'static ::rpc::Interface {
                #client::INTERFACE
            }

            fn dispatch(
                &self,
                #arguments: ::rpc::codec::Values<'_>,
                #reply: &mut ::rpc::codec::Encoded,
                #called: ::core::primitive::usize,
            ) -> ::core::result::Result<(), ::std::boxed::Box<::rpc::Refusal>> {
                self.dispatch_any(#arguments, #reply, #called)
            }

            fn dispatch_other(
                &self,
                #arguments: ::rpc::call::OtherForm<'_>,
                #reply: &mut ::rpc::codec::Encoded,
                #called: ::core::primitive::usize,
            ) -> ::core::result::Result<(), ::std::boxed::Box<::rpc::Refusal>> {
                self.dispatch_any(#arguments, #reply, #called)
            }
        }

        #[allow(dead_code, reason = "a program may be a client only")]
        #[allow(deprecated, reason = "that a method is served is no use of it")]
        impl<__T: #interface> #server<__T> {
            #[inline(always)]
            fn dispatch_any<A: ::rpc::call::Arguments>(
                &self,
                #arguments: A,
                #reply: &mut ::rpc::codec::Encoded,
                #called: ::core::primitive::usize,
            ) -> ::core::result::Result<(), ::std::boxed::Box<::rpc::Refusal>> {
                type Run<S, A> =
                    fn(&S, A, &mut ::rpc::codec::Encoded) -> ::core::result::Result<(), ::std::boxed::Box<::rpc::Refusal>>;
                let runs: &[Run<Self, A>] = &[#(Self::#names),*];
                match runs.get(#called) {
                    ::core::option::Option::Some(run) => run(self, #arguments, #reply),
                    ::core::option::Option::None => ::core::result::Result::Err(::rpc::Refusal::unknown_method()),
                }
            }

            #(#runs)*
        }
    }
}

/// What runs a method: a function of its own, so that one of small arguments does not make room for those of the others. It is
/// written for any form of arguments, and compiled for bytes in network order apart.
fn run(item: &ItemTrait, method: &Method) -> TokenStream {
    let (interface, name) = (&item.ident, &method.name);
    let [arguments, reply, result] = ["arguments", "reply", "result"].map(own);
    let names: Vec<_> = method.arguments.iter().map(|(name, _)| name).collect();
    let types = method.arguments.iter().map(|(_, of)| of);
    let mut checked = BTreeSet::new();
    let each_once = types
        .clone()
        .chain(&method.output.value)
        .chain(&method.output.error)
        .filter(|of| checked.insert(type_text(of)));
    let checks = each_once.map(|of| {
        let place = placed_at(of.span());
        quote_spanned! { place => ::rpc::codec::travels::<#of>(); }
    });
    let place = placed_at(name.span());
    let argument = quote_spanned! { place => ::rpc::call::Arguments::next(&mut #arguments)? };
    let no_more = quote_spanned! { place => ::rpc::call::Arguments::end(&#arguments)? };
    let answer = match method.output.error {
        None => quote_spanned! { place => ::rpc::call::Arguments::answer(&mut #arguments, &#result, #reply) },
        Some(_) => {
            quote_spanned! { place => ::rpc::call::Arguments::answer_result(&mut #arguments, &#result, #reply) }
        }
    };
    let run = run_name(method);
    quote! {
        #[inline(never)]
        fn #run(
            &self,
            mut #arguments: impl ::rpc::call::Arguments,
            #reply: &mut ::rpc::codec::Encoded,
        ) -> ::core::result::Result<(), ::std::boxed::Box<::rpc::Refusal>> {
            #(#checks)*
            #(let #names: #types = #argument;)*
            #no_more;
            let #result = <__T as #interface>::#name(&self.service, #(#names),*);
            #answer
        }
    }
}

fn run_name(method: &Method) -> Ident {
    format_ident!("run_{}", method.name)
}

/// A number of 16 bits, in hexadecimal.
pub fn number(number: u16) -> TokenStream {
    format!("{number:#06x}").parse().unwrap_or_else(|_| quote!(#number))
}
