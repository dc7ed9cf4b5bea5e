//! Commands that run cargo.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Runs cargo in a directory, with the workspace's default target directory, and returns cargo's
/// output.
///
/// # Errors
///
/// Returns an error that contains cargo's output if cargo fails.
pub fn run(directory: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(directory).env_remove("CARGO_TARGET_DIR");
    // Build scripts read these variables, which `cargo run` sets for this program. If their values
    // differed from those in a build from a terminal, ring and everything that depends on it would
    // be rebuilt.
    let is_of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_package)) {
        command.env_remove(name);
    }
    let output = command.output().context("failed to start cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
