//! The generated files are what would be generated now: the same check as `cargo xtask regenerate --check`.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

use std::path::Path;

use xtask::Product;
use xtask::generate::{Mode, Outcome, generated, regenerate};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn generated_files_are_fresh() {
    for (product, outcome) in regenerate(root(), &Product::ALL, Mode::Check) {
        match outcome {
            Ok(Outcome::Fresh) => {}
            Ok(Outcome::Stale(diff)) => panic!("{product:?}: run `cargo xtask regenerate`\n{diff}"),
            Ok(Outcome::Wrote) => panic!("{product:?}: a check wrote"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn twice_gives_the_same_bytes() {
    for product in Product::ALL {
        assert_eq!(generated(root(), product).unwrap().text, generated(root(), product).unwrap().text);
    }
}
