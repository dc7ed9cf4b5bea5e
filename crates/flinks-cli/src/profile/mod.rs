//! Profiles: named configurations in `config.toml`, with their secrets in the keyring or in a file.
//!
//! ```text
//! environment variable  >  secret (keyring or secrets.toml)  >  config.toml
//! ```
//!
//! A value on the left overrides a value on the right. The values of a section become a table with
//! the fields that the crates' builders accept, so the crates check the values.
//!
//! | file | content |
//! | --- | --- |
//! | `file.rs` | reads and edits `config.toml` |
//! | `folders.rs` | the program's folders |
//! | `secrets.rs` | the keyring and `secrets.toml` |
//! | `section.rs` | the sections of a profile and their fields |

mod file;
mod folders;
mod secrets;
mod section;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

pub(crate) use self::file::{ConfigFile, Login, ProfileTable, edit, is_plain, not_a_table, profile_table};
pub(crate) use self::folders::Folders;
pub(crate) use self::secrets::{SecretKind, SecretStore, is_keyring_available};
pub(crate) use self::section::{Section, StoreKind};

use crate::failure::{Exit, Failure};

/// The name that is shown if there is no profile and all values come from environment variables.
const NO_PROFILE: &str = "(environment variables)";

/// The selected profile.
pub(crate) struct Profile {
    /// `None` if there is no profile and all values come from environment variables.
    name: Option<String>,
    table: ProfileTable,
    secrets: SecretStore,
    folders: Folders,
}

impl Profile {
    /// Opens the profile with this name, or the default profile. If there is no profile, all values
    /// come from environment variables.
    ///
    /// # Errors
    ///
    /// Returns a failure if the configuration file is invalid, contains a secret or does not contain
    /// the profile.
    pub(crate) fn open(folders: Folders, name: Option<&str>) -> Result<Self, Failure> {
        let mut file = ConfigFile::read(&folders)?;
        file.check_for_secrets()?;
        let name = name.map(str::to_owned).or(file.default_profile.clone());
        if name.is_none() && !file.profiles.is_empty() {
            let known: Vec<&str> = file.profiles.keys().map(String::as_str).collect();
            return Err(Failure::configuration("no profile is selected")
                .with_next(format!("run `flinks config use NAME`; the profiles are: {}", known.join(", "))));
        }
        let Some(name) = name else {
            let secrets = SecretStore::new(SecretKind::default(), &folders);
            return Ok(Self { name: None, table: ProfileTable::default(), secrets, folders });
        };
        check_name(&name).map_err(|failure| failure.with_exit(Exit::Configuration))?;
        let Some(table) = file.profiles.remove(&name) else {
            return Err(unknown_profile(&name, &file));
        };
        let secrets = SecretStore::new(table.secrets.unwrap_or_default(), &folders);
        Ok(Self { name: Some(name), table, secrets, folders })
    }

