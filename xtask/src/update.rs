//! `cargo xtask update` and `cargo xtask release`: from a changed page to a version of a crate.

use std::path::{Path, PathBuf};

use semver::Version;
use toml_edit::value;

use crate::diff::{self, ProductDiff, Side, Step, versions};
use crate::import::{self, Options};
use crate::pipeline::{Outcome, Product, regenerate};
use crate::{Error, Result, changelog, output};

/// The crate that is built on all products. It shows no type of theirs, so that a change of theirs is a patch of it, unless
/// its own code has to change with it.
const FACADE: &str = "flinks";

/// All crates that are published, in the order in which that goes: each after what it is built on, or tested
/// with.
const PUBLISHED: [&str; 6] =
    ["flinks-core", "flinks-emulator", "flinks-pay", "flinks-connect", "flinks-outbound", FACADE];

/// What came of an update.
#[derive(Debug)]
pub struct Summary {
    /// For a pull request, in Markdown.
    pub markdown: String,
    /// Whether a document could not be generated: nothing was, and no changelog was written.
    pub is_refused: bool,
}

/// Imports, generates, compares with what was last released, and proposes versions and changelogs.
///
/// # Errors
///
/// Where something could not be read, imported or written. A document that cannot be generated is told in the summary.
pub fn update(root: &Path, options: &Options, since: Option<&str>) -> Result<Summary> {
    let mut markdown = String::from("## The documents of Flinks changed\n\n");
    if !options.files.is_empty() {
        let report = import::import(root, options)?;
        report.lines.iter().for_each(|line| markdown += &format!("- {line}\n"));
        markdown.push('\n');
    }
    let mut diffs = Vec::new();
    for product in Product::ALL {
        let release = released(root, product.crate_name())?;
        let old = Side::named(root, since.or(release.as_deref()).unwrap_or("HEAD"))?;
        let mut diff = diff::diff(old.path(), root, &[product])?;
        diff.iter_mut().for_each(|diff| diff.is_released = release.is_some());
        diffs.extend(diff);
    }
    // A document that was put in place by hand is held to its hash here.
    let outcomes: Vec<(Product, Result<Outcome>)> = regenerate(root, &Product::ALL, false);
    let is_refused = outcomes.iter().any(|(_, outcome)| outcome.is_err());
    for (product, outcome) in outcomes {
        if let (Some(diff), Err(error)) = (diffs.iter_mut().find(|diff| diff.product == product), outcome) {
            diff.refused.get_or_insert(error);
        }
    }
    markdown += &diff::markdown(&diffs);
    if is_refused {
        markdown += "\nNothing was generated, and no changelog was written. When the overlay is mended: `cargo xtask update`, without files.\n";
        return Ok(Summary { markdown, is_refused });
    }
    let mut texts: Vec<(PathBuf, String)> = Vec::new();
    for diff in &diffs {
        // Where nothing was released yet, an earlier proposal may be about an earlier commit.
        if diff.step > Step::None || diff.is_released {
            let entry = diff::changelog(diff);
            let next = diff.next();
            texts.push(propose(
                root,
                diff.product.crate_name(),
                (diff.step > Step::None).then_some((&next, entry.as_str())),
            )?);
        }
    }
    let built_on: Vec<&ProductDiff> = diffs.iter().filter(|diff| diff.step > Step::None).collect();
    if !built_on.is_empty() {
        let version = versions::of(root, FACADE)?;
        let next = if released(root, FACADE)?.is_some() { Step::Patch.next(&version) } else { version.clone() };
        let lines = built_on.iter().map(|diff| format!("- Built on `{}` {}.", diff.product.crate_name(), diff.next()));
        let entry = format!("### Changed\n\n{}", lines.collect::<Vec<_>>().join("\n"));
        texts.push(propose(root, FACADE, Some((&next, &entry)))?);
        markdown += &format!(
            "\n`{FACADE}` {version} → {next} at least, for it is built on them; more, if its own interface changes.\n"
        );
    }
    for (path, text) in &texts {
        output::write(&root.join(path), text).map_err(|error| error.in_file(path))?;
    }
    Ok(Summary { markdown, is_refused })
}

/// Makes the proposed versions the versions: in the manifests, in what the workspace asks for, and in the changelogs. A crate
/// that was never released keeps the version that it has. Returns the crates, in the order in which they are published.
///
/// # Errors
///
/// Where a file cannot be read, or written.
pub fn release(root: &Path, day: &str) -> Result<Vec<(String, Version)>> {
    let mut released = Vec::new();
    let mut texts = Vec::new();
    let (workspace_path, mut workspace) = versions::read(root, "Cargo.toml".into())?;
    for name in PUBLISHED {
        let (path, text) = read_changelog(root, name)?;
        let present = versions::of(root, name)?;
        // A present version that is not in the changelog was never out.
        let first = Some(present.clone()).filter(|present| !changelog::has(&text, present));
        let proposed = changelog::proposed(&text).map_err(|error| error.in_file(&path))?;
        let Some(version) = first.or(proposed) else { continue };
        texts.push((path.clone(), changelog::release(&text, &version, day).map_err(|error| error.in_file(&path))?));
        released.push((name.to_owned(), version.clone()));
        if version == present {
            continue;
        }
        let (path, mut manifest) = versions::manifest(root, name)?;
        let package = manifest.get_mut("package").and_then(|package| package.as_table_like_mut());
        let package = package.ok_or_else(|| Error::new("has no [package]").in_file(&path))?;
        package.insert("version", value(version.to_string()));
        texts.push((path, manifest.to_string()));
        let asked = workspace.get_mut("workspace").and_then(|table| table.get_mut("dependencies")?.get_mut(name));
        if let Some(asked) = asked.and_then(|asked| asked.as_table_like_mut()) {
            asked.insert("version", value(version.to_string()));
        }
    }
    texts.push((workspace_path, workspace.to_string()));
    for (path, text) in &texts {
        output::write(&root.join(path), text).map_err(|error| error.in_file(path))?;
    }
    Ok(released)
}

fn propose(root: &Path, name: &str, proposal: Option<(&Version, &str)>) -> Result<(PathBuf, String)> {
    let (path, text) = read_changelog(root, name)?;
    let text = changelog::propose(&text, proposal).map_err(|error| error.in_file(&path))?;
    Ok((path, text))
}

fn read_changelog(root: &Path, name: &str) -> Result<(PathBuf, String)> {
    let path = Path::new("crates").join(name).join("CHANGELOG.md");
    let text = std::fs::read_to_string(root.join(&path))
        .map_err(|error| Error::new(format!("cannot be read: {error}")).in_file(&path))?;
    Ok((path, text))
}

/// The commit that released a crate's present version: the one that put its heading into the changelog.
fn released(root: &Path, name: &str) -> Result<Option<String>> {
    let version = versions::of(root, name)?;
    let heading = format!("-S## [{version}]");
    let path = format!("crates/{name}/CHANGELOG.md");
    let found = diff::git(root, &["log", "-1", "--format=%H", &heading, "--", &path])?;
    Ok(Some(String::from_utf8_lossy(&found).trim().to_owned()).filter(|commit| !commit.is_empty()))
}
