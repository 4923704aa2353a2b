//! What a trait must look like to be callable from afar, and what the stubs need to know about it.

use std::collections::BTreeMap;

use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Error, FnArg, GenericArgument, Ident, ItemTrait, Pat, PathArguments, Receiver, ReceiverKind, Result,
    ReturnType, Safety, TraitItem, TraitItemFn, Type,
};

use crate::attributes::{self, Flags};
use crate::canonical::{self, type_text};
use crate::complaints::Complaints;

/// Most arguments of one method: serde's limit for tuples.
const ARGUMENTS_MAX: usize = 16;
/// Names that the client stubs need for themselves.
const RESERVED: [&str; 2] = ["new", "client"];

/// One method of the interface, checked.
pub struct Method {
    pub name: Ident,
    /// The name as a text.
    pub text: String,
    /// Attributes that the client stubs repeat.
    pub attributes: Vec<Attribute>,
    pub arguments: Vec<(Ident, Type)>,
    pub output: Output,
    pub flags: Flags,
    /// Its number on the wire: the hash of its name, or what it was given.
    pub number: u16,
}

/// What a method returns.
#[derive(Default)]
pub struct Output {
    /// None is `()`.
    pub value: Option<Type>,
    /// The method's own error, if it returns a `Result`.
    pub error: Option<Type>,
}

impl Method {
    /// What is to be the same at both ends for a call to mean the same: name, types, and whether there is a reply.
    pub fn signature(&self) -> String {
        let arguments: Vec<_> = self.arguments.iter().map(|(_, of)| type_text(of)).collect();
        let way = if self.flags.oneway.is_some() { "oneway " } else { "" };
        format!("{way}fn {}({}) -> {}", self.text, arguments.join(", "), self.result_text())
    }

    /// The text of what it returns.
    pub fn result_text(&self) -> String {
        let value = self.output.value.as_ref().map_or_else(|| "()".to_owned(), type_text);
        match &self.output.error {
            Some(error) => format!("Result<{value}, {}>", type_text(error)),
            None => value,
        }
    }
}

/// Checks the trait; every complaint points at the offending words, and all of them are reported at once.
pub fn methods(item: &ItemTrait) -> Result<Vec<Method>> {
    let mut complaints = Complaints::default();
    check_head(item, &mut complaints);
    let mut methods = Vec::new();
    for member in &item.items {
        match member {
            TraitItem::Fn(function) => {
                let before = complaints.count();
                let method = check_method(function, &mut complaints);
                if complaints.count() == before {
                    methods.push(method);
                }
            }
            other => complaints.add(Error::new_spanned(other, "a service's trait holds methods only")),
        }
    }
    if methods.is_empty() && complaints.count() == 0 {
        complaints.add(Error::new_spanned(&item.ident, "a service needs at least one method"));
    }
    check_numbers(&methods, &mut complaints);
    complaints.into_result(methods)
}

/// Two methods of one number could not be told apart; with thirty methods that happens to one service in 150.
fn check_numbers(methods: &[Method], complaints: &mut Complaints) {
    let mut taken = BTreeMap::new();
    for method in methods {
        if let Some(first) = taken.insert(method.number, &method.name) {
            complaints.add(Error::new_spanned(
                &method.name,
                format!(
                    "its number on the wire, {:#06x}, is also that of `{first}`: give one of them another, #[rpc(number = N)]",
                    method.number
                ),
            ));
        }
    }
}

fn check_head(item: &ItemTrait, complaints: &mut Complaints) {
    if let Some(word) = &item.unsafety {
        complaints.add(Error::new_spanned(word, "a service's trait cannot be `unsafe`: its callers are elsewhere"));
    }
    if let Some(word) = &item.modifiers.auto_token {
        complaints.add(Error::new_spanned(word, "a service's trait cannot be `auto`"));
    }
    if !item.generics.params.is_empty() {
        complaints.add(Error::new_spanned(
            &item.generics,
            "a service's trait cannot be generic: both ends must agree on one set of types",
        ));
    }
    if let Some(clause) = &item.generics.where_clause {
        complaints.add(Error::new_spanned(clause, "a service's trait cannot have a `where` clause"));
    }
}

