//! `cargo xtask update` and `cargo xtask release`: from a changed page to a version of a crate.

use std::path::{Path, PathBuf};

use semver::Version;
use toml_edit::value;

use crate::diff::{self, ProductDiff, Side, Step, versions};
use crate::import::{self, Options};
use crate::pipeline::{Outcome, Product, regenerate};
use crate::{Error, Result, changelog, output, sources};

/// The crate that is built on all products. It shows no type of theirs, so that a change of theirs is a patch of it, unless
/// its own code has to change with it.
const FACADE: &str = "flinks";

/// All crates that are published, in the order in which that goes: each after what it is built on, or tested with.
const PUBLISHED: [&str; 7] =
    ["flinks-core", "flinks-emulator", "flinks-pay", "flinks-connect", "flinks-outbound", FACADE, "flinks-redis"];

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
    // All that can be wrong is looked at before the first file is written.
    let bases = Bases::read(root, since)?;
    let mut lines = Vec::new();
    if !options.files.is_empty() {
        lines = import::import(root, options)?.lines;
    }
    let mut diffs = bases.diffs(root)?;
    // A document that was put in place by hand is held to its hash here.
    let outcomes: Vec<(Product, Result<Outcome>)> = regenerate(root, &Product::ALL, false);
    let is_refused = outcomes.iter().any(|(_, outcome)| outcome.is_err());
    for (product, outcome) in outcomes {
        if let (Some(diff), Err(error)) = (diffs.iter_mut().find(|diff| diff.product == product), outcome) {
            diff.refused.get_or_insert(error);
            diff.step = Step::None;
        }
    }
    let is_changed = is_refused || diffs.iter().any(|diff| diff.step > Step::None);
    let title = if is_changed { "The documents of Flinks changed" } else { "The documents of Flinks are as they were" };
    let mut markdown = format!("## {title}\n\n");
    lines.iter().for_each(|line| markdown += &format!("- {line}\n"));
    if !lines.is_empty() {
        markdown.push('\n');
    }
    markdown += &diff::markdown(&diffs);
    if is_refused {
        markdown += "\nNothing was generated, and no changelog was written. When that is mended: `cargo xtask update`, without files.\n";
        return Ok(Summary { markdown, is_refused });
    }
    let proposals = bases.proposals(&diffs)?;
    let facade = proposals.iter().find(|proposal| proposal.name == FACADE);
    if let Some((Proposal { version, .. }, Base { present, .. })) =
        facade.zip(bases.0.iter().find(|base| base.name == FACADE))
    {
        markdown += &format!(
            "\n`{FACADE}` {present} → {version} at least, for it is built on them; more, if its own interface changes.\n"
        );
    }
    let released = bases.0.iter().filter(|base| base.release.is_some());
    for Base { name, changelog: (path, text), .. } in released {
        let proposal = proposals.iter().find(|proposal| proposal.name == *name);
        let text = changelog::propose(text, proposal.map(|proposal| (&proposal.version, proposal.entry.as_str())))?;
        output::write(&root.join(path), &text).map_err(|error| error.in_file(path))?;
    }
    Ok(Summary { markdown, is_refused })
}

