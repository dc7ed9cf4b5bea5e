//! Reads and edits `config.toml`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};
use toml_edit::{DocumentMut, Item};

use super::folders::Folders;
use super::secrets::SecretKind;
use super::section::Section;
use crate::failure::Failure;

/// The content of `config.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// The profile that is used if no other profile is selected.
    pub(crate) default_profile: Option<String>,
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, ProfileTable>,
}

/// A profile in `config.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileTable {
    pub(crate) secrets: Option<SecretKind>,
    #[serde(default)]
    pub(crate) pay: Table,
    #[serde(default)]
    pub(crate) connect: Table,
    #[serde(default)]
    pub(crate) outbound: Table,
    #[serde(default)]
    pub(crate) store: Table,
    #[serde(default)]
    pub(crate) login: Login,
}

/// The `login` section of a profile: where end users consent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// The id of the bank.
    pub(crate) provider_id: Option<String>,
    /// The address on this machine to which the browser returns. It must be registered with Flinks.
    pub(crate) redirect_url: Option<String>,
    /// Scopes, separated by spaces.
    pub(crate) scope: Option<String>,
}

impl Login {
    pub(crate) const FIELDS: [&'static str; 3] = ["provider_id", "redirect_url", "scope"];
}

impl ConfigFile {
    /// Reads the file. If it does not exist, there are no profiles.
    ///
    /// # Errors
    ///
    /// Returns a failure if the file cannot be read, is invalid, or can be changed by other users,
    /// who could then redirect credentials to another server.
    pub(crate) fn read(folders: &Folders) -> Result<Self, Failure> {
        let path = folders.config_file();
        let Some(text) = read(&path)? else { return Ok(Self::default()) };
        check_only_owner_can_write(&path)?;
        toml::from_str(&text)
            .map_err(|error| invalid(&path, error.span().map(|span| span.start), &text, error.message()))
    }

    /// Rejects the file if it contains a secret for any profile, because the file may be copied or
    /// committed.
    pub(crate) fn check_for_secrets(&self) -> Result<(), Failure> {
        for (name, profile) in &self.profiles {
            profile.check_for_secrets(name)?;
        }
        Ok(())
    }
}

impl ProfileTable {
    pub(crate) fn section(&self, section: Section) -> &Table {
        match section {
            Section::Pay => &self.pay,
            Section::Connect => &self.connect,
            Section::Outbound => &self.outbound,
            Section::Store => &self.store,
        }
    }

    fn check_for_secrets(&self, profile: &str) -> Result<(), Failure> {
        for section in Section::ALL {
            for (field, value) in self.section(section) {
                if is_plain(section, field, value) {
                    continue;
                }
                let key = format!("{}.{field}", section.name());
                return Err(Failure::configuration(format!(
                    "config.toml contains the secret {key} for the profile `{profile}`"
                ))
                .with_next(format!(
                    "remove the line, and then run `flinks config set-secret {key} --profile {}`",
                    crate::shell::quoted(profile)
                )));
            }
        }
        Ok(())
    }
}

/// Returns whether a value may be stored in `config.toml`. A store's address may be stored there if
/// the address contains no password.
pub(crate) fn is_plain(section: Section, field: &str, value: &Value) -> bool {
    if !section.is_secret(field) {
        return true;
    }
    if (section, field) != (Section::Store, "url") {
        return false;
    }
    // An address that cannot be parsed may contain a password in an unexpected place.
    let url = value.as_str().and_then(|text| url::Url::parse(text).ok());
    url.is_some_and(|url| url.password().is_none() && !url.query_pairs().any(|(name, _)| name.contains("password")))
}

/// Edits `config.toml` and keeps its comments.
///
/// # Errors
///
/// Returns a failure if the file is invalid or cannot be written.
pub(crate) fn edit(
    folders: &Folders,
    change: impl FnOnce(&mut DocumentMut) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let path = folders.config_file();
    let _lock = lock(&path)?;
    let text = read(&path)?.unwrap_or_default();
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        invalid(&path, error.span().map(|span| span.start), &text, error.message())
    })?;
    change(&mut document)?;
    let text = document.to_string();
    // Check the new text first, because every command would fail if the file were invalid.
    let checked: Result<ConfigFile, _> = toml::from_str(&text);
    checked.map_err(|error| Failure::usage(format!("invalid value: {}", error.message().trim_end())))?;
    write_private(&path, &text)
}

