//! `flinks init`.

use std::io::{IsTerminal as _, Read as _};

use clap::Args;
use dialoguer::{Input, MultiSelect, Password, Select};
use flinks_consents::flinks::{Secret, pay};
use toml::{Table, Value};
use toml_edit::Item;

use super::login::DEFAULT_REDIRECT_URL;
use crate::context::Context;
use crate::failure::{Failure, quoted};
use crate::output;
use crate::profile::{self, ConfigFile, Folders, ProfileTable, SecretKind, SecretStore, Section};

/// Create a profile, or add values to an existing one
///
/// On a terminal, the command asks for the values. Otherwise, it reads the sections of the profile as
/// TOML from standard input, for example `[pay]` with `url`, `username` and `password`. Secrets are
/// stored in the keyring, or in a file if the machine has no keyring.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Create a profile for a local emulator instead: `flinks emulator --listen 127.0.0.1:8080`
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "http://127.0.0.1:8080")]
    emulator: Option<String>,
    /// Where to store secrets; default: in the keyring if there is one
    #[arg(long, value_enum, value_name = "PLACE")]
    secrets: Option<SecretKind>,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let folders = Folders::find()?;
    let file = ConfigFile::read(&folders)?;
    let is_interactive = arguments.emulator.is_none() && std::io::stdin().is_terminal();
    let (name, sections) = match &arguments.emulator {
        Some(url) => (profile_name(context, "emulator")?, emulator_sections(url)),
        None if is_interactive => ask(context)?,
        None => (profile_name(context, "sandbox")?, read_sections()?),
    };
    let existing = file.profiles.get(&name);
    let kind = secret_kind(arguments, existing);
    let store = SecretStore::new(kind, &folders);
    let (settings, secrets) = separate(sections)?;
    for ((section, field), secret) in &secrets {
        store.set(&profile::secret_name(&name, *section, field), secret)?;
    }
    profile::edit(&folders, |document| {
        if file.default_profile.is_none() {
            document.insert("default_profile", toml_edit::value(&name));
        }
        let table = profile::profile_table(document, &name)?;
        table.insert("secrets", toml_edit::value(kind.name()));
        for (section, fields) in settings {
            let section_table = table.entry(&section).or_insert(toml_edit::table());
            let section_table = section_table.as_table_like_mut().ok_or_else(|| profile::not_a_table(&section))?;
            for (field, value) in fields {
                section_table.insert(&field, item(value)?);
            }
        }
        Ok(())
    })?;
    if !secrets.is_empty() {
        output::note(&format!("the secrets are in {}", store.description()));
    }
    output::note(&format!("wrote the profile `{name}` to `{}`", folders.config_file().display()));
    let selection = if file.default_profile.as_deref().is_some_and(|default| default != name) {
        format!(" --profile {}", quoted(&name))
    } else {
        String::new()
    };
    output::note(&format!("run `flinks doctor{selection}` to check it"));
    Ok(())
}

/// Sections of a profile, each with its fields. They may contain secrets.
type Sections = Table;

fn profile_name(context: &Context, default: &str) -> Result<String, Failure> {
    check_name(context.options.profile.as_deref().unwrap_or(default)).map(str::to_owned)
}

/// A name becomes part of a folder and of the names of secrets.
fn check_name(name: &str) -> Result<&str, Failure> {
    let is_valid = |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_valid) {
        return Err(Failure::usage(
            "invalid profile name: must contain only letters, digits, hyphens and underscores, at most 64",
        ));
    }
    Ok(name)
}

fn secret_kind(arguments: &Arguments, existing: Option<&ProfileTable>) -> SecretKind {
    if let Some(kind) = arguments.secrets.or(existing.and_then(|table| table.secrets)) {
        return kind;
    }
    if profile::is_keyring_available() {
        return SecretKind::Keyring;
    }
    output::warning("this machine has no keyring, so the secrets are stored in a file");
    SecretKind::File
}

/// The credentials of the emulator, which are public.
fn emulator_sections(url: &str) -> Sections {
    let url = url.trim_end_matches('/');
    let config = flinks_emulator::Config::default();
    let text = |text: &str| Value::String(text.to_owned());
    let table = |fields: &[(&str, &str)]| {
        Value::Table(fields.iter().map(|(field, value)| ((*field).to_owned(), text(value))).collect())
    };
    let mut sections = Table::new();
    sections.insert(
        "pay".to_owned(),
        table(&[("url", url), ("username", &config.pay.username), ("password", &config.pay.password)]),
    );
    sections.insert(
        "connect".to_owned(),
        table(&[
            ("url", url),
            ("customer_id", &config.connect.customer_id),
            ("secret_key", &config.connect.secret_key),
        ]),
    );
    sections.insert(
        "outbound".to_owned(),
        table(&[
            ("url", url),
            ("client_id", &config.outbound.client_id),
            ("client_secret", &config.outbound.client_secret),
        ]),
    );
    sections.insert("login".to_owned(), table(&[("provider_id", "1000"), ("redirect_url", DEFAULT_REDIRECT_URL)]));
    sections
}

/// The maximum size of the sections on standard input, in bytes.
const MAX_INPUT: u64 = 64 * 1024;

