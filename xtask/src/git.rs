//! Runs git.

use std::path::Path;
use std::process::Command;

use crate::{Error, Result};

/// Runs git in a folder and returns its standard output.
pub(crate) fn git(root: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output();
    let output = output.map_err(|error| Error::new(format!("failed to start git: {error}")))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Error::new(format!("git failed: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }
}
