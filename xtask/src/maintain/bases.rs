//! Determines the version, the last release and the next proposed release of each published crate.

use std::path::{Path, PathBuf};

use semver::Version;

use super::changelog::{self, Proposal};
use super::diff::{self, ProductDiff, Side, Step};
use super::versions;
use crate::git::git;
use crate::product::Product;
use crate::{Error, Result};

/// The crate that depends on all product crates. Its public API contains no types from product
/// crates, so a change to a product crate requires only a patch release of the facade, unless the
/// facade's own code changes.
pub(super) const FACADE: &str = "flinks";

/// All published crates, ordered so that each crate comes after its dependencies, including
/// development dependencies.
const PUBLISHED: [&str; 9] = [
    "flinks-core",
    "flinks-emulator",
    "flinks-pay",
    "flinks-connect",
    "flinks-outbound",
    FACADE,
    "flinks-consents",
    "flinks-redis",
    "flinks-postgres",
];

pub(super) const UPDATE: &str = "run `cargo xtask update` and read its summary";

/// The current version, the last release and the changelog of each published crate.
pub(super) struct Bases(pub(super) Vec<Base>);

pub(super) struct Base {
    pub(super) name: &'static str,
    /// The version in the crate's manifest.
    pub(super) present: Version,
    /// The commit that released the `present` version, or `None` if the crate was never released.
    pub(super) release: Option<String>,
    pub(super) changelog: (PathBuf, String),
    /// For a product crate, the product and the older side of the document comparison.
    pub(super) side: Option<(Product, Side)>,
}

impl Bases {
    pub(super) fn read(root: &Path, since: Option<&str>) -> Result<Self> {
        PUBLISHED.into_iter().map(|name| Base::read(root, name, since)).collect::<Result<_>>().map(Self)
    }

    pub(super) fn diffs(&self, root: &Path) -> Result<Vec<ProductDiff>> {
        let mut diffs = Vec::new();
        for base in &self.0 {
            let Some((product, side)) = &base.side else { continue };
            let mut diff = diff::diff(side.path(), root, &[*product])?;
            for diff in &mut diff {
                diff.is_released = base.release.is_some();
            }
            diffs.extend(diff);
        }
        Ok(diffs)
    }

    /// Returns a proposal for each crate that has changed since its last release.
    pub(super) fn proposals(&self, diffs: &[ProductDiff]) -> Result<Vec<Proposal>> {
        let changed = diffs.iter().filter(|diff| diff.step > Step::None && diff.is_released);
        let product = |diff: &ProductDiff| Proposal {
            name: diff.product.crate_name(),
            version: diff.next(),
            entry: diff::changelog(diff),
        };
        let mut proposals: Vec<Proposal> = changed.map(product).collect();
        let mut updated_dependencies = Vec::new();
        for base in self.0.iter().filter(|base| base.side.is_some() && base.release.is_some()) {
            let proposed =
                proposals.iter().find(|proposal| proposal.name == base.name).map(|proposal| &proposal.version);
            // A product crate's changelog can request a higher version than the proposed one.
            if let Some(version) = proposed.cloned().max(base.requested_version()?) {
                updated_dependencies.push(format!("- Updated `{}` to {version}.", base.name));
            }
        }
        let facade = self.0.iter().find(|base| base.name == FACADE && base.release.is_some());
        if let Some(facade) = facade
            && !updated_dependencies.is_empty()
        {
            let entry = format!("### Changed\n\n{}", updated_dependencies.join("\n"));
            proposals.push(Proposal { name: FACADE, version: Step::Patch.next(&facade.present), entry });
        }
        Ok(proposals)
    }
}

impl Base {
    fn read(root: &Path, name: &'static str, since: Option<&str>) -> Result<Self> {
        let present = versions::crate_version(root, name)?;
        let path = Path::new("crates").join(name).join("CHANGELOG.md");
        let text = std::fs::read_to_string(root.join(&path))
            .map_err(|error| Error::new(format!("failed to read the file: {error}")).in_file(&path))?;
        // Fail now, before anything is written, if the changelog cannot accept a proposal.
        changelog::propose(&text, None).map_err(|error| error.in_file(&path))?;
        let release = match changelog::newest(&text) {
            None => None,
            Some(newest) if newest == present.to_string() => Some(released(root, &path, &newest)?),
            Some(newest) => {
                return Err(Error::new(format!(
                    "the newest version in the changelog is {newest}, but the manifest has version {present}"
                ))
                .in_file(&path)
                .help("revert the manual change: `cargo xtask release` sets both versions"));
            }
        };
        let product = Product::ALL.into_iter().find(|product| product.crate_name() == name);
        let side = product.map(|product| {
            let commit = since.or(release.as_deref()).unwrap_or("HEAD");
            Side::named(root, commit).map(|side| (product, side))
        });
        Ok(Self { name, present, release, changelog: (path, text), side: side.transpose()? })
    }

    /// Returns the version that the changelog requests, or `None` if it requests no version.
    fn requested_version(&self) -> Result<Option<Version>> {
        let (path, text) = &self.changelog;
        changelog::requested_version(text).map_err(|error| error.in_file(path))
    }

    /// Returns the version of the next release, or `None` if no release is proposed or requested.
    pub(super) fn next(&self, proposals: &[Proposal]) -> Result<Option<Version>> {
        let requested = self.requested_version()?;
        if self.release.is_none() {
            return Ok(Some(self.present.clone()).max(requested));
        }
        let proposal = proposals.iter().find(|proposal| proposal.name == self.name);
        if !changelog::is_proposed(&self.changelog.1, proposal)? {
            return Err(Error::new("the release proposal in the changelog is out of date").help(UPDATE));
        }
        match proposal.map(|proposal| proposal.version.clone()).max(requested) {
            Some(version) if version <= self.present => {
                Err(Error::new(format!("{version} is not newer than the released version {}", self.present)))
            }
            version => Ok(version),
        }
    }
}

/// Returns the commit that released a version: the newest commit that added the version's heading
/// to the changelog. Commits that only edited the heading are ignored.
fn released(root: &Path, path: &Path, version: &str) -> Result<String> {
    let shallow = git(root, &["rev-parse", "--is-shallow-repository"])?;
    if shallow.starts_with(b"true") {
        return Err(Error::new("the repository is a shallow clone, so the commits for earlier releases are missing")
            .help("git fetch --unshallow"));
    }
    let path_text = path.display().to_string();
    let heading = format!("## [{version}]");
    let pattern = format!("-G^## \\[{}\\]", version.replace('.', "\\."));
    let touched = git(root, &["log", "--format=%H", &pattern, "--", &path_text])?;
    for commit in String::from_utf8_lossy(&touched).split_whitespace() {
        // The first commit has no parent, so its previous changelog is treated as empty.
        let before = git(root, &["show", &format!("{commit}^:./{path_text}")]).unwrap_or_default();
        if !String::from_utf8_lossy(&before).lines().any(|line| line.starts_with(&heading)) {
            return Ok(commit.to_owned());
        }
    }
    Err(Error::new(format!("no commit contains {version}")).in_file(path).help("commit the release first"))
}
