//! The words in `#[rpc::service(...)]` and in `#[rpc(...)]` on a method.

use proc_macro2::{Span, TokenStream};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Attribute, Error, LitInt, Result};

use crate::complaints::Complaints;

/// The version in `#[rpc::service(version = N)]`; 1 where none is given.
pub fn version(attribute: TokenStream) -> Result<u16> {
    let mut version = None;
    let parser = syn::meta::parser(|meta| {
        if !meta.path.is_ident("version") {
            return Err(meta.error("#[rpc::service] knows `version = N` only"));
        }
        set(&mut version, number(&meta)?, &meta)
    });
    parser.parse2(attribute)?;
    match version {
        Some((0, place)) => Err(Error::new(place, "versions of a service are counted from 1")),
        Some((version, _)) => Ok(version),
        None => Ok(1),
    }
}

/// What `#[rpc(...)]` says of a method.
#[derive(Default)]
pub struct Flags {
    pub idempotent: Option<Span>,
    pub oneway: Option<Span>,
    pub inline: Option<Span>,
    pub number: Option<(u16, Span)>,
}

/// Whether the attribute is the stub generator's own, to be taken off the trait.
pub fn is_ours(attribute: &Attribute) -> bool {
    attribute.path().is_ident("rpc")
}

/// Reads a method's attributes.
pub fn flags(attributes: &[Attribute], complaints: &mut Complaints) -> Flags {
    let mut flags = Flags::default();
    for attribute in attributes.iter().filter(|attribute| is_ours(attribute)) {
        if let Err(error) = attribute.parse_nested_meta(|meta| flags.read(&meta)) {
            complaints.add(error);
        }
    }
    if let (Some(_), Some(place)) = (flags.oneway, flags.idempotent) {
        complaints
            .add(Error::new(place, "nobody repeats a oneway call, since nobody waits for it: leave `idempotent` out"));
    }
    flags
}

impl Flags {
    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let word = |flag: &mut Option<Span>| match flag.replace(place(meta)) {
            Some(_) => Err(meta.error("said twice")),
            None => Ok(()),
        };
        match meta.path.get_ident().map(ToString::to_string).as_deref() {
            Some("idempotent") => word(&mut self.idempotent),
            Some("oneway") => word(&mut self.oneway),
            Some("inline") => word(&mut self.inline),
            Some("number") => set(&mut self.number, number(meta)?, meta),
            _ => Err(meta.error("a method may be `idempotent`, `oneway`, `inline`, or have a `number = N`")),
        }
    }
}

fn place(meta: &ParseNestedMeta<'_>) -> Span {
    meta.path.get_ident().map_or_else(Span::call_site, |word| word.span())
}

fn number(meta: &ParseNestedMeta<'_>) -> Result<(u16, Span)> {
    let literal: LitInt = meta.value()?.parse()?;
    Ok((literal.base10_parse()?, literal.span()))
}

fn set(to: &mut Option<(u16, Span)>, value: (u16, Span), meta: &ParseNestedMeta<'_>) -> Result<()> {
    match to.replace(value) {
        Some(_) => Err(meta.error("said twice")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn the_version_is_one_unless_it_is_said() {
        assert_eq!(version(quote!()).expect("plain"), 1);
        assert_eq!(version(quote!(version = 7)).expect("said"), 7);
    }

    #[test]
    fn other_words_and_numbers_that_are_no_version_are_refused() {
        let words = |attribute| version(attribute).expect_err("refused").to_string();
        assert!(words(quote!(name = "x")).contains("`version = N` only"));
        assert!(words(quote!(version = 0)).contains("counted from 1"));
        assert!(words(quote!(version = 70000)).contains("too large"));
        assert!(words(quote!(version = 1, version = 2)).contains("twice"));
        assert!(words(quote!(version = "1")).contains("integer"));
    }
}
