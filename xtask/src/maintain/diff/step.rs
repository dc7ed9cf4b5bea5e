//! How much of a new version a change requires.

use semver::Version;

/// How much of a new version a change requires (Cargo's reading of semantic versioning).
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
