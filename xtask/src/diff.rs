//! `cargo xtask diff`: what changed between two versions of the documents, and what it means for users.
//!
//! The documents are compared twice: as code is made of them, which tells what a change means, and as Flinks publishes them,
//! which tells the rest (another server, another list of values in a reply). Prose is counted and no more. The words are held
//! against the interface of the generated code: if that breaks and no word says so, the report says that.

mod compare;
mod model;
mod report;
pub mod versions;

use std::path::{Path, PathBuf};
use std::process::Command;

use semver::Version;
use serde_json::Value;

pub use compare::{Change, Effect, Section};
pub use report::{changelog, markdown, terminal};

use crate::pipeline::{self, Generated, Product};
use crate::surface::{Difference, Surface};
use crate::{Error, Result};
use model::Model;

/// What changed for one crate.
#[derive(Debug)]
pub struct ProductDiff {
    /// The product.
    pub product: Product,
    /// The sha256 of the document before and after, where there is one.
    pub sha256: [Option<String>; 2],
    /// The version before.
    pub version: Version,
    /// Whether that version is out. One that is not is what comes next, whatever changed.
    pub is_released: bool,
    /// The changes, those of the whole document first.
    pub changes: Vec<Change>,
    /// How many texts say something else.
    pub reworded: usize,
    /// What became of the generated interface.
    pub interface: Vec<Difference>,
    /// What it takes to release it.
    pub step: Step,
    /// Why no code can be made of one of the documents; what the change means is not known then.
    pub refused: Option<Error>,
}

/// How much of a new version a change asks for (Cargo's reading of semantic versioning).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Nothing changed.
    None,
    /// Nothing that a dependant can call.
    Patch,
    /// Something new, and nothing that breaks.
    Minor,
    /// Something that breaks.
    Major,
}

impl Step {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "unchanged",
            Self::Patch => "patch",
            Self::Minor => "compatible",
            Self::Major => "breaking",
        }
    }

    /// The version that follows. Below 1.0, the second number is what the first is afterwards.
    pub fn next(self, version: &Version) -> Version {
        let Version { major, minor, patch, .. } = *version;
        match (self, major) {
            (Self::None, _) => version.clone(),
            (Self::Major, 1..) => Version::new(major.saturating_add(1), 0, 0),
            (Self::Major, 0) | (Self::Minor, 1..) => Version::new(major, minor.saturating_add(1), 0),
            (Self::Minor, 0) | (Self::Patch, _) => Version::new(major, minor, patch.saturating_add(1)),
        }
    }
}

/// Compares the documents below two folders.
///
/// # Errors
///
/// Where a document or a manifest cannot be read. One that cannot be generated is told in the result.
pub fn diff(old: &Path, new: &Path, products: &[Product]) -> Result<Vec<ProductDiff>> {
    products.iter().map(|product| product_diff(old, new, *product)).collect()
}

fn product_diff(old_root: &Path, new_root: &Path, product: Product) -> Result<ProductDiff> {
    let old = pipeline::inspect(old_root, product, pipeline::generate_only)?;
    let new = pipeline::inspect(new_root, product, pipeline::code)?;
    let version = versions::of(old_root, product.crate_name())?;
    let sha256 = [&old, &new].map(|side| side.as_ref().map(|side| side.sha256.clone()));
    let mut published = match (&old, &new) {
        (Some(old), Some(new)) => {
            compare::published(&Model::published(&old.published), &Model::published(&new.published))
        }
        (None, Some(new)) => compare::published(&Model::default(), &Model::published(&new.published)),
        (Some(old), None) => compare::published(&Model::published(&old.published), &Model::default()),
        (None, None) => Vec::new(),
    };
    let generated = |side: Option<pipeline::Inspected>| side.map(|side| side.generated).transpose();
    let (old, new, refused) = match (generated(old), generated(new)) {
        (Ok(old), Ok(new)) => (old, new, None),
        (Err(error), _) => (None, None, Some(Error::new(format!("of the older version no code can be made: {error}")))),
        (_, Err(error)) => (None, None, Some(error)),
    };
    let mut changes = Vec::new();
    let mut interface = Vec::new();
    if refused.is_none() {
        let surface = |side: &Option<Generated>| side.as_ref().map(|side| side.surface.clone()).unwrap_or_default();
        let model =
            |side: &Option<Generated>| side.as_ref().map(|side| Model::effective(&side.normalized)).unwrap_or_default();
        interface = Surface::differences(&surface(&old), &surface(&new));
        let breaking: Vec<String> = interface.iter().filter(|item| item.is_breaking()).map(Difference::text).collect();
        changes = compare::effective(&model(&old), &model(&new), !breaking.is_empty());
        if !breaking.is_empty() && !changes.iter().any(|change| change.effect.is_breaking()) {
            changes.push(Change::unexplained(&breaking));
        }
    }
    if refused.is_some() {
        published.iter_mut().for_each(|change| change.effect = Effect::Unknown);
    }
    published.retain(|change| !changes.iter().any(|told| told.is_same_as(change)));
    changes.extend(published);
    let texts =
        |side: &Option<Generated>| side.as_ref().map(|side| prose(&side.normalized.document)).unwrap_or_default();
    let reworded = reworded(&texts(&old), &texts(&new));
    let text = |side: &Option<Generated>| side.as_ref().map(|side| side.text.clone());
    let step = match changes.iter().map(|change| change.effect).max() {
        _ if refused.is_some() => Step::None,
        Some(effect) if effect.is_breaking() => Step::Major,
        Some(Effect::Compatible) => Step::Minor,
        _ if text(&old) != text(&new) || !changes.is_empty() => Step::Patch,
        _ => Step::None,
    };
    Ok(ProductDiff { product, sha256, version, is_released: true, changes, reworded, interface, step, refused })
}

