//! `cargo xtask release` writes the proposed versions into the manifests and changelogs.

use std::path::Path;

use semver::Version;
use toml_edit::value;

use super::bases::{Bases, UPDATE};
use super::update::check_day;
use super::{changelog, versions};
use crate::generate::{Mode, Outcome, output, regenerate};
use crate::product::Product;
use crate::{Error, Result};

/// Sets the proposed versions in the manifests, the workspace dependencies and the changelogs. A
/// crate that was never released keeps its version, unless its changelog requests a higher
/// version. Returns the crates in publishing order.
///
/// # Errors
///
/// Returns an error if a file cannot be read or written, if generated code is stale, if a proposal
/// is out of date, or if a new version is not higher than the last released version. No file is
/// changed, unless the error occurs while files are being written.
pub fn release(root: &Path, day: &str) -> Result<Vec<(String, Version)>> {
    check_day(day)?;
    for (product, outcome) in regenerate(root, &Product::ALL, Mode::Check) {
        if outcome? != Outcome::Fresh {
            return Err(Error::new("the generated code is stale").in_file(&product.generated()).help(UPDATE));
        }
    }
    let bases = Bases::read(root, None)?;
    let proposals = bases.proposals(&bases.diffs(root)?)?;
    let mut released = Vec::new();
    let mut texts = Vec::new();
    let (workspace_path, mut workspace) = versions::read(root, "Cargo.toml".into())?;
    for base in &bases.0 {
        let (path, text) = &base.changelog;
        let Some(version) = base.next(&proposals).map_err(|error| error.in_file(path))? else { continue };
        texts.push((path.clone(), changelog::release(text, &version, day).map_err(|error| error.in_file(path))?));
        released.push((base.name.to_owned(), version.clone()));
        if version == base.present {
            continue;
        }
        let (path, mut manifest) = versions::manifest(root, base.name)?;
        let package = manifest.get_mut("package").and_then(|package| package.as_table_like_mut());
        let package = package.ok_or_else(|| Error::new("the manifest has no [package] table").in_file(&path))?;
        package.insert("version", value(version.to_string()));
        texts.push((path, manifest.to_string()));
        let dependency =
            workspace.get_mut("workspace").and_then(|table| table.get_mut("dependencies")?.get_mut(base.name));
        if let Some(dependency) = dependency.and_then(|dependency| dependency.as_table_like_mut()) {
            dependency.insert("version", value(version.to_string()));
        }
    }
    texts.push((workspace_path, workspace.to_string()));
    for (path, text) in &texts {
        output::write(&root.join(path), text).map_err(|error| error.in_file(path))?;
    }
    Ok(released)
}
