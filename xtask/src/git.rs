//! Runs git.

use std::path::Path;
use std::process::Command;

use crate::{Error, Result};

/// Runs git in a folder and returns what it prints.
pub(crate) fn git(root: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output();
    let output = output.map_err(|error| Error::new(format!("git cannot be started: {error}")))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(Error::new(format!("git failed: {}", String::from_utf8_lossy(&output.stderr).trim()))),
    }
}
