//! Writes the fixed parts of all error messages to a snapshot, so that all messages can be reviewed
//! in one place. The `messages` tests in the crates show complete messages, one for each kind of
//! error.
//!
//! The parts are the string literals in calls to functions that create an error, such as
//! `StoreError::unavailable("…")`.

#![allow(clippy::unwrap_used)] // helpers of a test

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The functions whose literal arguments become part of a message, identified by the last parts of
/// their paths.
const CONSTRUCTORS: &[&str] = &[
    "Err",
    "Error::configuration",
    "Error::input",
    "Error::malformed",
    "Error::new",
    "InvalidBaseUrl",
    "InvalidConfiguration::new",
    "Kind::Callback",
    "Some",
    "StoreError::busy",
    "StoreError::damaged",
    "StoreError::misconfigured",
    "StoreError::unavailable",
    "Violation",
    "busy",
    "damaged",
    "ensure",
    "malformed",
    "misconfigured",
    "reject",
    "unavailable",
];

#[derive(Default)]
struct Parts {
    found: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Parts {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func
            && is_constructor(&function.path)
        {
            let mut literals = Literals::default();
            call.args.iter().for_each(|argument| literals.visit_expr(argument));
            self.found.extend(literals.0);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = module.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
        });
        if !is_test {
            visit::visit_item_mod(self, module);
        }
    }
}

fn is_constructor(path: &syn::Path) -> bool {
    let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let path = names.join("::");
    CONSTRUCTORS.iter().any(|name| path == *name || path.strip_suffix(name).is_some_and(|rest| rest.ends_with("::")))
}

/// The string literals in an argument, including literals inside `format!`.
#[derive(Default)]
struct Literals(Vec<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.push(literal.value());
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        for token in call.tokens.clone() {
            if let Ok(literal) = syn::parse2::<syn::LitStr>(token.into()) {
                self.0.push(literal.value());
            }
        }
    }
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn messages() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut table = String::new();
    for package in
        ["flinks-core", "flinks", "flinks-consents", "flinks-redis", "flinks-postgres", "flinks-emulator", "xtask"]
    {
        let folder =
            if package == "xtask" { root.join("xtask/src") } else { root.join("crates").join(package).join("src") };
        let mut files = Vec::new();
        rust_files(&folder, &mut files);
        let mut parts = Parts::default();
        for file in files.iter().filter(|file| !file.ends_with("messages.rs")) {
            parts.visit_file(&syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap());
        }
        let messages: Vec<_> = parts.found.iter().filter(|text| text.contains(' ')).collect();
        assert!(!messages.is_empty(), "{package} has no messages");
        let _ = writeln!(table, "\n{package}");
        for message in messages {
            let _ = writeln!(table, "  {}", message.replace('\n', "\\n"));
        }
    }
    insta::assert_snapshot!("messages", table);
}
