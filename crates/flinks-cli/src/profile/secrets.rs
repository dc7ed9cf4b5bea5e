//! The keyring of the operating system, and a file as a fallback.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flinks_consents::flinks::Secret;
use serde::Deserialize;

use super::file;
use super::folders::Folders;
use crate::failure::Failure;

/// Where the secrets of a profile are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SecretKind {
    /// In the operating system's keyring.
    #[default]
    Keyring,
    /// In the `secrets.toml` file, which only its owner can read.
    File,
}

impl SecretKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::File => "file",
        }
    }
}

/// A place for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretStore {
    Keyring,
    File(PathBuf),
}

impl SecretStore {
    pub(crate) fn new(kind: SecretKind, folders: &Folders) -> Self {
        match kind {
            SecretKind::Keyring => Self::Keyring,
            SecretKind::File => Self::File(folders.secrets_file()),
        }
    }

    /// Describes the place, for messages.
    pub(crate) fn description(&self) -> String {
        match self {
            Self::Keyring => "the keyring".to_owned(),
            Self::File(path) => format!("the file `{}`", path.display()),
        }
    }

    /// Returns a secret, or `None` if the secret is not stored.
    ///
    /// # Errors
    ///
    /// Returns a failure if the keyring is not available, if the file cannot be read, or if other
    /// users can read it.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Secret>, Failure> {
        match self {
            Self::Keyring => keyring::get(name),
            Self::File(path) => Ok(read_file(path)?.remove(name).map(Secret::new)),
        }
    }

    /// Stores a secret.
    ///
    /// # Errors
    ///
    /// Returns a failure if the keyring is not available, or if the file cannot be written.
    pub(crate) fn set(&self, name: &str, secret: &Secret) -> Result<(), Failure> {
        match self {
            Self::Keyring => keyring::set(name, secret),
            Self::File(path) => change_file(path, |secrets| {
                secrets.insert(name.to_owned(), secret.expose_secret().to_owned());
            }),
        }
    }

    /// Removes a secret. Does nothing if the secret is not stored.
    ///
    /// # Errors
    ///
    /// Returns a failure if the keyring is not available, or if the file cannot be written.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Failure> {
        match self {
            Self::Keyring => keyring::remove(name),
            Self::File(path) if path.exists() => change_file(path, |secrets| drop(secrets.remove(name))),
            Self::File(_) => Ok(()),
        }
    }
}

/// Returns whether the keyring can be used.
pub(crate) fn is_keyring_available() -> bool {
    keyring::is_available()
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let Some(text) = file::read(path)? else { return Ok(BTreeMap::new()) };
    check_only_owner_can_read(path)?;
    // The message from `toml` may quote the line, and thus the secret.
    toml::from_str(&text).map_err(|_| {
        Failure::configuration(format!("`{}` must contain only lines such as \"name\" = \"secret\"", path.display()))
    })
}

fn change_file(path: &Path, change: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<(), Failure> {
    let _lock = file::lock(path)?;
    let mut secrets = read_file(path)?;
    change(&mut secrets);
    let text = toml::to_string(&secrets).map_err(|_| Failure::new("failed to write the secrets as TOML"))?;
    file::write_private(path, &text)
}

#[cfg(unix)]
fn check_only_owner_can_read(path: &Path) -> Result<(), Failure> {
    if file::mode(path)? & 0o077 == 0 {
        return Ok(());
    }
    let quoted = crate::shell::quoted(&path.to_string_lossy());
    Err(Failure::configuration(format!("other users can read the secrets in `{}`", path.display()))
        .with_next(format!("run `chmod 600 {quoted}`, and replace the secrets if other people use this machine")))
}

#[cfg(not(unix))]
fn check_only_owner_can_read(_: &Path) -> Result<(), Failure> {
    Ok(())
}

#[cfg(feature = "keyring")]
mod keyring {
    use flinks_consents::flinks::Secret;
    use keyring_core::{Entry, Error};

    use crate::failure::Failure;

    const SERVICE: &str = "flinks";

    pub(super) fn is_available() -> bool {
        open("availability")
            .is_ok_and(|entry| !matches!(entry.get_password(), Err(error) if is_missing_keyring(&error)))
    }

    pub(super) fn get(name: &str) -> Result<Option<Secret>, Failure> {
        match open(name).and_then(|entry| entry.get_password()) {
            Ok(secret) => Ok(Some(Secret::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    pub(super) fn set(name: &str, secret: &Secret) -> Result<(), Failure> {
        open(name).and_then(|entry| entry.set_password(secret.expose_secret())).map_err(|error| failure(&error))
    }

    pub(super) fn remove(name: &str) -> Result<(), Failure> {
        match open(name).and_then(|entry| entry.delete_credential()) {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    fn open(name: &str) -> Result<Entry, Error> {
        // Selects the keyring of the operating system, unless a test has selected the mock keyring.
        if keyring_core::get_default_store().is_none() && ::keyring::Entry::store_status().is_err() {
            return Err(Error::NoDefaultStore);
        }
        Entry::new(SERVICE, name)
    }

    fn is_missing_keyring(error: &Error) -> bool {
        !matches!(error, Error::NoEntry | Error::BadEncoding(_) | Error::Ambiguous(_))
    }

    /// Describes the error without the keyring's own message, which may contain a value.
    fn failure(error: &Error) -> Failure {
        let problem = match error {
            Error::NoDefaultStore => "this machine has no keyring",
            Error::NoStorageAccess(_) => "the keyring is locked or cannot be reached",
            Error::BadEncoding(_) => "the stored value is not text",
            Error::Ambiguous(_) => "the keyring contains several entries with this name",
            _ => "the keyring returned an error",
        };
        Failure::configuration(format!("failed to use the keyring: {problem}"))
            .with_next("run `flinks config secrets file` to store the secrets of this profile in a file instead")
    }
}

#[cfg(not(feature = "keyring"))]
mod keyring {
    use flinks_consents::flinks::Secret;

    use crate::failure::Failure;

    pub(super) fn is_available() -> bool {
        false
    }

    pub(super) fn get(_: &str) -> Result<Option<Secret>, Failure> {
        Err(failure())
    }

    pub(super) fn set(_: &str, _: &Secret) -> Result<(), Failure> {
        Err(failure())
    }

    pub(super) fn remove(_: &str) -> Result<(), Failure> {
        Err(failure())
    }

    fn failure() -> Failure {
        Failure::configuration("this build of `flinks` does not support the keyring")
            .with_next("run `flinks config secrets file` to store the secrets of this profile in a file instead")
    }
}
