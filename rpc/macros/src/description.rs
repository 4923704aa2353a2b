//! The interface as data: what both ends must agree on, and what people and `dsm-node call` want to know.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, ItemTrait, Lit, Meta};

use crate::canonical::{fnv1a, type_text};
use crate::interface::Method;
use crate::server::number;

/// The `rpc::Interface`.
pub fn of(item: &ItemTrait, version: u16, methods: &[Method]) -> TokenStream {
    let name = item.ident.unraw().to_string();
    let schema = hash(&interface_text(&name, version, methods));
    let methods = methods.iter().map(|method| describe(item, version, method));
    quote! {
        &::rpc::Interface {
            name: #name,
            version: #version,
            schema: #schema,
            methods: &[#(#methods),*],
        }
    }
}

/// The `rpc::MethodId`.
fn method_id(item: &ItemTrait, version: u16, method: &Method) -> TokenStream {
    let number = number(method.number);
    let name = item.ident.unraw();
    let schema = hash(&format!("{name} version {version}: {}", method.signature()));
    quote! { ::rpc::MethodId { number: #number, version: #version, schema: #schema } }
}

/// All signatures, in an order that does not depend on the trait's.
fn interface_text(name: &str, version: u16, methods: &[Method]) -> String {
    let mut signatures: Vec<_> =
        methods.iter().map(|method| format!("{}: {}", method.number, method.signature())).collect();
    signatures.sort();
    format!("{name} version {version}: {}", signatures.join("; "))
}

fn hash(text: &str) -> TokenStream {
    let hash = fnv1a(text);
    format!("{:#06x}_{:04x}", hash >> 16, hash & 0xffff).parse().unwrap_or_else(|_| quote!(#hash))
}

fn describe(item: &ItemTrait, version: u16, method: &Method) -> TokenStream {
    let id = method_id(item, version, method);
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
            id: #id,
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
    use super::*;
    use crate::interface;
    use syn::parse_quote;

    fn text(item: &ItemTrait) -> String {
        let methods = interface::methods(item).map_err(|error| error.to_string()).expect("legal");
        interface_text("S", 1, &methods)
    }

    #[test]
    fn the_schema_depends_on_names_and_types_alone() {
        let one = text(&parse_quote! { trait S { fn f(&self, a: std::string::String); fn g(&self) -> u8; } });
        let same = text(
            &parse_quote! { trait S { #[rpc(idempotent)] fn g(&self) -> u8; /** Doc. */ fn f(&self, b: String); } },
        );
        assert_eq!(one, same);
        for other in [
            parse_quote! { trait S { fn f(&self, a: String); fn g(&self) -> u16; } },
            parse_quote! { trait S { fn f(&self, a: String); fn h(&self) -> u8; } },
            parse_quote! { trait S { fn f(&self, a: String, b: u8); fn g(&self) -> u8; } },
            parse_quote! { trait S { #[rpc(oneway)] fn f(&self, a: String); fn g(&self) -> u8; } },
        ] {
            assert_ne!(one, text(&other));
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
