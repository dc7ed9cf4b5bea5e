//! The program's folders.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use crate::failure::Failure;

/// The folders for the configuration and for consents.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    config: PathBuf,
    data: PathBuf,
}

impl Folders {
    /// Returns `FLINKS_HOME` if it is set, and otherwise the operating system's standard folders,
    /// such as `~/.config/flinks` and `~/.local/share/flinks`.
    ///
    /// # Errors
    ///
    /// Returns a failure if the user's home folder is unknown.
    pub(crate) fn find() -> Result<Self, Failure> {
        if let Some(home) = std::env::var_os("FLINKS_HOME").filter(|home| !home.is_empty()) {
            let home = PathBuf::from(home);
            return Ok(Self { config: home.clone(), data: home });
        }
        let strategy = etcetera::choose_base_strategy().map_err(|_| {
            Failure::configuration("the home folder is unknown: set HOME, or set FLINKS_HOME for this program only")
        })?;
        Ok(Self { config: strategy.config_dir().join("flinks"), data: strategy.data_dir().join("flinks") })
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    pub(crate) fn secrets_file(&self) -> PathBuf {
        self.config.join("secrets.toml")
    }

    /// Returns the default folder for a profile's consents.
    pub(crate) fn consents(&self, profile: &str) -> PathBuf {
        self.data.join("consents").join(profile)
    }

    /// Resolves a path from the configuration file, relative to that file.
    pub(crate) fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.config.join(path)
    }
}