/// Returns a profile's table, and creates it if it is missing.
///
/// # Errors
///
/// Returns a failure if `profiles` or the profile is not a table in the file.
pub(crate) fn profile_table<'a>(
    document: &'a mut DocumentMut,
    profile: &str,
) -> Result<&'a mut dyn toml_edit::TableLike, Failure> {
    let mut profiles = toml_edit::Table::new();
    profiles.set_implicit(true);
    let profiles = document.entry("profiles").or_insert(Item::Table(profiles));
    let profiles = profiles.as_table_like_mut().ok_or_else(|| not_a_table("profiles"))?;
    let table = profiles.entry(profile).or_insert(toml_edit::table());
    table.as_table_like_mut().ok_or_else(|| not_a_table(profile))
}

pub(crate) fn not_a_table(name: &str) -> Failure {
    Failure::configuration(format!("config.toml: `{}` must be a table", name.escape_debug()))
}

/// Reads a file, or returns `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::configuration(format!("failed to read `{}`: {error}", path.display()))),
    }
}

/// Replaces a file atomically. Only the owner of the new file can read it.
///
/// # Errors
///
/// Returns a failure that names the path if the file cannot be written.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        create_private_folder(folder)?;
        // A temporary file has mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        // If the path is a symbolic link, it remains one.
        let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        file.persist(target).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| Failure::configuration(format!("failed to write `{}`: {error}", path.display())))
}

/// Waits until no other process is changing the file, and then locks the file. The lock is released
/// when the returned lock file is dropped.
///
/// # Errors
///
/// Returns a failure if the lock file cannot be created.
pub(crate) fn lock(path: &Path) -> Result<File, Failure> {
    let lock = || -> std::io::Result<File> {
        let folder = path.parent().unwrap_or(Path::new("."));
        create_private_folder(folder)?;
        let file = File::options().create(true).truncate(false).write(true).open(folder.join(".lock"))?;
        file.lock()?;
        Ok(file)
    };
    lock().map_err(|error| Failure::configuration(format!("failed to lock `{}`: {error}", path.display())))
}

fn create_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn invalid(path: &Path, offset: Option<usize>, text: &str, problem: &str) -> Failure {
    let line = offset.and_then(|offset| text.get(..offset)).map(|before| before.lines().count().max(1));
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    Failure::configuration(format!("{}{line}: {}", path.display(), problem.trim_end()))
}

/// Checks the file and also its folder, because a user who can write to the folder could replace
/// the file.
#[cfg(unix)]
fn check_only_owner_can_write(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt as _;
    for path in [Some(path), path.parent()].into_iter().flatten() {
        let owner = metadata(path)?.uid();
        let is_trusted = owner == 0 || owner == rustix::process::geteuid().as_raw();
        if !is_trusted || mode(path)? & 0o022 != 0 {
            let quoted = crate::shell::quoted(&path.to_string_lossy());
            return Err(Failure::configuration(format!("other users can change `{}`", path.display()))
                .with_next(format!("make sure that you own the file, and run `chmod go-w {quoted}`")));
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_only_owner_can_write(_: &Path) -> Result<(), Failure> {
    Ok(())
}

/// Returns the permission bits of a file.
#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> Result<u32, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(metadata(path)?.permissions().mode() & 0o777)
}

#[cfg(unix)]
fn metadata(path: &Path) -> Result<std::fs::Metadata, Failure> {
    // The parent of a bare file name is the current folder.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let failed = |error| Failure::configuration(format!("failed to read `{}`: {error}", path.display()));
    std::fs::metadata(path).map_err(failed)
}
