//! `cargo xtask lint` reports all problems of a document at once and suggests an overlay.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xtask::generate::output::Header;
use xtask::generate::{SecretNames, generate};
use xtask::maintain::lint::lint;
use xtask::spec::overlay;
use xtask::spec::read::yaml;

const PROBLEMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lint/problems.yaml");

fn document() -> Value {
    yaml(&std::fs::read(PROBLEMS).unwrap()).unwrap()
}

fn header() -> Header<'static> {
    Header { document: PathBuf::from("d.yaml"), overlay: PathBuf::from("o.yaml"), sha256: "0" }
}

#[test]
fn all_problems_are_reported_at_once_by_reason() {
    insta::assert_snapshot!("lint", lint(Path::new(PROBLEMS)).unwrap().text());
}

#[test]
fn the_suggested_overlay_makes_the_document_acceptable() {
    let report = lint(Path::new(PROBLEMS)).unwrap();
    let text = report.suggestion_yaml().unwrap();
    insta::assert_snapshot!("suggestion", text);
    let corrected =
        overlay::apply(document(), &yaml(text.as_bytes()).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    let code = generate(corrected, &header(), SecretNames::Checked).unwrap_or_else(|error| panic!("{error}")).text;
    for method in ["fine", "cookies", "types", "defaults", "only_errors", "post_twice", "item", "secrets"] {
        assert!(code.contains(&format!("pub fn {method}<")), "{method}");
    }
    for method in ["upload", "gone"] {
        assert!(!code.contains(&format!("pub fn {method}<")), "{method}");
    }
}

#[test]
fn the_command_prints_the_report_and_its_exit_code_shows_problems() {
    let run = |file: &str| Command::new(env!("CARGO_BIN_EXE_xtask")).args(["lint", file]).output().unwrap();
    let output = run(PROBLEMS);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("of 12 operations"));
    let fine = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/others/link-token.yaml");
    assert_eq!(run(fine).status.code(), Some(0));
    assert_eq!(run("/gone.yaml").status.code(), Some(1));
}