    /// Returns the name, for messages.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(NO_PROFILE)
    }

    /// Returns the name, or `None` if all values come from environment variables.
    pub(crate) fn selected_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn login(&self) -> &Login {
        &self.table.login
    }

    /// Returns where the secrets of this profile are stored.
    pub(crate) fn secrets(&self) -> &SecretStore {
        &self.secrets
    }

    /// Returns the kind of the consent store. The default is a file store, unless an environment
    /// variable contains the address of a server.
    ///
    /// # Errors
    ///
    /// Returns a failure if the kind in the configuration file is unknown.
    pub(crate) fn store_kind(&self) -> Result<StoreKind, Failure> {
        match self.table.store.get("kind") {
            None => Ok(StoreKind::from_environment()),
            Some(value) => value.as_str().and_then(StoreKind::from_name).ok_or_else(|| {
                self.invalid("store", "invalid configuration: kind must be `file`, `redis` or `postgres`")
            }),
        }
    }

    /// Returns the values of a section. The table contains secrets.
    ///
    /// # Errors
    ///
    /// Returns a failure if the secrets cannot be read, or if an environment variable is not UTF-8.
    pub(crate) fn values(&self, section: Section) -> Result<Table, Failure> {
        let mut values = self.table.section(section).clone();
        self.resolve_paths(&mut values);
        for (field, variable) in section.variables(self.store_kind()?) {
            if let Some(text) = self.value_of_variable(variable)? {
                values.insert(field.to_owned(), Value::String(text));
            } else if section.is_secret(field)
                && let Some(name) = &self.name
                && let Some(secret) = self.secrets.get(&secret_name(name, section, field))?
            {
                values.insert(field.to_owned(), Value::String(secret.expose_secret().to_owned()));
            }
        }
        Ok(values)
    }

    /// Returns the environment variables that set or override values in a section.
    ///
    /// # Errors
    ///
    /// Returns a failure if the kind of the store is unknown.
    pub(crate) fn variables_in_use(&self, section: Section) -> Result<Vec<&'static str>, Failure> {
        let variables = section.variables(self.store_kind()?).into_iter().map(|(_, variable)| variable);
        Ok(variables.filter(|variable| std::env::var_os(variable).is_some()).collect())
    }

    /// Returns the value of an environment variable, or `None` if it is not set.
    fn value_of_variable(&self, variable: &str) -> Result<Option<String>, Failure> {
        match std::env::var(variable) {
            Ok(text) => Ok(Some(text)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Failure::configuration(format!("invalid configuration: {variable} must be UTF-8")))
            }
        }
    }

    /// Creates a builder from the values of a section.
    ///
    /// # Errors
    ///
    /// Returns a failure that names the invalid or missing field.
    pub(crate) fn builder<B: DeserializeOwned>(&self, section: Section) -> Result<B, Failure> {
        let mut values = self.values(section)?;
        values.remove("kind");
        let built: Result<B, toml::de::Error> = Value::Table(values).try_into();
        // `message` does not quote the document.
        built.map_err(|error| self.invalid(section.name(), error.message().trim_end()))
    }

    /// Resolves the paths to certificates and keys relative to the configuration file.
    fn resolve_paths(&self, values: &mut Table) {
        for field in ["root_certificates", "client_certificate", "client_key"] {
            if let Some(Value::String(path)) = values.get_mut(field) {
                let resolved = self.folders.resolve(&*path);
                *path = resolved.to_string_lossy().into_owned();
            }
        }
    }

    /// Returns the folder of a file store.
    ///
    /// # Errors
    ///
    /// Returns a failure if the section has an unknown field.
    pub(crate) fn store_folder(&self) -> Result<std::path::PathBuf, Failure> {
        for (field, value) in &self.table.store {
            match field.as_str() {
                "kind" => {}
                "path" if value.is_str() => {}
                "path" => return Err(self.invalid("store", "invalid configuration: path must be a string")),
                _ => {
                    let problem = "invalid configuration: a file store has only the fields `kind` and `path`";
                    return Err(self.invalid("store", problem));
                }
            }
        }
        match self.table.store.get("path").and_then(Value::as_str) {
            Some(path) => Ok(self.folders.resolve(path)),
            None => Ok(self.folders.consents(self.name.as_deref().unwrap_or("default"))),
        }
    }

    fn invalid(&self, section: &str, problem: &str) -> Failure {
        let message = match &self.name {
            Some(name) => format!("section `{section}` in the profile `{name}`: {problem}"),
            None => format!("section `{section}`: {problem}"),
        };
        let next = match &self.name {
            Some(_) => "`flinks config set` sets a value, and `flinks config set-secret` sets a secret".to_owned(),
            None => {
                "run `flinks init` to create a profile, or set the environment variables that `flinks env --all` lists"
                    .to_owned()
            }
        };
        Failure::configuration(message).with_next(next)
    }
}

/// Checks a value before it is stored. The crates check the value again when they use it.
///
/// # Errors
///
/// Returns a failure if a number or a URL does not have the expected form. Without this check, a
/// URL with a password could end up in `config.toml`.
pub(crate) fn check_value(section: Section, field: &str, text: &str) -> Result<(), Failure> {
    let name = section.name();
    if is_numeric(field) && !text.parse::<u64>().is_ok_and(|number| number > 0) {
        return Err(Failure::usage(format!("invalid value: {name}.{field} must be a whole number, at least 1")));
    }
    if field == "url" && section != Section::Store {
        let is_valid = |url: url::Url| {
            url.has_host() && url.username().is_empty() && url.password().is_none() && url.query().is_none()
        };
        if !url::Url::parse(text).is_ok_and(is_valid) {
            return Err(Failure::usage(format!(
                "invalid value: {name}.url must be an absolute URL without user info or a query, such as https://host"
            )));
        }
    }
    Ok(())
}

/// Returns whether the value of a field is a whole number.
pub(crate) fn is_numeric(field: &str) -> bool {
    field.ends_with("_seconds") || field.starts_with("max_")
}

/// Returns the names of all secrets that a profile can have.
pub(crate) fn secret_names(profile: &str) -> Vec<String> {
    let of_section = |section: Section| section.secrets().iter().map(move |field| secret_name(profile, section, field));
    Section::ALL.into_iter().flat_map(of_section).collect()
}

/// Returns the name of a secret in the keyring, such as `sandbox/pay.password`.
pub(crate) fn secret_name(profile: &str, section: Section, field: &str) -> String {
    format!("{profile}/{}.{field}", section.name())
}

/// Checks the name of a profile, which becomes part of a path and of the names of secrets.
///
/// # Errors
///
/// Returns a failure if the name is empty, too long, or contains characters other than letters,
/// digits, `-` and `_`.
pub(crate) fn check_name(name: &str) -> Result<&str, Failure> {
    let is_valid = |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_valid) {
        return Err(Failure::usage(
            "invalid profile name: must consist of 1 to 64 letters, digits, hyphens and underscores",
        ));
    }
    Ok(name)
}

pub(crate) fn unknown_profile(name: &str, file: &ConfigFile) -> Failure {
    let known: Vec<&str> = file.profiles.keys().map(String::as_str).collect();
    let failure = Failure::configuration(format!("no profile named `{}`", name.escape_debug()));
    if known.is_empty() {
        return failure.with_next(format!("run `flinks init --profile {}`", crate::shell::quoted(name)));
    }
    failure.with_next(format!("the profiles are: {}", known.join(", ")))
}
