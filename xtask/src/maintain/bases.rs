//! Where each published crate stands: its version, its last release, and what is proposed to follow.

use std::path::{Path, PathBuf};

use semver::Version;

use super::diff::{self, ProductDiff, Side, Step};
use super::git::git;
use super::{changelog, versions};
use crate::product::Product;
use crate::{Error, Result};

/// The crate that is built on all products. No type of a product crate is in its interface, so a change of one is a patch
/// of the facade, unless the facade's code has to change with it.
pub(super) const FACADE: &str = "flinks";

/// All crates that are published, in the order in which that goes: each after what it is built on, or tested with.
const PUBLISHED: [&str; 8] = [
    "flinks-core",
    "flinks-emulator",
    "flinks-pay",
    "flinks-connect",
    "flinks-outbound",
    FACADE,
    "flinks-consents",
    "flinks-redis",
];

pub(super) const UPDATE: &str = "run `cargo xtask update`, and read what it says";

/// Where each crate stands.
pub(super) struct Bases(pub(super) Vec<Base>);

pub(super) struct Base {
    pub(super) name: &'static str,
    /// The version in its manifest.
    pub(super) present: Version,
    /// The commit that released that version; `None` where none ever was.
    pub(super) release: Option<String>,
    pub(super) changelog: (PathBuf, String),
    /// The side that its documents are compared with; for a product.
    pub(super) side: Option<(Product, Side)>,
}

/// A version, and its entry in the changelog.
pub(super) struct Proposal {
    pub(super) name: &'static str,
    pub(super) version: Version,
    pub(super) entry: String,
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
            diff.iter_mut().for_each(|diff| diff.is_released = base.release.is_some());
            diffs.extend(diff);
        }
        Ok(diffs)
    }

    /// For each crate that was released, and has something new.
    pub(super) fn proposals(&self, diffs: &[ProductDiff]) -> Result<Vec<Proposal>> {
        let new = diffs.iter().filter(|diff| diff.step > Step::None && diff.is_released);
        let product = |diff: &ProductDiff| Proposal {
            name: diff.product.crate_name(),
            version: diff.next(),
            entry: diff::changelog(diff),
        };
        let mut proposals: Vec<Proposal> = new.map(product).collect();
        // A product crate may be released with the higher version that its changelog requests.
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

    /// The version that a line in the changelog requests.
    fn wanted(&self) -> Result<Option<Version>> {
        let (path, text) = &self.changelog;
        changelog::wanted(text).map_err(|error| error.in_file(path))
    }

    /// The version to release, if there is one.
    pub(super) fn next(&self, proposals: &[Proposal]) -> Result<Option<Version>> {
        let wanted = self.wanted()?;
        if self.release.is_none() {
            return Ok(Some(self.present.clone()).max(wanted));
        }
        let meant = proposals.iter().find(|proposal| proposal.name == self.name);
        let meant = meant.map(|proposal| (&proposal.version, proposal.entry.as_str()));
        if !changelog::is_proposed(&self.changelog.1, meant)? {
            return Err(Error::new("the proposal is out of date").help(UPDATE));
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
    let shallow = git(root, &["rev-parse", "--is-shallow-repository"])?;
    if shallow.starts_with(b"true") {
        return Err(Error::new("the repository is a shallow clone, which does not know its releases")
            .help("git fetch --unshallow"));
    }
    let (path_text, heading) = (path.display().to_string(), format!("## [{version}]"));
    let pattern = format!("-G^## \\[{}\\]", version.replace('.', "\\."));
    let touched = git(root, &["log", "--format=%H", &pattern, "--", &path_text])?;
    for commit in String::from_utf8_lossy(&touched).split_whitespace() {
        // Nothing is there before the first commit.
        let before = git(root, &["show", &format!("{commit}^:./{path_text}")]).unwrap_or_default();
        if !String::from_utf8_lossy(&before).lines().any(|line| line.starts_with(&heading)) {
            return Ok(commit.to_owned());
        }
    }
    Err(Error::new(format!("{version} is in no commit")).in_file(path).help("commit the release first"))
}
