//! `flinks init`.

use std::io::IsTerminal as _;

use clap::Args;
use dialoguer::{Input, MultiSelect, Password, Select};
use flinks_consents::flinks::{Secret, pay};
use toml::{Table, Value};
use toml_edit::Item;

use super::login::DEFAULT_REDIRECT_URL;
use crate::context::Context;
use crate::failure::Failure;
use crate::input;
use crate::output;
use crate::profile::{self, ConfigFile, Folders, Login, ProfileTable, SecretKind, SecretStore, Section, StoreKind};
use crate::shell::quoted;

/// Create a profile, or add values to an existing one
///
/// On a terminal, the command prompts for the values. Otherwise, it reads the sections of the profile
/// as TOML from standard input, for example `[pay]` with `url`, `username` and `password`. Secrets are
/// stored in the keyring, or in a file if the machine has no keyring.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Create a profile for a local emulator, such as one started with
    /// `flinks emulator --listen 127.0.0.1:8080`
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "http://127.0.0.1:8080")]
    emulator: Option<String>,
    /// Where to store secrets; default: the keyring if there is one, and otherwise a file
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
    let kind = secret_kind(arguments, existing, &name)?;
    let store = SecretStore::new(kind, &folders);
    let (settings, secrets) = separate(sections)?;
    profile::edit(&folders, |document| {
        if file.default_profile.is_none() {
            document.insert("default_profile", toml_edit::value(&name));
        }
        let table = profile::profile_table(document, &name)?;
        table.insert("secrets", toml_edit::value(kind.name()));
        for (section, fields) in settings {
            let section_table = table.entry(section).or_insert(toml_edit::table());
            let section_table = section_table.as_table_like_mut().ok_or_else(|| profile::not_a_table(section))?;
            for (field, value) in fields {
                section_table.insert(&field, value);
            }
        }
        Ok(())
    })?;
    for ((section, field), secret) in &secrets {
        store.set(&profile::secret_name(&name, *section, field), secret)?;
    }
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

/// Sections of a profile, each with its fields. The fields may contain secrets.
type Sections = Table;

fn profile_name(context: &Context, default: &str) -> Result<String, Failure> {
    profile::check_name(context.options.profile().unwrap_or(default)).map(str::to_owned)
}

fn secret_kind(arguments: &Arguments, existing: Option<&ProfileTable>, name: &str) -> Result<SecretKind, Failure> {
    if let Some(existing) = existing {
        let kind = existing.secrets.unwrap_or_default();
        return match arguments.secrets {
            Some(other) if other != kind => {
                Err(Failure::usage("the profile already stores its secrets in a different place").with_next(format!(
                    "run `flinks config secrets {} --profile {}` first",
                    other.name(),
                    quoted(name)
                )))
            }
            _ => Ok(kind),
        };
    }
    if let Some(kind) = arguments.secrets {
        return Ok(kind);
    }
    if profile::is_keyring_available() {
        return Ok(SecretKind::Keyring);
    }
    output::warning("this machine has no keyring, so the secrets are stored in a file");
    Ok(SecretKind::File)
}

/// Returns the sections for the emulator, whose credentials are public.
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

fn read_sections() -> Result<Sections, Failure> {
    let text = input::text("the profile")?;
    let sections: Table = toml::from_str(&text)
        // The message from `toml` may quote a line, and thus a secret.
        .map_err(|_| Failure::usage("standard input must be TOML with sections such as `[pay]`"))?;
    if sections.is_empty() {
        return Err(Failure::usage("standard input is empty: expected TOML with sections such as `[pay]`"));
    }
    Ok(sections)
}

type Settings = Vec<(&'static str, Vec<(String, Item)>)>;
type SecretValues = Vec<((Section, String), Secret)>;

/// Checks the sections, and separates the secrets from the other values. An unknown field is refused,
/// because it may be a misspelled secret.
fn separate(sections: Sections) -> Result<(Settings, SecretValues), Failure> {
    let kind = sections.get("store").and_then(|store| store.get("kind")).and_then(Value::as_str);
    let kind = kind.and_then(StoreKind::from_name).unwrap_or(StoreKind::File);
    let mut settings = Vec::new();
    let mut secrets = Vec::new();
    for (name, value) in sections {
        let Value::Table(fields) = value else {
            return Err(Failure::usage("standard input must contain only sections such as `[pay]`"));
        };
        let section = Section::from_name(&name);
        let (name, known) = match section {
            Some(section) => (section.name(), section.fields(kind)),
            None if name == "login" => ("login", Login::FIELDS.to_vec()),
            None => {
                return Err(Failure::usage(
                    "unknown section: the sections are pay, connect, outbound, store and login",
                ));
            }
        };
        let mut plain = Vec::new();
        for (field, value) in fields {
            if !known.contains(&field.as_str()) {
                return Err(Failure::usage(format!("unknown field in `{name}`: expected one of {}", known.join(", "))));
            }
            match section {
                Some(section) if !profile::is_plain(section, &field, &value) => {
                    let Value::String(text) = value else {
                        return Err(Failure::usage(format!("{name}.{field} must be a string")));
                    };
                    secrets.push(((section, field), Secret::new(text)));
                }
                _ => {
                    if let (Some(section), Value::String(text)) = (section, &value) {
                        profile::check_value(section, &field, text)?;
                    }
                    plain.push((field, item(value)?));
                }
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
        _ => Err(Failure::usage("the values of a section must be strings or whole numbers")),
    }
}

/// Prompts for the name of the profile and for the values of each product.
fn ask(context: &Context) -> Result<(String, Sections), Failure> {
    let failed = |error: dialoguer::Error| input::prompt_failure(&error);
    let name = match context.options.profile() {
        Some(name) => name.to_owned(),
        None => {
            let kinds = ["sandbox", "production"];
            let chosen = Select::new().with_prompt("Profile").items(kinds).default(0).interact().map_err(failed)?;
            kinds.get(chosen).copied().unwrap_or("sandbox").to_owned()
        }
    };
    profile::check_name(&name)?;
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
        Ok(Value::String(Password::new().with_prompt(prompt).allow_empty_password(true).interact().map_err(failed)?))
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
        login.insert("provider_id".to_owned(), text("Outbound: bank id for `flinks login`", Some("1000"))?);
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
