//! The interface as data: what both ends must agree on, and what people and `dsm-node call` want to know.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, ItemTrait, Lit, Meta, Type, parse_quote};

use crate::canonical::type_text;
use crate::interface::Method;
use crate::server::number;

/// The `rpc::Interface`.
pub fn of(item: &ItemTrait, version: u16, methods: &[Method]) -> TokenStream {
    let name = item.ident.unraw().to_string();
    let methods = methods.iter().map(|method| describe(item, version, method));
    quote! {
        &::rpc::Interface {
            name: #name,
            version: #version,
            methods: &[#(#methods),*],
        }
    }
}

/// What must be the same at both ends for a call of this method to mean the same.
fn signature(item: &ItemTrait, version: u16, method: &Method) -> String {
    format!("{} version {version}: {}", item.ident.unraw(), method.signature())
}

/// Finds the method's schema once, when it is asked for: a type's fields are known when the program runs.
fn schema(item: &ItemTrait, version: u16, method: &Method) -> TokenStream {
    let signature = signature(item, version, method);
    let arguments = method.arguments.iter().map(|(_, of)| of);
    let value: Type = method.output.value.clone().unwrap_or_else(|| parse_quote!(()));
    let result = match &method.output.error {
        None => quote!(#value),
        Some(error) => quote!(::core::result::Result<#value, #error>),
    };
    quote! {
        || {
            static SCHEMA: ::std::sync::LazyLock<u32> =
                ::std::sync::LazyLock::new(|| ::rpc::schema::<(#(#arguments,)*), #result>(#signature));
            *SCHEMA
        }
    }
}

fn describe(item: &ItemTrait, version: u16, method: &Method) -> TokenStream {
    let (number, schema) = (number(method.number), schema(item, version, method));
    let (name, result) = (&method.text, method.result_text());
    let arguments = method.arguments.iter().map(|(name, of)| {
        let (name, of) = (name.unraw().to_string(), type_text(of));
        quote! { (#name, #of) }
    });
    let doc = first_line(&method.attributes);
    let flags = &method.flags;
    let (idempotent, oneway, inline) = (flags.idempotent.is_some(), flags.oneway.is_some(), flags.inline.is_some());
    quote! {
        ::rpc::Method {
            number: #number,
            version: #version,
            schema: #schema,
            name: #name,
            arguments: &[#(#arguments),*],
            result: #result,
            doc: #doc,
            idempotent: #idempotent,
            oneway: #oneway,
            inline: #inline,
        }
    }
}

/// The first line of the documentation; empty if there is none.
fn first_line(attributes: &[Attribute]) -> String {
    let texts =
        attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| match &attribute
            .meta
        {
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        });
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::interface;

    fn signatures(item: &ItemTrait) -> BTreeSet<String> {
        let methods = interface::methods(item).map_err(|error| error.to_string()).expect("legal");
        methods.iter().map(|method| signature(item, 1, method)).collect()
    }

    #[test]
    fn signatures_depend_on_names_and_types_alone() {
        let one = signatures(&parse_quote! { trait S { fn f(&self, a: std::string::String); fn g(&self) -> u8; } });
        let same = signatures(
            &parse_quote! { trait S { #[rpc(idempotent)] fn g(&self) -> u8; /** Doc. */ fn f(&self, b: String); } },
        );
        assert_eq!(one, same);
        for other in [
            parse_quote! { trait S { fn f(&self, a: String); fn g(&self) -> u16; } },
            parse_quote! { trait S { fn f(&self, a: String); fn h(&self) -> u8; } },
            parse_quote! { trait S { fn f(&self, a: String, b: u8); fn g(&self) -> u8; } },
            parse_quote! { trait S { #[rpc(oneway)] fn f(&self, a: String); fn g(&self) -> u8; } },
            parse_quote! { trait Other { fn f(&self, a: String); fn g(&self) -> u8; } },
        ] {
            assert_ne!(one, signatures(&other));
        }
    }

    #[test]
    fn of_a_documentation_the_first_line_is_kept() {
        let item: ItemTrait = parse_quote! { trait S { /// First.
        ///
        /// Second.
        fn f(&self); } };
        let methods = interface::methods(&item).map_err(|error| error.to_string()).expect("legal");
        assert_eq!(first_line(&methods[0].attributes), "First.");
    }
}
