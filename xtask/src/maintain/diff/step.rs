//! Defines the increment from one version to the next.

use semver::Version;

/// The increment from one version to the next, following Cargo's interpretation of semantic
/// versioning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Nothing changed.
    None,
    /// A change that does not affect the public API.
    Patch,
    /// A compatible addition.
    Minor,
    /// A breaking change.
    Major,
}

impl Step {
    /// Returns the name of this increment in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "unchanged",
            Self::Patch => "patch",
            Self::Minor => "compatible",
            Self::Major => "breaking",
        }
    }

    /// Returns the version that follows `version`. Below 1.0, a breaking change increments the minor
    /// version instead of the major version.
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
