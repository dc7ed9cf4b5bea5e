//! The public-API stage: lists the public items of a crate, one on each line. A changed line
//! affects dependants.
//!
//! [`read_generated`] lists a generated file. [`read_crate`] lists a hand-written crate for a Linux
//! build with all features: the items that are reachable from `lib.rs` through public modules and
//! re-exports, and the implementations of public types. It does not list items marked
//! `#[doc(hidden)]`, implementations of private traits, auto traits or `#[must_use]`.
//!
//! | module | contents |
//! | --- | --- |
//! | `list` | the list of items, and its comparison with a newer list |
//! | [`difference`] | the difference of an item |
//! | `items` | the lines of one item |
//! | `modules` | the files of a crate as a tree of modules |
//! | `reach` | the public items of the tree, with their names |
//! | `conditions` | evaluates `#[cfg]` |
//! | `macros` | expands `macro_rules!` with a single rule |
//! | `code` | code as one line of text |
//!
//! Unsupported syntax is an error that names it, so no item is omitted silently.

mod code;
mod conditions;
pub mod difference;
mod items;
mod list;
mod macros;
mod modules;
mod reach;

use std::path::Path;

use crate::{Error, Result};

pub use difference::Difference;
pub use list::PublicApi;

/// Lists the public items of a generated file.
///
/// # Errors
///
/// Returns an error if the text is not Rust, or a public item has an unsupported form.
pub fn read_generated(text: &str) -> Result<PublicApi> {
    let file = syn::parse_file(text).map_err(|error| Error::new(format!("invalid Rust: {error}")))?;
    let mut api = PublicApi::default();
    api.items("", &file.items)?;
    Ok(api)
}

/// Lists the public items of a hand-written crate. The folder is relative to the project's root.
///
/// # Errors
///
/// Returns an error if a file cannot be read or is not Rust, or an item has an unsupported form.
pub fn read_crate(root: &Path, folder: &Path) -> Result<PublicApi> {
    let modules = modules::Modules::load(root, &folder.join("src/lib.rs"))?;
    reach::list(&modules)
}

#[cfg(test)]
mod tests;