fn read_sections() -> Result<Sections, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("failed to read standard input: {}", error.kind())))?;
    let sections: Table = toml::from_str(&text)
        // The message of `toml` may quote a line, and thus a secret.
        .map_err(|_| Failure::usage("standard input must be TOML with sections such as `[pay]`"))?;
    if sections.is_empty() {
        return Err(Failure::usage("standard input is empty: expected TOML with sections such as `[pay]`"));
    }
    Ok(sections)
}

type SecretValues = Vec<((Section, String), Secret)>;

/// Separates the secrets from the other values.
fn separate(sections: Sections) -> Result<(Vec<(String, Table)>, SecretValues), Failure> {
    let mut settings = Vec::new();
    let mut secrets = Vec::new();
    for (name, value) in sections {
        let Value::Table(fields) = value else {
            return Err(Failure::usage("standard input must contain only sections such as `[pay]`"));
        };
        let section = Section::from_name(&name);
        if section.is_none() && name != "login" {
            return Err(Failure::usage("unknown section: the sections are pay, connect, outbound, store and login"));
        }
        let mut plain = Table::new();
        for (field, value) in fields {
            match section {
                Some(section) if !profile::is_plain(section, &field, &value) => {
                    let Value::String(text) = value else {
                        return Err(Failure::usage(format!("{name}.{field} must be a string")));
                    };
                    secrets.push(((section, field), Secret::new(text)));
                }
                _ => drop(plain.insert(field, value)),
            }
        }
        settings.push((name, plain));
    }
    Ok((settings, secrets))
}

fn item(value: Value) -> Result<Item, Failure> {
    match value {
        Value::String(text) => Ok(toml_edit::value(text)),
        Value::Integer(number) => Ok(toml_edit::value(number)),
        Value::Boolean(boolean) => Ok(toml_edit::value(boolean)),
        _ => Err(Failure::usage("the values of a section must be strings or whole numbers")),
    }
}

/// Asks for the name of the profile and the values of the products.
fn ask(context: &Context) -> Result<(String, Sections), Failure> {
    let failed = |error: dialoguer::Error| Failure::new(format!("failed to read from the terminal: {error}"));
    let name = match &context.options.profile {
        Some(name) => name.clone(),
        None => {
            let kinds = ["sandbox", "production"];
            let chosen = Select::new().with_prompt("Profile").items(kinds).default(0).interact().map_err(failed)?;
            kinds.get(chosen).copied().unwrap_or("sandbox").to_owned()
        }
    };
    check_name(&name)?;
    let products = ["Pay", "Connect", "Outbound"];
    let chosen = MultiSelect::new()
        .with_prompt("Products (space selects, enter confirms)")
        .items(products)
        .interact()
        .map_err(failed)?;
    let text = |prompt: &str, default: Option<&str>| -> Result<Value, Failure> {
        let mut input = Input::<String>::new().with_prompt(prompt);
        if let Some(default) = default {
            input = input.default(default.to_owned());
        }
        Ok(Value::String(input.interact_text().map_err(failed)?.trim().to_owned()))
    };
    let secret = |prompt: &str| -> Result<Value, Failure> {
        Ok(Value::String(Password::new().with_prompt(prompt).interact().map_err(failed)?))
    };
    let is_production = name == "production";
    let mut sections = Table::new();
    if chosen.contains(&0) {
        let url = if is_production { pay::PRODUCTION } else { pay::SANDBOX };
        let mut pay = Table::new();
        pay.insert("url".to_owned(), text("Pay: base URL", Some(url))?);
        pay.insert("username".to_owned(), text("Pay: user name", None)?);
        pay.insert("password".to_owned(), secret("Pay: password")?);
        sections.insert("pay".to_owned(), Value::Table(pay));
    }
    if chosen.contains(&1) {
        let mut connect = Table::new();
        let instance = if is_production { None } else { Some("toolbox") };
        connect.insert("instance".to_owned(), text("Connect: instance, such as toolbox", instance)?);
        connect.insert("customer_id".to_owned(), text("Connect: customer id", None)?);
        connect.insert("secret_key".to_owned(), secret("Connect: secret key")?);
        sections.insert("connect".to_owned(), Value::Table(connect));
    }
    if chosen.contains(&2) {
        let mut outbound = Table::new();
        outbound.insert("url".to_owned(), text("Outbound: base URL", None)?);
        outbound.insert("client_id".to_owned(), text("Outbound: client id", None)?);
        outbound.insert("client_secret".to_owned(), secret("Outbound: client secret")?);
        sections.insert("outbound".to_owned(), Value::Table(outbound));
        let mut login = Table::new();
        login.insert("provider_id".to_owned(), text("Outbound: id of the bank for `flinks login`", Some("1000"))?);
        login.insert(
            "redirect_url".to_owned(),
            text("Outbound: redirect URL on this machine, registered with Flinks", Some(DEFAULT_REDIRECT_URL))?,
        );
        sections.insert("login".to_owned(), Value::Table(login));
    }
    if sections.is_empty() {
        return Err(Failure::usage("no product was selected"));
    }
    Ok((name, sections))
}
