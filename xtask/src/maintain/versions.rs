//! Reads the versions of the crates from their manifests.

use std::path::{Path, PathBuf};

use semver::Version;
use toml_edit::{DocumentMut, Item};

use crate::{Error, Result};

/// Returns a crate's version, which is either in the crate's manifest or inherited from the
/// workspace.
///
/// # Errors
///
/// Returns an error if a manifest cannot be read or if neither the crate's manifest nor the
/// workspace manifest contains a version.
pub fn crate_version(root: &Path, name: &str) -> Result<Version> {
    let (path, own) = manifest(root, name)?;
    let package = own.get("package").and_then(|package| package.get("version"));
    let version = match package.and_then(Item::as_str) {
        Some(version) => version.to_owned(),
        None => {
            let (_, workspace) = read(root, PathBuf::from("Cargo.toml"))?;
            let version = workspace.get("workspace").and_then(|table| table.get("package")?.get("version")?.as_str());
            version.map(str::to_owned).ok_or_else(|| Error::new("the manifest has no version").in_file(&path))?
        }
    };
    version.parse().map_err(|error| Error::new(format!("invalid version `{version}`: {error}")).in_file(&path))
}

pub(crate) fn manifest(root: &Path, name: &str) -> Result<(PathBuf, DocumentMut)> {
    read(root, Path::new("crates").join(name).join("Cargo.toml"))
}

pub(crate) fn read(root: &Path, path: PathBuf) -> Result<(PathBuf, DocumentMut)> {
    let text = std::fs::read_to_string(root.join(&path))
        .map_err(|error| Error::new(format!("failed to read the file: {error}")).in_file(&path))?;
    let document = text.parse().map_err(|error| Error::new(format!("invalid TOML: {error}")).in_file(&path))?;
    Ok((path, document))
}