/// All prose of a document, with its place.
fn prose(document: &Value) -> Vec<(String, String)> {
    fn collect(value: &Value, at: &str, texts: &mut Vec<(String, String)>) {
        match value {
            Value::Object(object) => {
                for (key, child) in object {
                    match (key.as_str(), child) {
                        ("description" | "summary", Value::String(text)) => {
                            texts.push((format!("{at}/{key}"), text.clone()))
                        }
                        ("example" | "examples", _) => {}
                        _ => collect(child, &format!("{at}/{key}"), texts),
                    }
                }
            }
            Value::Array(array) => {
                array.iter().enumerate().for_each(|(index, child)| collect(child, &format!("{at}/{index}"), texts));
            }
            _ => {}
        }
    }
    let mut texts = Vec::new();
    collect(document, "", &mut texts);
    texts
}

/// How many texts that stand in both differ.
fn reworded(old: &[(String, String)], new: &[(String, String)]) -> usize {
    let differs = |(at, text): &&(String, String)| new.iter().any(|(other_at, other)| at == other_at && text != other);
    old.iter().filter(differs).count()
}

/// One side of a comparison.
pub enum Side {
    /// A folder that has `openapi/`.
    Folder(PathBuf),
    /// A commit, whose files were put into a folder of their own.
    Commit(tempfile::TempDir),
}

impl Side {
    /// What a name on the command line means: a folder, or else a commit of the project below `root`.
    ///
    /// # Errors
    ///
    /// Where it is neither, or git is not there.
    pub fn named(root: &Path, name: &str) -> Result<Self> {
        let folder = Path::new(name);
        if folder.join("openapi").is_dir() {
            return Ok(Self::Folder(folder.to_owned()));
        }
        let failed = |error: std::io::Error| Error::new(format!("a folder for `{name}` cannot be filled: {error}"));
        let target = tempfile::tempdir().map_err(failed)?;
        let commit = format!("{name}^{{commit}}");
        git(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).map_err(|_| {
            Error::new(format!("`{name}` is neither a folder that has openapi/ nor a commit")).help("name one of both")
        })?;
        // Relative to the folder in which git runs, which need not be the top of its repository.
        let listing =
            git(root, &["ls-tree", "-r", "--name-only", "-z", name, "--", "openapi", "Cargo.toml", "crates"])?;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        for path in listing.split('\0').filter(|path| path.starts_with("openapi/") || path.ends_with("Cargo.toml")) {
            let text = git(root, &["show", &format!("{name}:./{path}")])?;
            let text = String::from_utf8_lossy(&text).into_owned();
            let to = target.path().join(path);
            to.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
            crate::output::write(&to, &text)?;
        }
        Ok(Self::Commit(target))
    }

    /// The folder to read.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) => path,
            Self::Commit(folder) => folder.path(),
        }
    }
}

pub(crate) fn git(root: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output();
    let output = output.map_err(|error| Error::new(format!("git cannot be started: {error}")))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(Error::new(format!("git failed: {}", String::from_utf8_lossy(&output.stderr).trim()))),
    }
}
