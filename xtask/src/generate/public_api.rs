//! What a generated file makes public, item by item: what a dependant's build may rest on.

use std::collections::BTreeMap;
use std::fmt;

use quote::ToTokens;
use syn::{Fields, FnArg, ImplItem, Item, ReturnType, Visibility};

use crate::{Error, Result};

/// The public items of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicApi(BTreeMap<String, Entry>);

/// A public item.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// All that a dependant's build rests on.
    signature: String,
    /// The same, for people: the arguments have names.
    text: String,
    /// The names of the arguments, on which no build rests; but where two change places, a call means something else.
    arguments: Vec<String>,
}

/// What became of a public item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is called, with its kind, such as `field types::TokenRequest.code`.
    pub key: String,
    /// How it was written; `None` where it is new.
    pub old: Option<String>,
    /// How it is written; `None` where it is gone.
    pub new: Option<String>,
}

impl Difference {
    /// Whether a dependant's build may fail for it, or mean something else. Each public type is `#[non_exhaustive]`, so
    /// that nothing is broken by what is new.
    pub fn is_breaking(&self) -> bool {
        self.old.is_some()
    }

    /// In one line.
    pub fn text(&self) -> String {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => format!("`{old}` is `{new}` now"),
            (Some(old), None) => format!("`{old}` is gone"),
            (None, new) => format!("`{}` is new", new.as_ref().unwrap_or(&self.key)),
        }
    }

    /// As a difference shows it.
    pub fn lines(&self) -> Vec<String> {
        let old = self.old.iter().map(|old| format!("- {old}"));
        old.chain(self.new.iter().map(|new| format!("+ {new}"))).collect()
    }
}

impl PublicApi {
    /// Reads a generated file.
    ///
    /// # Errors
    ///
    /// Where it is not Rust.
    pub fn read(text: &str) -> Result<Self> {
        let file = syn::parse_file(text).map_err(|error| Error::new(format!("is not Rust: {error}")))?;
        let mut api = Self::default();
        api.items("", &file.items);
        Ok(api)
    }

    /// What became of each item until `newer`, in the order of their names.
    pub fn differences(&self, newer: &Self) -> Vec<Difference> {
        let mut keys: Vec<&String> = self.0.keys().chain(newer.0.keys()).collect();
        keys.sort();
        keys.dedup();
        let difference = |key: &String| {
            let (old, new) = (self.0.get(key), newer.0.get(key));
            let is_same = match (old, new) {
                (Some(old), Some(new)) => {
                    old.signature == new.signature && !is_shuffled(&old.arguments, &new.arguments)
                }
                _ => false,
            };
            let text = |entry: Option<&Entry>| entry.map(|entry| entry.text.clone());
            (!is_same).then(|| Difference { key: key.clone(), old: text(old), new: text(new) })
        };
        keys.into_iter().filter_map(difference).collect()
    }

    fn items(&mut self, module: &str, items: &[Item]) {
        for item in items {
            match item {
                Item::Mod(inner) if is_public(&inner.vis) => {
                    let name = format!("{module}{}::", inner.ident);
                    self.items(&name, inner.content.as_ref().map(|(_, items)| items.as_slice()).unwrap_or_default());
                }
                Item::Const(item) if is_public(&item.vis) => {
                    self.plain(format!("const {module}{}", item.ident), &text(&item.ty));
                }
                Item::Struct(item) if is_public(&item.vis) => {
                    let name = format!("{module}{}", item.ident);
                    self.attributes(format!("struct {name}{}", text(&item.generics)), &name, &item.attrs);
                    self.fields(&name, &item.fields);
                }
                Item::Enum(item) if is_public(&item.vis) => {
                    let name = format!("{module}{}", item.ident);
                    self.attributes(format!("enum {name}"), &name, &item.attrs);
                    for variant in &item.variants {
                        self.plain(format!("variant {name}::{}", variant.ident), &text(&variant.fields));
                    }
                }
                // A secret of its own kind.
                Item::Macro(item) => self.plain(format!("macro {module}{}", text(&item.mac.tokens)), ""),
                Item::Impl(item) => self.block(module, item),
                _ => {}
            }
        }
    }

