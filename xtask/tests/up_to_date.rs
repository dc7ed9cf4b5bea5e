//! Checks that the generated files are up to date, as `cargo xtask regenerate --check` does.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

use std::path::Path;

use xtask::Product;
use xtask::generate::{Mode, Outcome, generated, list_crates, regenerate};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn generated_files_are_fresh() {
    for (product, outcome) in regenerate(root(), &Product::ALL, Mode::Check) {
        match outcome {
            Ok(Outcome::Fresh) => {}
            Ok(Outcome::Stale(diff)) => panic!("{product:?}: run `cargo xtask regenerate`\n{diff}"),
            Ok(Outcome::Wrote) => panic!("{product:?}: the check wrote a file"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn generation_is_deterministic() {
    for product in Product::ALL {
        assert_eq!(generated(root(), product).unwrap().text, generated(root(), product).unwrap().text);
    }
}

#[test]
fn lists_of_public_items_are_fresh() {
    for (name, outcome) in list_crates(root(), Mode::Check) {
        match outcome {
            Ok(Outcome::Fresh) => {}
            Ok(Outcome::Stale(diff)) => panic!("{name}: run `cargo xtask regenerate`\n{diff}"),
            Ok(Outcome::Wrote) => panic!("{name}: the check wrote a file"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks that no public API exposes a type from another crate by accident. The facade's public API
/// mentions reqwest five times: twice in the signature of `Settings::http`, and in each client's
/// `http_client`. `flinks-core` exposes the status type of reqwest, so mentions of reqwest are not
/// counted for `flinks-core`.
#[test]
fn no_foreign_type_is_public_by_accident() {
    for (name, reqwest) in [
        ("flinks-core", None),
        ("flinks", Some(5)),
        ("flinks-consents", Some(0)),
        ("flinks-redis", Some(0)),
        ("flinks-postgres", Some(0)),
    ] {
        let list = std::fs::read_to_string(root().join("crates").join(name).join("public-api.txt")).unwrap();
        for foreign in
            ["progenitor", "serde_json", "hyper", "tokio", "flinks_pay", "flinks_connect", "redis::", "deadpool"]
        {
            assert!(!list.contains(foreign), "{name}: {foreign}");
        }
        if let Some(count) = reqwest {
            assert_eq!(list.matches("reqwest").count(), count, "{name}");
        }
    }
}
