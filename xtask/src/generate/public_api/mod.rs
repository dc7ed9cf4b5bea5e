//! The public-API stage lists the public items of a crate, one per line. Any change to the list may
//! affect dependent crates.
//!
//! [`read_generated`] reads a generated file. [`read_crate`] reads a hand-written crate as it is
//! built on Linux with all features. For a hand-written crate, the list contains the items that are
//! reachable from `lib.rs` through public modules and re-exports, and the implementations of public
//! types. The list omits auto traits, `#[must_use]` attributes, items marked `#[doc(hidden)]`, and
//! implementations of private traits.
//!
//! | module | contents |
//! | --- | --- |
//! | `list` | the list of items and its comparison with a newer list |
//! | [`difference`] | a difference between two versions of an item |
//! | `items` | the lines that list one item |
//! | `modules` | a crate's files as a module tree |
//! | `reach` | the public items in the module tree, with their public names |
//! | `conditions` | evaluates `#[cfg]` |
//! | `macros` | expands `macro_rules!` macros that have a single rule |
//! | `code` | formats code as one line of text |
//!
//! Unsupported syntax causes an error that quotes the syntax, so no item is omitted silently.

mod code;
mod conditions;
pub mod difference;
mod items;
mod list;
mod macros;
mod modules;
mod reach;

use std::path::Path;

use crate::Result;

pub use difference::Difference;
pub use list::PublicApi;

/// Lists the public items in a generated file.
///
/// # Errors
///
/// Returns an error if a public item has an unsupported form.
pub fn read_generated(file: &syn::File) -> Result<PublicApi> {
    let mut api = PublicApi::default();
    api.items("", &file.items)?;
    Ok(api)
}

/// Lists the public items of a hand-written crate. `folder` is relative to the project's root.
///
/// # Errors
///
/// Returns an error if a file cannot be read or is not valid Rust, or if an item has an unsupported
/// form.
pub fn read_crate(root: &Path, folder: &Path) -> Result<PublicApi> {
    let modules = modules::Modules::load(root, &folder.join("src/lib.rs"))?;
    reach::list(&modules)
}

#[cfg(test)]
mod tests;
