//! Tests the list of public items of a hand-written crate.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

use std::fs;
use std::path::Path;

use xtask::generate::public_api::read_crate;

/// Returns the list of public items for a crate with these files under `src`.
fn list(files: &[(&str, &str)]) -> xtask::Result<String> {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join("crates/x/src").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    read_crate(root.path(), Path::new("crates/x")).map(|api| api.to_string())
}

fn lines(files: &[(&str, &str)]) -> Vec<String> {
    list(files).unwrap_or_else(|error| panic!("{error}")).lines().map(str::to_owned).collect()
}

#[test]
fn reachable_items_are_listed_by_their_public_names() {
    let files = [
        (
            "lib.rs",
            "mod inner; pub mod open { pub use crate::inner::deep::Deep as Renamed; pub use super::inner::all::*; } \
             pub use inner::{Shown, deep}; pub use other::Thing; use inner::Kept;",
        ),
        (
            "inner.rs",
            "pub mod deep; pub mod all { pub struct One; pub(crate) struct Two; } pub struct Shown; pub struct Kept;",
        ),
        ("inner/deep.rs", "pub struct Deep { pub a: u8, b: u8 } pub fn call<T>(x: T) -> u8 where T: Copy { 0 }"),
    ];
    assert_eq!(
        lines(&files),
        [
            "field deep::Deep.a: u8",
            "field open::Renamed.a: u8",
            "fn deep::call<T>(x: T) -> u8 where T : Copy",
            "struct Shown",
            "struct deep::Deep",
            "struct open::One",
            "struct open::Renamed",
            "use Thing: other::Thing",
        ]
    );
}

#[test]
fn only_implementations_visible_to_dependents_are_listed() {
    let lib = "
        mod private { pub(crate) struct Hidden; pub trait Secretly {} impl Drop for Hidden { fn drop(&mut self) {} } }
        use std::fmt; use private::{Hidden, Secretly};
        pub struct Shown; pub trait Open { fn required(&self); fn provided(&self) {} }
        impl Shown { pub fn new() -> Self { Self } pub(crate) fn inside(&self) {} fn own(&self) {} pub const MAX: u8 = 1; }
        impl fmt::Debug for Shown {} impl Secretly for Shown {} impl From<Hidden> for Shown {} impl Open for Box<Shown> {}
        impl<T: Open> Open for std::sync::Arc<T> {} impl Open for Hidden {}
        mod elsewhere { impl Clone for super::Shown {} impl super::Shown { pub fn more(self, mut x: u8) {} } }";
    assert_eq!(
        lines(&[("lib.rs", lib)]),
        [
            "const Shown::MAX: u8",
            "fn Shown::more(self, x: u8)",
            "fn Shown::new() -> Self",
            "impl Clone for Shown",
            "impl Open for Box<Shown>",
            "impl Open for std::sync::Arc<T>",
            "impl fmt::Debug for Shown",
            "provided fn Open::provided(&self)",
            "required fn Open::required(&self)",
            "struct Shown",
            "trait Open",
        ]
    );
}

#[test]
fn all_features_are_enabled_and_hidden_items_are_not_listed() {
    let lib = "
        #[cfg(feature = \"a\")] pub struct On; #[cfg(not(feature = \"a\"))] pub struct Off; #[cfg(test)] pub mod tests;
        #[cfg(all(unix, any(windows, feature = \"b\")))] pub fn unix() {} #[cfg(windows)] pub fn windows() {}
        #[doc(hidden)] pub struct Hidden; #[doc(hidden)] pub mod generated { pub struct Inside; }
        impl On { #[doc(hidden)] pub fn hidden(&self) {} #[cfg(windows)] pub fn windows(&self) {} pub fn shown(&self) {} }";
    assert_eq!(lines(&[("lib.rs", lib)]), ["fn On::shown(&self)", "fn unix()", "struct On"]);
}

#[test]
fn macros_with_one_rule_are_expanded() {
    let lib = "
        #[macro_export] macro_rules! name { ($(#[$a:meta])* $v:vis struct $n:ident, $t:literal) => {
            $(#[$a])* #[derive(Clone)] $v struct $n(u8); impl $n { pub fn text(&self) -> &str { $t } } }; }
        macro_rules! all { ($($t:ident)*) => {$( impl Default for $t {} )*}; }
        name! { /// Doc.
            pub struct Key, \"key\" }
        name!(struct Own, \"own\");
        all!(Key Own);";
    assert_eq!(
        lines(&[("lib.rs", lib)]),
        ["fn Key::text(&self) -> &str", "impl Clone for Key", "impl Default for Key", "macro name!", "struct Key"]
    );
}

#[test]
fn unsupported_syntax_is_a_located_error() {
    for (text, part) in [
        ("pub union U { a: u8 }", "pub union U"),
        ("pub extern crate std;", "pub extern crate std"),
        ("other::make! { Key }", "other::make !"),
        ("macro_rules! m { () => {}; (x) => {}; } m!(x);", "m !(x)"),
        ("#[cfg(special)] pub struct X;", "special"),
        ("#[path = \"y.rs\"] mod x;", "path"),
        ("pub enum E { A } pub use E::*;", "the variants of `E`"),
        ("fn", "invalid Rust"),
        ("mod gone;", "failed to read the file"),
    ] {
        let error = list(&[("lib.rs", text)]).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
        assert!(error.contains("crates/x/src/"), "{text}: {error}");
    }
}
