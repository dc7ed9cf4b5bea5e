//! Compiles generated code that is not part of the repository.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Checks that each piece of code compiles without warnings as a module of a crate named `name`.
#[allow(dead_code)] // not every test that includes this file uses it
pub(crate) fn compile(name: &str, modules: &[(String, String)]) {
    run(name, modules, &["check"]);
}

/// Checks that each piece of code compiles without warnings as a module of a crate named `name`, and
/// runs the tests in it.
#[allow(dead_code)] // not every test that includes this file uses it
pub(crate) fn test(name: &str, modules: &[(String, String)]) {
    run(name, modules, &["test", "--lib"]);
}

fn run(name: &str, modules: &[(String, String)], arguments: &[&str]) {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("src")).unwrap();
    let core = root.join("crates/flinks-core").canonicalize().unwrap();
    // The build leaves out TLS. Generated code does not depend on TLS, and TLS takes the longest to
    // build.
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         flinks-core = {{ path = {core:?}, default-features = false, features = [\"multipart\"] }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n\
         uuid = {{ version = \"1\", default-features = false, features = [\"serde\", \"std\"] }}\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // Use the workspace's dependency versions, so that cargo needs no registry.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let mut lib = String::from("//! Generated code.\n#![deny(warnings, missing_docs)]\n#![forbid(unsafe_code)]\n");
    for (module, text) in modules {
        writeln!(lib, "/// A module.\npub mod {module};").unwrap();
        fs::write(folder.join(format!("src/{module}.rs")), text).unwrap();
    }
    fs::write(folder.join("src/lib.rs"), lib).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).args(["--quiet", "--offline"]).current_dir(&folder);
    // Use a separate target folder, because this build selects different features.
    cargo.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("target"));
    let output = cargo.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", text.chars().take(8_000).collect::<String>());
}