/// Makes the proposed versions the versions: in the manifests, in what the workspace asks for, and in the changelogs. A crate
/// that was never released keeps the version that it has. Returns the crates, in the order in which they are published.
///
/// # Errors
///
/// Where a file cannot be read or written, what is generated is stale, a proposal is not of what is there, or a version is
/// not newer than the last.
pub fn release(root: &Path, day: &str) -> Result<Vec<(String, Version)>> {
    check_day(day)?;
    for (product, outcome) in regenerate(root, &Product::ALL, true) {
        if outcome? != Outcome::Fresh {
            return Err(Error::new("is not what would be generated").in_file(&product.generated()).help(UPDATE));
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
        let package = package.ok_or_else(|| Error::new("has no [package]").in_file(&path))?;
        package.insert("version", value(version.to_string()));
        texts.push((path, manifest.to_string()));
        let asked = workspace.get_mut("workspace").and_then(|table| table.get_mut("dependencies")?.get_mut(base.name));
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

/// Checks a day such as `2026-11-21`.
///
/// # Errors
///
/// Where it is none.
pub fn check_day(text: &str) -> Result<()> {
    sources::day(text).map(drop)
}

const UPDATE: &str = "run `cargo xtask update`, and read what it says";

/// Where each crate stands.
struct Bases(Vec<Base>);

struct Base {
    name: &'static str,
    /// The version in its manifest.
    present: Version,
    /// The commit that released that version; `None` where none ever was.
    release: Option<String>,
    changelog: (PathBuf, String),
    /// What its documents are compared with; for a product.
    side: Option<(Product, Side)>,
}

/// A version, and its entry in the changelog.
struct Proposal {
    name: &'static str,
    version: Version,
    entry: String,
}

impl Bases {
    fn read(root: &Path, since: Option<&str>) -> Result<Self> {
        PUBLISHED.into_iter().map(|name| Base::read(root, name, since)).collect::<Result<_>>().map(Self)
    }

    fn diffs(&self, root: &Path) -> Result<Vec<ProductDiff>> {
        let mut diffs = Vec::new();
        for base in &self.0 {
            let Some((product, side)) = &base.side else { continue };
            let mut diff = diff::diff(side.path(), root, &[*product])?;
            diff.iter_mut().for_each(|diff| diff.is_released = base.release.is_some());
            diffs.extend(diff);
        }
        Ok(diffs)
    }

    /// For each crate that was released, and has something new.
    fn proposals(&self, diffs: &[ProductDiff]) -> Result<Vec<Proposal>> {
        let new = diffs.iter().filter(|diff| diff.step > Step::None && diff.is_released);
        let product = |diff: &ProductDiff| Proposal {
            name: diff.product.crate_name(),
            version: diff.next(),
            entry: diff::changelog(diff),
        };
        let mut proposals: Vec<Proposal> = new.map(product).collect();
        // What it is built on goes out as what somebody asks for, if that is more.
        let mut built_on = Vec::new();
        for base in self.0.iter().filter(|base| base.side.is_some() && base.release.is_some()) {
            let proposed =
                proposals.iter().find(|proposal| proposal.name == base.name).map(|proposal| &proposal.version);
            if let Some(version) = proposed.cloned().max(base.wanted()?) {
                built_on.push(format!("- Built on `{}` {version}.", base.name));
            }
        }
        let facade = self.0.iter().find(|base| base.name == FACADE && base.release.is_some());
        if let Some(facade) = facade.filter(|_| !built_on.is_empty()) {
            let entry = format!("### Changed\n\n{}", built_on.join("\n"));
            proposals.push(Proposal { name: FACADE, version: Step::Patch.next(&facade.present), entry });
        }
        Ok(proposals)
    }
}

impl Base {
    fn read(root: &Path, name: &'static str, since: Option<&str>) -> Result<Self> {
        let present = versions::of(root, name)?;
        let path = Path::new("crates").join(name).join("CHANGELOG.md");
        let text = std::fs::read_to_string(root.join(&path))
            .map_err(|error| Error::new(format!("cannot be read: {error}")).in_file(&path))?;
        // Whether it is one that can be written to.
        changelog::propose(&text, None).map_err(|error| error.in_file(&path))?;
        let release = match changelog::newest(&text) {
            None => None,
            Some(newest) if newest == present.to_string() => Some(released(root, &path, &newest)?),
            Some(newest) => {
                return Err(Error::new(format!("its newest version is {newest}, and the manifest says {present}"))
                    .in_file(&path)
                    .help("`cargo xtask release` keeps the two together: take back what was changed by hand"));
            }
        };
        let product = Product::ALL.into_iter().find(|product| product.crate_name() == name);
        let side = product.map(|product| {
            let commit = since.or(release.as_deref()).unwrap_or("HEAD");
            Side::named(root, commit).map(|side| (product, side))
        });
        Ok(Self { name, present, release, changelog: (path, text), side: side.transpose()? })
    }

    /// The version that somebody asks for.
    fn wanted(&self) -> Result<Option<Version>> {
        let (path, text) = &self.changelog;
        changelog::wanted(text).map_err(|error| error.in_file(path))
    }

    /// The version to release, if there is one.
    fn next(&self, proposals: &[Proposal]) -> Result<Option<Version>> {
        let wanted = self.wanted()?;
        if self.release.is_none() {
            return Ok(Some(self.present.clone()).max(wanted));
        }
        let meant = proposals.iter().find(|proposal| proposal.name == self.name);
        let meant = meant.map(|proposal| (&proposal.version, proposal.entry.as_str()));
        if !changelog::is_proposed(&self.changelog.1, meant)? {
            return Err(Error::new("what is proposed is not of what is there").help(UPDATE));
        }
        match meant.map(|(version, _)| version.clone()).max(wanted) {
            Some(version) if version <= self.present => {
                Err(Error::new(format!("{version} is not newer than {}, which is out", self.present)))
            }
            version => Ok(version),
        }
    }
}

/// The commit that released a version: the newest that put its heading into the changelog, and not one that only touched it.
fn released(root: &Path, path: &Path, version: &str) -> Result<String> {
    let shallow = diff::git(root, &["rev-parse", "--is-shallow-repository"])?;
    if shallow.starts_with(b"true") {
        return Err(Error::new("the repository is a shallow clone, which does not know its releases")
            .help("git fetch --unshallow"));
    }
    let (path_text, heading) = (path.display().to_string(), format!("## [{version}]"));
    let pattern = format!("-G^## \\[{}\\]", version.replace('.', "\\."));
    let touched = diff::git(root, &["log", "--format=%H", &pattern, "--", &path_text])?;
    for commit in String::from_utf8_lossy(&touched).split_whitespace() {
        // Nothing is there before the first commit.
        let before = diff::git(root, &["show", &format!("{commit}^:./{path_text}")]).unwrap_or_default();
        if !String::from_utf8_lossy(&before).lines().any(|line| line.starts_with(&heading)) {
            return Ok(commit.to_owned());
        }
    }
    Err(Error::new(format!("{version} is in no commit")).in_file(path).help("commit the release first"))
}
