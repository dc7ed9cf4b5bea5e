//! Tests that `cargo xtask lint` reports all problems in a document at once and suggests an
//! overlay.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xtask::Product;
use xtask::generate::output::Header;
use xtask::generate::{SecretNames, generate, generated, inspect};
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

/// Returns the locations in a command's output or in a message.
fn locations(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| line.strip_prefix("  at: ")).map(str::to_owned).collect()
}

#[test]
fn one_run_of_the_generator_reports_the_same_problems() {
    let project = tempfile::tempdir().unwrap();
    let write = |path: &Path, text: &str| {
        let path = project.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let text = std::fs::read_to_string(PROBLEMS).unwrap();
    write(&Product::Pay.document(), &text);
    write(
        &Product::Pay.overlay(),
        "overlay: 1.0.0\ninfo: {title: t, version: '1'}\nactions: [{target: $.info, description: d, update: {title: T}}]",
    );
    let sources = "[flinks-pay]\nversion = \"1\"\nsha256 = \"HASH\"\nslices = []\n";
    let hash = inspect(project.path(), Product::Pay, SecretNames::Checked).unwrap().unwrap().sha256;
    write(Path::new("openapi/sources.toml"), &sources.replace("HASH", &hash));
    let error = generated(project.path(), Product::Pay).unwrap_err().to_string();
    assert_eq!(locations(&error), locations(&lint(Path::new(PROBLEMS)).unwrap().text()));
    assert_eq!(locations(&error).len(), 16);
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
