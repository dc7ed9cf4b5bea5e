//! Checks the derived documents, as `cargo xtask docs --check` does, and the links in all documents.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

use std::path::Path;

use xtask::docs;
use xtask::generate::{Mode, Outcome};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn derived_documents_are_fresh() {
    for (path, outcome) in docs::write(root(), Mode::Check) {
        match outcome {
            Ok(Outcome::Fresh) => {}
            Ok(_) => panic!("{}: run `cargo xtask docs`", path.display()),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn no_link_leads_nowhere() {
    assert_eq!(docs::links::broken(root()).unwrap(), Vec::<String>::new());
}
