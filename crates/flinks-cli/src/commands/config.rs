//! `flinks config`.

use clap::{Args, Subcommand};
use toml::Value;

use crate::context::Context;
use crate::failure::Failure;
use crate::input;
use crate::output;
use crate::profile::{self, ConfigFile, Folders, Login, SecretKind, SecretStore, Section, StoreKind};
use crate::shell::quoted;

/// Show and change profiles
///
/// KEY is a section and a field, such as pay.url, connect.instance, outbound.client_id, store.kind or
/// login.provider_id. Without --profile, the commands apply to the default profile.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the profiles
    List,
    /// Show the values of a profile, and which secrets are set
    Show,
    Set(Set),
    SetSecret(SetSecret),
    Unset(Unset),
    Use(Use),
    Secrets(Secrets),
    Remove(Remove),
    /// Print the path of the configuration file
    Path,
}

/// Set a value
#[derive(Args)]
pub(crate) struct Set {
    /// Section and field, such as pay.url
    key: String,
    value: String,
}

/// Set a secret, which is read from standard input
#[derive(Args)]
pub(crate) struct SetSecret {
    /// Section and field: pay.password, connect.secret_key, outbound.client_secret, store.url,
    /// store.name_key or store.keys
    key: String,
    /// Accepted only so that the command can explain that the value must not be passed as an
    /// argument. The parser's message would repeat the secret.
    #[arg(hide = true)]
    extra: Vec<String>,
}

/// Remove a value or a secret
#[derive(Args)]
pub(crate) struct Unset {
    /// Section and field, such as pay.url
    key: String,
}

/// Make a profile the default profile
#[derive(Args)]
pub(crate) struct Use {
    /// The name of the profile
    name: String,
}

/// Move the secrets of a profile to the keyring or to a file
#[derive(Args)]
pub(crate) struct Secrets {
    #[arg(value_enum)]
    place: SecretKind,
}

/// Remove a profile and its secrets
///
/// The profile's consents stay in their store.
#[derive(Args)]
pub(crate) struct Remove {
    /// The name of the profile
    name: String,
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List => list(),
        Command::Show => show(context),
        Command::Set(arguments) => set(arguments, context),
        Command::SetSecret(arguments) => set_secret(arguments, context),
        Command::Unset(arguments) => unset(arguments, context),
        Command::Use(arguments) => set_default(arguments),
        Command::Secrets(arguments) => move_secrets(arguments.place, context),
        Command::Remove(arguments) => remove(arguments, context),
        Command::Path => output::line(&Folders::find()?.config_file().display().to_string()),
    }
}