fn check_method(function: &TraitItemFn, complaints: &mut Complaints) -> Method {
    let signature = &function.sig;
    check_qualifiers(function, complaints);
    if RESERVED.iter().any(|reserved| signature.ident == reserved) {
        complaints.add(Error::new_spanned(
            &signature.ident,
            "this name is taken by the client stub (`new`, `client`): choose another",
        ));
    }
    check_receiver(function, complaints);
    let arguments: Vec<_> = signature.inputs.iter().filter_map(|input| argument(input, complaints)).collect();
    if arguments.len() > ARGUMENTS_MAX {
        complaints.add(Error::new_spanned(
            &signature.inputs,
            "a service's method takes at most 16 arguments: put them into a struct",
        ));
    }
    let flags = attributes::flags(&function.attrs, complaints);
    let output = output(&signature.output, &flags, complaints);
    let repeated = |attribute: &&Attribute| attribute.path().is_ident("doc") || attribute.path().is_ident("deprecated");
    let attributes = function.attrs.iter().filter(repeated).cloned().collect();
    let name = signature.ident.clone();
    let text = name.unraw().to_string();
    let number = flags.number.map_or_else(|| canonical::method_number(&text), |(number, _)| number);
    Method { name, text, attributes, arguments, output, flags, number }
}

fn output(written: &ReturnType, flags: &Flags, complaints: &mut Complaints) -> Output {
    let ReturnType::Type(_, whole) = written else { return Output::default() };
    check_type(whole, complaints);
    if flags.oneway.is_some() {
        complaints.add(Error::new_spanned(whole, "a oneway call has no reply, so its method cannot return anything"));
    }
    let whole = (**whole).clone();
    match result_arguments(&whole).as_deref() {
        None => Output { value: Some(whole), error: None },
        Some([GenericArgument::Type(value), GenericArgument::Type(error)]) => {
            Output { value: Some(value.clone()), error: Some(error.clone()) }
        }
        Some(_) => {
            complaints.add(Error::new_spanned(
                &whole,
                "name both types, Result<T, E>: the client's methods return `Result<T, rpc::Failure<E>>`",
            ));
            Output::default()
        }
    }
}

/// The arguments of a type whose name is `Result`.
fn result_arguments(of: &Type) -> Option<Vec<GenericArgument>> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Result")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments.args.iter().cloned().collect()),
        _ => Some(Vec::new()),
    }
}

fn check_qualifiers(function: &TraitItemFn, complaints: &mut Complaints) {
    let signature = &function.sig;
    for attribute in &function.attrs {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            complaints.add(Error::new_spanned(
                attribute,
                "`cfg` on a service's method would give the two ends different interfaces",
            ));
        }
    }
    if let Some(word) = &signature.asyncness {
        complaints.add(Error::new_spanned(
            word,
            "a service's method is a plain `fn` (a handler may block); callers get `async fn` from the async client",
        ));
    }
    if let Safety::Unsafe(word) = &signature.safety {
        complaints.add(Error::new_spanned(word, "a service's method cannot be `unsafe`: its callers are elsewhere"));
    }
    if let Some(word) = &signature.constness {
        complaints.add(Error::new_spanned(word, "a service's method cannot be `const`"));
    }
    if let Some(word) = &signature.abi {
        complaints.add(Error::new_spanned(word, "a service's method cannot have a foreign ABI"));
    }
    if let Some(word) = &signature.variadic {
        complaints.add(Error::new_spanned(word, "a service's method cannot be variadic"));
    }
    if !signature.generics.params.is_empty() {
        complaints.add(Error::new_spanned(
            &signature.generics,
            "a service's method cannot be generic: the server must know the types that arrive",
        ));
    }
    if let Some(clause) = &signature.generics.where_clause {
        complaints.add(Error::new_spanned(clause, "a service's method cannot have a `where` clause"));
    }
    if let Some(body) = &function.default {
        complaints.add(Error::new_spanned(body, "a service's method has no body: the server's program writes it"));
    }
}

fn check_receiver(function: &TraitItemFn, complaints: &mut Complaints) {
    let plain = |receiver: &Receiver| {
        receiver.mutability.is_none() && matches!(&receiver.kind, ReceiverKind::Reference(_, None, None))
    };
    match function.sig.receiver() {
        Some(receiver) if plain(receiver) => {}
        Some(receiver) => complaints.add(Error::new_spanned(
            receiver,
            "a service's method takes `&self`: several calls run at once on one value; keep what changes in a Mutex or an atomic",
        )),
        None => complaints.add(Error::new_spanned(
            &function.sig,
            "a service's method needs `&self` as its first argument",
        )),
    }
}

