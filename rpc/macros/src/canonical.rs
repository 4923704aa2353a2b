//! What both ends must agree on, as texts and numbers that do not depend on where and how the trait was written.

use syn::{GenericArgument, PathArguments, Type};

use quote::ToTokens;

/// The text of a type: the same whether it was written with its path or imported, however it was spaced.
pub fn type_text(subject: &Type) -> String {
    match subject {
        Type::Path(path) => match path.path.segments.last() {
            Some(last) => format!("{}{}", last.ident, arguments_text(&last.arguments)),
            None => String::new(),
        },
        Type::Tuple(tuple) => match tuple.elems.len() {
            1 => format!("({},)", tuple.elems.iter().map(type_text).collect::<String>()),
            _ => format!("({})", list(tuple.elems.iter().map(type_text))),
        },
        Type::Array(array) => format!("[{}; {}]", type_text(&array.elem), array.len.to_token_stream()),
        Type::Slice(slice) => format!("[{}]", type_text(&slice.elem)),
        Type::Paren(inner) => type_text(&inner.elem),
        Type::Group(inner) => type_text(&inner.elem),
        other => other.to_token_stream().to_string(),
    }
}

fn arguments_text(arguments: &PathArguments) -> String {
    match arguments {
        PathArguments::AngleBracketed(arguments) => format!("<{}>", list(arguments.args.iter().map(argument_text))),
        other => other.to_token_stream().to_string(),
    }
}

fn argument_text(argument: &GenericArgument) -> String {
    match argument {
        GenericArgument::Type(of) => type_text(of),
        other => other.to_token_stream().to_string(),
    }
}

fn list(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

/// The 32-bit FNV-1a hash (draft-eastlake-fnv).
pub fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The number of a method of this name: the hash folded to 16 bits, as its authors recommend.
pub fn method_number(name: &str) -> u16 {
    let hash = fnv1a(name);
    (hash >> 16) as u16 ^ hash as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn text(subject: Type) -> String {
        type_text(&subject)
    }

    #[test]
    fn one_type_has_one_text_however_it_is_written() {
        assert_eq!(text(parse_quote!(u64)), "u64");
        assert_eq!(
            text(parse_quote!(::std::collections::BTreeMap<std::string::String, Vec<i16>>)),
            "BTreeMap<String, Vec<i16>>"
        );
        assert_eq!(text(parse_quote!(std::result::Result<(u8, u8), Vec<[u16; 4]>>)), "Result<(u8, u8), Vec<[u16; 4]>>");
        assert_eq!(text(parse_quote!((u8))), "u8");
        assert_eq!(text(parse_quote!((u8,))), "(u8,)");
        assert_eq!(text(parse_quote!(())), "()");
    }

    #[test]
    fn hashes_are_those_of_the_draft() {
        assert_eq!(fnv1a(""), 0x811c_9dc5);
        assert_eq!(fnv1a("a"), 0xe40c_292c);
        assert_eq!(fnv1a("foobar"), 0xbf9c_f968);
        assert_eq!(method_number("foobar"), 0xbf9c ^ 0xf968);
    }
}