/// A section and a field of a profile.
enum Key<'a> {
    Secrets,
    Login(&'a str),
    Setting(Section, &'a str),
}

impl<'a> Key<'a> {
    fn parse(text: &'a str, store: StoreKind) -> Result<Self, Failure> {
        if text == "secrets" {
            return Ok(Self::Secrets);
        }
        let Some((section, field)) = text.split_once('.') else {
            return Err(Failure::usage("invalid key: expected a section and a field, such as pay.url"));
        };
        if section == "login" && Login::FIELDS.contains(&field) {
            return Ok(Self::Login(field));
        }
        let Some(section) = Section::from_name(section) else {
            return Err(Failure::usage("invalid key: the sections are pay, connect, outbound, store and login"));
        };
        let fields = section.fields(store);
        if fields.contains(&field) {
            return Ok(Self::Setting(section, field));
        }
        let failure =
            Failure::usage(format!("invalid key: the fields of {} are {}", section.name(), fields.join(", ")));
        if section == Section::Store {
            return Err(failure.with_next("the fields depend on the kind: for another kind, set store.kind first"));
        }
        Err(failure)
    }
}

fn list() -> Result<(), Failure> {
    let folders = Folders::find()?;
    let file = ConfigFile::read(&folders)?;
    if file.profiles.is_empty() {
        output::note("there are no profiles; `flinks init` creates one");
        return Ok(());
    }
    let rows = file.profiles.iter().map(|(name, table)| {
        let is_default = file.default_profile.as_deref() == Some(name);
        let sections: Vec<&str> =
            Section::ALL.into_iter().filter(|section| !table.section(*section).is_empty()).map(Section::name).collect();
        let secrets = table.secrets.unwrap_or_default().name();
        vec![name.clone(), if is_default { "yes" } else { "" }.to_owned(), sections.join(", "), secrets.to_owned()]
    });
    output::table(&["PROFILE", "DEFAULT", "SECTIONS", "SECRETS"], rows.collect())
}

fn show(context: &Context) -> Result<(), Failure> {
    let profile = context.profile()?;
    output::line(&format!("profile = {}", profile.name()))?;
    output::line(&format!("secrets are in {}", profile.secrets().description()))?;
    for section in Section::ALL {
        let in_use = profile.variables_in_use(section)?;
        let variables = section.variables(profile.store_kind()?);
        for (field, value) in profile.values(section)? {
            let text = if section.is_secret(&field) { "(set)".to_owned() } else { value.to_string() };
            let variable = variables.iter().find(|(name, variable)| *name == field && in_use.contains(variable));
            let origin = variable.map(|(_, variable)| format!("  # from {variable}")).unwrap_or_default();
            output::line(&format!("{}.{field} = {text}{origin}", section.name()))?;
        }
    }
    let login = profile.login();
    for (field, value) in Login::FIELDS.into_iter().zip([&login.provider_id, &login.redirect_url, &login.scope]) {
        if let Some(value) = value {
            output::line(&format!("login.{field} = {value:?}"))?;
        }
    }
    Ok(())
}

fn set(arguments: &Set, context: &Context) -> Result<(), Failure> {
    let name = selected_profile(context)?;
    let Set { key, value } = arguments;
    let store_kind = context.profile()?.store_kind()?;
    match Key::parse(key, store_kind)? {
        Key::Secrets => Err(Failure::usage("use `flinks config secrets keyring` or `flinks config secrets file`")),
        Key::Login(field) => write(&name, "login", field, toml_edit::value(value)),
        Key::Setting(section, field) if !profile::is_plain(section, field, &Value::String(value.clone())) => {
            Err(Failure::usage(format!(
                "{}.{field} is a secret and must not be passed as an argument, because other users can see arguments",
                section.name()
            ))
            .with_next(format!("run `flinks config set-secret {key}`, which reads standard input")))
        }
        Key::Setting(Section::Store, "kind") if StoreKind::from_name(value).is_none() => {
            Err(Failure::usage("invalid value: store.kind must be `file`, `redis` or `postgres`"))
        }
        Key::Setting(section, field) => {
            profile::check_value(section, field, value)?;
            if section.is_secret(field) {
                // A stored secret address would override the new one.
                context.profile()?.secrets().remove(&profile::secret_name(&name, section, field))?;
            }
            // The crates accept numbers only in numeric fields, and only text in all other fields.
            let item = match value.parse::<i64>() {
                Ok(number) if profile::is_numeric(field) => toml_edit::value(number),
                _ => toml_edit::value(value),
            };
            write(&name, section.name(), field, item)
        }
    }
}

fn set_secret(arguments: &SetSecret, context: &Context) -> Result<(), Failure> {
    if !arguments.extra.is_empty() {
        return Err(Failure::usage(
            "a secret must not be passed as an argument, because other users can see arguments",
        )
        .with_next("run the command without it, and enter the secret or pass it on standard input"));
    }
    let name = selected_profile(context)?;
    let profile = context.profile()?;
    let Key::Setting(section, field) = Key::parse(&arguments.key, profile.store_kind()?)? else {
        return Err(not_a_secret(&arguments.key));
    };
    if !section.is_secret(field) {
        return Err(not_a_secret(&arguments.key));
    }
    let secret = input::secret(&arguments.key)?;
    profile.secrets().set(&profile::secret_name(&name, section, field), &secret)?;
    output::note(&format!("stored {} in {}", arguments.key, profile.secrets().description()));
    Ok(())
}

fn not_a_secret(key: &str) -> Failure {
    Failure::usage("the key is not a secret").with_next(format!("run `flinks config set {} VALUE`", quoted(key)))
}

fn unset(arguments: &Unset, context: &Context) -> Result<(), Failure> {
    let name = selected_profile(context)?;
    // A field of the store may have become unknown because the kind of the store was changed.
    let Some((section, field)) = arguments.key.split_once('.') else {
        return Err(Failure::usage("invalid key: expected a section and a field, such as pay.url"));
    };
    let secret = Section::from_name(section).filter(|section| section.is_secret(field));
    if let Some(section) = secret {
        context.profile()?.secrets().remove(&profile::secret_name(&name, section, field))?;
    }
    let mut is_removed = secret.is_some();
    profile::edit(&Folders::find()?, |document| {
        let table = profile::profile_table(document, &name)?;
        if let Some(section) = table.get_mut(section).and_then(|item| item.as_table_like_mut()) {
            is_removed |= section.remove(field).is_some();
        }
        Ok(())
    })?;
    if !is_removed {
        output::note("the profile has no such value");
    }
    Ok(())
}

fn set_default(arguments: &Use) -> Result<(), Failure> {
    let folders = Folders::find()?;
    let file = ConfigFile::read(&folders)?;
    if !file.profiles.contains_key(&arguments.name) {
        return Err(profile::unknown_profile(&arguments.name, &file));
    }
    profile::edit(&folders, |document| {
        document.insert("default_profile", toml_edit::value(&arguments.name));
        Ok(())
    })
}

fn move_secrets(place: SecretKind, context: &Context) -> Result<(), Failure> {
    let name = selected_profile(context)?;
    let profile = context.profile()?;
    let folders = Folders::find()?;
    let new = SecretStore::new(place, &folders);
    let old = profile.secrets();
    let mut moved = 0_u32;
    // A keyring that does not exist contains no secrets.
    let may_have_secrets = *old != SecretStore::Keyring || profile::is_keyring_available();
    if may_have_secrets && *old != new {
        let names = profile::secret_names(&name);
        let read = |name: &String| Ok((name.clone(), old.get(name)?));
        let stored: Vec<_> = names.iter().map(read).collect::<Result<_, Failure>>()?;
        for (name, secret) in &stored {
            if let Some(secret) = secret {
                new.set(name, secret)?;
                moved = moved.saturating_add(1);
            }
        }
        for (name, secret) in &stored {
            if secret.is_some() {
                old.remove(name)?;
            }
        }
    }
    profile::edit(&folders, |document| {
        profile::profile_table(document, &name)?.insert("secrets", toml_edit::value(place.name()));
        Ok(())
    })?;
    output::note(&format!("moved {moved} secrets; the profile now stores secrets in {}", new.description()));
    Ok(())
}

fn remove(arguments: &Remove, context: &Context) -> Result<(), Failure> {
    let profile = context.open_profile(Some(&arguments.name))?;
    for name in profile::secret_names(&arguments.name) {
        profile.secrets().remove(&name)?;
    }
    profile::edit(&Folders::find()?, |document| {
        if let Some(profiles) = document.get_mut("profiles").and_then(|item| item.as_table_like_mut()) {
            profiles.remove(&arguments.name);
        }
        if document.get("default_profile").and_then(|item| item.as_str()) == Some(arguments.name.as_str()) {
            document.remove("default_profile");
        }
        Ok(())
    })?;
    if profile.store_kind()? == StoreKind::File && profile.store_folder()?.exists() {
        output::note(&format!("the consents of the profile are still in `{}`", profile.store_folder()?.display()));
    }
    Ok(())
}

fn write(profile: &str, section: &str, field: &str, value: toml_edit::Item) -> Result<(), Failure> {
    profile::edit(&Folders::find()?, |document| {
        let table = profile::profile_table(document, profile)?;
        let section_table = table.entry(section).or_insert(toml_edit::table());
        let section_table = section_table.as_table_like_mut().ok_or_else(|| profile::not_a_table(section))?;
        section_table.insert(field, value);
        Ok(())
    })
}

/// Returns the name of the profile that the command changes.
fn selected_profile(context: &Context) -> Result<String, Failure> {
    match context.profile()?.selected_name() {
        Some(name) => Ok(name.to_owned()),
        None => Err(Failure::configuration("there is no profile").with_next("run `flinks init`")),
    }
}