    /// A type: whether it may grow, and what it derives.
    fn attributes(&mut self, key: String, of: &str, attributes: &[syn::Attribute]) {
        let may_grow = attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive"));
        self.plain(key, if may_grow { "non_exhaustive" } else { "" });
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
            let parser = syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated;
            for derive in attribute.parse_args_with(parser).into_iter().flatten() {
                self.plain(format!("impl {} for {of}", text(&derive)), "");
            }
        }
    }

    fn fields(&mut self, of: &str, fields: &Fields) {
        for (index, field) in fields.iter().enumerate().filter(|(_, field)| is_public(&field.vis)) {
            let name = field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string);
            self.plain(format!("field {of}.{name}"), &text(&field.ty));
        }
    }

    fn block(&mut self, module: &str, item: &syn::ItemImpl) {
        let of = format!("{module}{}", text(&item.self_ty));
        if let Some((_, path, _)) = &item.trait_ {
            return self.plain(format!("impl {} for {of}", text(path)), "");
        }
        for method in &item.items {
            let ImplItem::Fn(method) = method else { continue };
            if !is_public(&method.vis) {
                continue;
            }
            let key = format!("fn {of}::{}", method.sig.ident);
            let mut arguments = Vec::new();
            let (mut types, mut texts) = (Vec::new(), Vec::new());
            for input in &method.sig.inputs {
                match input {
                    FnArg::Receiver(receiver) => {
                        // `mut self` is no one else's business.
                        let text = text(receiver).trim_start_matches("mut ").to_owned();
                        types.push(text.clone());
                        texts.push(text);
                    }
                    FnArg::Typed(argument) => {
                        arguments.push(text(&argument.pat));
                        types.push(text(&argument.ty));
                        texts.push(format!("{}: {}", text(&argument.pat), text(&argument.ty)));
                    }
                }
            }
            let asyncness = if method.sig.asyncness.is_some() { "async " } else { "" };
            let output = match &method.sig.output {
                ReturnType::Default => String::new(),
                ReturnType::Type(_, ty) => format!(" -> {}", text(ty)),
            };
            let generics = text(&method.sig.generics);
            let whole =
                |arguments: Vec<String>| format!("{asyncness}{key}{generics}({}){output}", arguments.join(", "));
            let (signature, text) = (whole(types), whole(texts));
            self.0.insert(key, Entry { signature, text, arguments });
        }
    }

    fn plain(&mut self, key: String, rest: &str) {
        let text = if rest.is_empty() { key.clone() } else { format!("{key}: {rest}") };
        self.0.insert(key, Entry { signature: text.clone(), text, arguments: Vec::new() });
    }
}

impl fmt::Display for PublicApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.values().try_for_each(|entry| writeln!(f, "{}", entry.text))
    }
}

/// Whether the same arguments stand in another order.
fn is_shuffled(old: &[String], new: &[String]) -> bool {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    old != new && sorted(old) == sorted(new)
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Code in one line, with the paths short that are long only to be safe.
fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (long, short) in [
        (":: std :: option :: Option", "Option"),
        (":: std :: string :: String", "String"),
        (":: std :: vec :: Vec", "Vec"),
        (":: std :: boxed :: Box", "Box"),
        (":: std ::", "std ::"),
        (":: flinks_core ::", "flinks_core ::"),
        (":: serde ::", "serde ::"),
        (":: uuid ::", "uuid ::"),
        (" :: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
        ("( ", "("),
        (" (", "("),
        (" )", ")"),
        ("[ ", "["),
        (" ]", "]"),
        // What the layout of a long line adds.
        (",>", ">"),
        (",)", ")"),
    ] {
        text = text.replace(long, short);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "
        pub const A: &'static str = \"x\";
        const PRIVATE: u8 = 1;
        pub mod types {
            #[derive(Clone, ::serde::Serialize)] #[non_exhaustive] pub struct X { pub a: ::std::option::Option<u8>, b: u8 }
            impl X { pub fn new(a: u8, b: u8) -> Self { todo!() } fn hidden(&self) {} }
            impl ::std::fmt::Debug for X {}
            pub enum E { One(u8), Two }
        }";

    fn differences(from: &str, to: &str) -> Vec<Difference> {
        let new = OLD.replace(from, to);
        assert_ne!(new, OLD);
        PublicApi::read(OLD).unwrap().differences(&PublicApi::read(&new).unwrap())
    }

    #[test]
    fn what_a_build_rests_on_is_listed() {
        insta::assert_snapshot!(PublicApi::read(OLD).unwrap().to_string(), @r#"
        const A: &'static str
        enum types::E
        field types::X.a: Option<u8>
        fn types::X::new(a: u8, b: u8) -> Self
        impl Clone for types::X
        impl serde::Serialize for types::X
        impl std::fmt::Debug for types::X
        struct types::X: non_exhaustive
        variant types::E::One: (u8)
        variant types::E::Two
        "#);
    }

    #[test]
    fn differences_tell_what_breaks() {
        for (from, to) in [
            ("\"x\"", "\"y\""),
            ("PRIVATE: u8", "PRIVATE: u16"),
            ("hidden(&self)", "hidden(self)"),
            ("new(a: u8, b: u8)", "new(c: u8, b: u8)"),
            ("#[derive(Clone, ::serde::Serialize)]", "/// Prose.\n#[derive(::serde::Serialize, Clone)]"),
        ] {
            assert_eq!(differences(from, to), Vec::new(), "{to}");
        }
        for (from, to) in [
            ("Two", "Two, Three"),
            ("Clone", "Clone, Copy"),
            ("b: u8 }", "pub b: u8 }"),
            ("pub enum", "pub struct N; pub enum"),
        ] {
            let differences = differences(from, to);
            assert!(
                !differences.is_empty() && differences.iter().all(|difference| !difference.is_breaking()),
                "{to}: {differences:?}"
            );
        }
        for (from, to) in [
            ("pub const", "const"),
            ("Clone, ", ""),
            ("pub a", "a"),
            ("Option<u8>", "Option<u16>"),
            ("One(u8)", "One"),
            ("Two", "Three"),
            ("new(a: u8, b: u8)", "new(b: u8, a: u8)"),
            ("new(a: u8, b: u8)", "new(a: u8)"),
            ("impl ::std::fmt::Debug for X {}", ""),
        ] {
            assert!(differences(from, to).iter().any(Difference::is_breaking), "{to}");
        }
    }
}
