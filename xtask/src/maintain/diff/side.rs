//! Resolves one side of a comparison, which is either a folder or the files in a commit.

use std::path::{Path, PathBuf};

use crate::generate::output;
use crate::git::git;
use crate::{Error, Result};

/// One side of a comparison.
pub enum Side {
    /// A folder that contains `openapi/`.
    Folder(PathBuf),
    /// A commit whose files were written to a temporary folder.
    Commit(tempfile::TempDir),
}

impl Side {
    /// Resolves a name from the command line. A folder that contains `openapi/` takes precedence.
    /// Any other name is resolved as a commit in the repository at `root`.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is neither a folder that contains `openapi/` nor a commit, or
    /// if Git is not installed.
    pub fn named(root: &Path, name: &str) -> Result<Self> {
        let folder = Path::new(name);
        if folder.join("openapi").is_dir() {
            return Ok(Self::Folder(folder.to_owned()));
        }
        let failed = |error: std::io::Error| {
            Error::new(format!("failed to write the files from `{name}` to a temporary folder: {error}"))
        };
        let target = tempfile::tempdir().map_err(failed)?;
        let commit = format!("{name}^{{commit}}");
        git(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit])
            .map_err(|_| Error::new(format!("`{name}` is neither a folder that contains openapi/ nor a commit")))?;
        // The paths are relative to the folder that Git runs in. This folder can be below the top
        // level of its repository.
        let listing =
            git(root, &["ls-tree", "-r", "--name-only", "-z", name, "--", "openapi", "Cargo.toml", "crates"])?;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        for path in listing.split('\0').filter(|path| path.starts_with("openapi/") || path.ends_with("Cargo.toml")) {
            let text = git(root, &["show", &format!("{name}:./{path}")])?;
            let text = String::from_utf8_lossy(&text).into_owned();
            let to = target.path().join(path);
            to.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
            output::write(&to, &text)?;
        }
        Ok(Self::Commit(target))
    }

    /// Returns the folder to read.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) => path,
            Self::Commit(folder) => folder.path(),
        }
    }
}
