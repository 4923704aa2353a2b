//! The whole expansion of `#[rpc::service]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, Ident, ItemTrait, Result, TraitItem, parse_quote};

use crate::client::{self, Flavour};
use crate::{attributes, interface, server};

/// What `#[rpc::service(attribute)] item` becomes.
pub fn service(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let version = attributes::version(attribute)?;
    let mut item: ItemTrait = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), format!("#[rpc::service] goes on a trait: {error}")))?;
    let methods = interface::methods(&item)?;
    let server = server::stub(&item, &methods);
    let blocking = client::stub(&item, version, &methods, Flavour::Blocking);
    let futures = client::stub(&item, version, &methods, Flavour::Async);
    finish(&mut item);
    Ok(quote! { #item #server #blocking #futures })
}

/// The trait as the compiler is to see it.
fn finish(item: &mut ItemTrait) {
    item.supertraits.push(parse_quote!(::core::marker::Send));
    item.supertraits.push(parse_quote!(::core::marker::Sync));
    item.supertraits.push(parse_quote!('static));
    if item.colon_token.is_none() {
        item.colon_token = Some(Default::default());
    }
    for member in &mut item.items {
        if let TraitItem::Fn(function) = member {
            function.attrs.retain(|attribute| !attributes::is_ours(attribute));
        }
    }
}

/// Generated code whose errors ("does not implement") show the user's words instead of the attribute.
pub fn placed_at(words: Span) -> Span {
    Span::call_site().located_at(words)
}

/// A name of the generated code's own, which an argument of the same name does not hide.
pub fn own(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Documentation that quotes an interface and its expansion must say what is true.
    const DOCUMENTED: &str = include_str!("../../../docs/stubs.md");

    /// The code block that follows this line of the documentation.
    fn documented(after: &str) -> &'static str {
        let (_, rest) = DOCUMENTED.split_once(after).expect("the documentation has this line");
        let (_, rest) = rest.split_once("```rust\n").expect("a code block follows");
        rest.split_once("```").expect("which ends").0
    }

    #[test]
    fn the_documented_expansion_is_what_the_generator_writes() {
        let written: ItemTrait = syn::parse_str(documented("<!-- interface -->")).expect("is a trait");
        let ItemTrait { attrs, .. } = &written;
        let attribute =
            attrs.iter().find(|attribute| attribute.path().segments.last().is_some_and(|last| last.ident == "service"));
        let arguments = attribute.expect("is a service").meta.require_list().expect("has a version").tokens.clone();
        let mut item = written.clone();
        item.attrs.retain(|attribute| attribute.path().is_ident("doc"));
        let expanded = service(arguments, quote!(#item)).expect("expands");
        let pretty = prettyplease::unparse(&syn::parse2(expanded).expect("is Rust"));
        assert!(pretty == documented("<!-- expansion -->"), "docs/stubs.md should say:\n\n{pretty}");
    }

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
    fn strange_arguments_of_the_attribute_and_other_items_are_refused() {
        let words = |attribute, item| service(attribute, item).expect_err("refused").to_string();
        assert!(words(quote!(port = 2), quote! { trait S { fn f(&self); } }).contains("`version = N` only"));
        assert!(words(quote!(), quote! { struct S; }).contains("goes on a trait"));
    }
}
