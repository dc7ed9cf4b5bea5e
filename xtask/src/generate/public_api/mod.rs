//! The public-API stage: what a crate makes public, a line an item. A change of a line is a change for dependants.
//!
//! [`read_generated`] lists a generated file. [`read_crate`] lists a hand-written crate, with all of its features
//! on, as built for Linux: what is reachable from `lib.rs` through public modules and re-exports, and the implementations of
//! public types. Not listed: items marked `#[doc(hidden)]`, implementations of private traits, auto traits and `#[must_use]`.
//!
//! | module | about |
//! | --- | --- |
//! | `list` | a list of items, and its comparison with a newer one |
//! | [`difference`] | what became of one item |
//! | `items` | the lines of one item |
//! | `modules` | the files of a crate as a tree of modules |
//! | `reach` | which items of the tree are public, and under which names |
//! | `conditions` | `#[cfg]`, evaluated |
//! | `macros` | `macro_rules!` of one rule, expanded |
//! | `code` | code as one line of text |
//!
//! A form that one of them does not know is an error that names it: nothing is left out silently.

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

/// Lists a generated file.
///
/// # Errors
///
/// Returns an error if the text is not Rust, or a public item has a form that is not known here.
pub fn read_generated(text: &str) -> Result<PublicApi> {
    let file = syn::parse_file(text).map_err(|error| Error::new(format!("is not Rust: {error}")))?;
    let mut api = PublicApi::default();
    api.items("", &file.items)?;
    Ok(api)
}

/// Lists a hand-written crate, whose folder is given from the project's root.
///
/// # Errors
///
/// Returns an error if a file cannot be read or is not Rust, or an item has a form that is not known here.
pub fn read_crate(root: &Path, folder: &Path) -> Result<PublicApi> {
    let modules = modules::Modules::load(root, &folder.join("src/lib.rs"))?;
    reach::list(&modules)
}

#[cfg(test)]
mod tests;