fn argument(input: &FnArg, complaints: &mut Complaints) -> Option<(Ident, Type)> {
    let FnArg::Typed(typed) = input else { return None };
    if let Some(attribute) = typed.attrs.first() {
        complaints.add(Error::new_spanned(attribute, "arguments of a service's method take no attributes"));
    }
    check_type(&typed.ty, complaints);
    match &*typed.pat {
        Pat::Ident(name) if name.by_ref.is_none() && name.mutability.is_none() && name.subpat.is_none() => {
            Some((name.ident.clone(), (*typed.ty).clone()))
        }
        pattern => {
            complaints
                .add(Error::new_spanned(pattern, "an argument of a service's method is a plain name, not a pattern"));
            None
        }
    }
}

fn check_type(subject: &Type, complaints: &mut Complaints) {
    Owned { complaints }.visit_type(subject);
}

/// Looks through a type for what cannot travel: borrows, addresses, types that only one end knows.
struct Owned<'a> {
    complaints: &'a mut Complaints,
}

impl<'ast> Visit<'ast> for Owned<'_> {
    fn visit_type(&mut self, subject: &'ast Type) {
        let complaint = match subject {
            Type::Reference(_) => {
                "arguments and results travel by value, a reference cannot: use an owned type (String for &str, Vec<T> for &[T])"
            }
            Type::ImplTrait(_) => "`impl Trait` cannot travel: name the type",
            Type::TraitObject(_) => "`dyn Trait` cannot travel: name the type",
            Type::Ptr(_) | Type::FnPtr(_) => "an address means nothing at the other end",
            Type::Infer(_) => "name the type",
            Type::Path(path) if path.path.segments.first().is_some_and(|first| first.ident == "Self") => {
                "`Self` is another type at the other end: name the type"
            }
            _ => return visit::visit_type(self, subject),
        };
        self.complaints.add(Error::new_spanned(subject, complaint));
    }

    fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
        if lifetime.ident != "static" {
            self.complaints.add(Error::new_spanned(lifetime, "arguments and results are owned: they have no lifetime"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    /// The complaints about a trait, in order.
    fn complaints(item: &ItemTrait) -> Vec<String> {
        match methods(item) {
            Ok(_) => Vec::new(),
            Err(error) => error.into_iter().map(|one| one.to_string()).collect(),
        }
    }

    #[track_caller]
    fn refuses(item: &ItemTrait, words: &str) {
        let complaints = complaints(item);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].contains(words), "{complaints:?}");
    }

    #[test]
    fn a_plain_interface_is_taken_in_order() {
        let item: ItemTrait = parse_quote! {
            pub trait Echo: Sized {
                /// Says it again.
                fn echo(&self, text: String) -> String;
                fn add(&self, a: u64, b: u64) -> Result<u64, String>;
                fn reset(&self);
            }
        };
        let methods = methods(&item).map_err(|error| error.to_string()).expect("a legal interface");
        let names: Vec<_> = methods.iter().map(|method| method.name.to_string()).collect();
        assert_eq!(names, ["echo", "add", "reset"]);
        assert_eq!(methods[0].attributes.len(), 1);
        assert_eq!(methods[1].arguments.len(), 2);
        assert!(methods[1].output.error.is_some());
        assert!(methods[2].output.value.is_none());
        assert_eq!(methods[1].signature(), "fn add(u64, u64) -> Result<u64, String>");
    }

    #[test]
    fn a_reference_argument_is_refused_wherever_it_hides() {
        refuses(&parse_quote! { trait S { fn f(&self, text: &str); } }, "by value");
        refuses(&parse_quote! { trait S { fn f(&self, texts: Vec<Option<&'static str>>); } }, "by value");
        refuses(&parse_quote! { trait S { fn f(&self) -> &[u8]; } }, "by value");
        refuses(&parse_quote! { trait S { fn f(&self, text: Cow<'a, str>); } }, "no lifetime");
    }

    #[test]
    fn methods_that_are_not_plain_are_refused() {
        refuses(&parse_quote! { trait S { async fn f(&self); } }, "plain `fn`");
        refuses(&parse_quote! { trait S { unsafe fn f(&self); } }, "`unsafe`");
        refuses(&parse_quote! { trait S { extern "C" fn f(&self); } }, "foreign ABI");
        refuses(&parse_quote! { trait S { fn f<T>(&self, value: T); } }, "generic");
        refuses(&parse_quote! { trait S { fn f(&self) {} } }, "no body");
        refuses(&parse_quote! { trait S { #[cfg(unix)] fn f(&self); } }, "different interfaces");
        refuses(&parse_quote! { trait S { fn new(&self); } }, "taken by the client stub");
    }

    #[test]
    fn receivers_other_than_a_shared_self_are_refused() {
        refuses(&parse_quote! { trait S { fn f(); } }, "needs `&self`");
        refuses(&parse_quote! { trait S { fn f(&mut self); } }, "takes `&self`");
        refuses(&parse_quote! { trait S { fn f(self); } }, "takes `&self`");
        refuses(&parse_quote! { trait S { fn f(self: Arc<Self>); } }, "takes `&self`");
    }

    #[test]
    fn types_that_only_one_end_knows_are_refused() {
        refuses(&parse_quote! { trait S { fn f(&self, value: impl Copy); } }, "impl Trait");
        refuses(&parse_quote! { trait S { fn f(&self, value: Box<dyn Copy>); } }, "dyn Trait");
        refuses(&parse_quote! { trait S { fn f(&self) -> Self; } }, "`Self`");
        refuses(&parse_quote! { trait S { fn f(&self, value: *const u8); } }, "address");
    }

    #[test]
    fn patterns_and_too_many_arguments_are_refused() {
        refuses(&parse_quote! { trait S { fn f(&self, (a, b): (u8, u8)); } }, "plain name");
        refuses(&parse_quote! { trait S { fn f(&self, mut a: u8); } }, "plain name");
        let seventeen = (0..17).map(|n| quote::format_ident!("a{n}"));
        refuses(&parse_quote! { trait S { fn f(&self, #(#seventeen: u8),*); } }, "at most 16");
    }

    #[test]
    fn traits_that_are_not_plain_are_refused() {
        refuses(&parse_quote! { trait S<T> { fn f(&self); } }, "generic");
        refuses(&parse_quote! { unsafe trait S { fn f(&self); } }, "`unsafe`");
        refuses(&parse_quote! { trait S { type A; } }, "methods only");
        refuses(&parse_quote! { trait S { const A: u8; } }, "methods only");
        refuses(&parse_quote! { trait S {} }, "at least one method");
    }

    #[test]
    fn flags_that_contradict_themselves_are_refused() {
        refuses(&parse_quote! { trait S { #[rpc(oneway)] fn f(&self) -> u8; } }, "no reply");
        refuses(&parse_quote! { trait S { #[rpc(oneway, idempotent)] fn f(&self); } }, "nobody repeats");
        refuses(&parse_quote! { trait S { #[rpc(inline, inline)] fn f(&self); } }, "twice");
        refuses(&parse_quote! { trait S { #[rpc(eager)] fn f(&self); } }, "may be `idempotent`");
        refuses(&parse_quote! { trait S { #[rpc(number = 65536)] fn f(&self); } }, "too large");
    }

    #[test]
    fn a_result_whose_error_is_not_named_is_refused() {
        refuses(&parse_quote! { trait S { fn f(&self) -> io::Result<u8>; } }, "name both types");
        refuses(&parse_quote! { trait S { fn f(&self) -> Result; } }, "name both types");
    }

    #[test]
    fn methods_of_one_number_are_refused_and_a_number_of_its_own_helps() {
        // The first two names of this form whose hashes are the same when folded.
        let (first, second) = colliding_names();
        refuses(&parse_quote! { trait S { fn #first(&self); fn #second(&self); } }, "also that of");
        assert!(
            complaints(&parse_quote! { trait S { fn #first(&self); #[rpc(number = 1)] fn #second(&self); } })
                .is_empty()
        );
        refuses(
            &parse_quote! { trait S { #[rpc(number = 1)] fn f(&self); #[rpc(number = 1)] fn g(&self); } },
            "also that of",
        );
    }

    fn colliding_names() -> (Ident, Ident) {
        let mut seen = BTreeMap::new();
        for name in (0..70_000).map(|n| quote::format_ident!("f{n}")) {
            if let Some(first) = seen.insert(canonical::method_number(&name.to_string()), name.clone()) {
                return (first, name);
            }
        }
        unreachable!("more names than numbers")
    }

    #[test]
    fn numbers_do_not_depend_on_the_order_of_methods() {
        let numbers = |item: &ItemTrait| {
            let methods = methods(item).map_err(|error| error.to_string()).expect("legal");
            methods.into_iter().map(|method| (method.name.to_string(), method.number)).collect::<BTreeMap<_, _>>()
        };
        let before = numbers(&parse_quote! { trait S { fn f(&self); fn g(&self); } });
        let after = numbers(&parse_quote! { trait S { fn g(&self); fn h(&self); fn f(&self); } });
        assert!(before.iter().all(|(name, number)| after[name] == *number));
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let item: ItemTrait = parse_quote! { trait S { async fn f(); fn g(&self, text: &str); } };
        assert_eq!(complaints(&item).len(), 3);
    }
}
