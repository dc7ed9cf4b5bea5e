//! Runs the second worked example in xtask/README.md: two saved pages of data endpoints become
//! operations that take the bearer token of a consent.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::Product;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Copies the documents and the manifests of the product crates into a new folder.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(HERE).join("..");
    let mut files: Vec<PathBuf> = vec![PathBuf::from("openapi/sources.toml")];
    for product in Product::ALL {
        files.extend([product.document(), product.overlay(), product.generated(), product.public_api()]);
    }
    for file in files {
        fs::create_dir_all(folder.path().join(&file).parent().unwrap()).unwrap();
        fs::copy(root.join(&file), folder.path().join(&file)).unwrap();
    }
    folder
}

fn xtask(root: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).arg("--root").arg(root).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn pages_of_data_endpoints_become_operations_that_take_a_bearer_token() {
    let project = project();
    let pages = ["accounts.md", "transactions.md"].map(|page| format!("{HERE}/tests/data_pages/{page}"));
    let [accounts, transactions] = pages.each_ref().map(String::as_str);
    let imported = xtask(project.path(), &["import", accounts, transactions]);
    assert!(imported.contains("adds GET /api/fdx/5/accounts (") && imported.contains("adds GET /api/fdx/5/accounts/{"));
    xtask(project.path(), &["regenerate"]);
    let api = fs::read_to_string(project.path().join(Product::Outbound.public_api())).unwrap();
    let readme = fs::read_to_string(Path::new(HERE).join("README.md")).unwrap();
    let (_, example) = readme.split_once("## Example: data endpoints").unwrap();
    let (example, _) = example.split_once("\n## ").unwrap();
    let listed = example.split("```text\n").nth(1).unwrap().split("\n```").next().unwrap();
    assert!(listed.lines().count() > 5);
    for line in listed.lines() {
        assert!(api.lines().any(|other| other == line), "{line}\n{api}");
    }
    let code = fs::read_to_string(project.path().join(Product::Outbound.generated())).unwrap();
    support::compile("data_pages", &[("outbound".to_owned(), code)]);
}
