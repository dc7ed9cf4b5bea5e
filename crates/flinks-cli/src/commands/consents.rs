//! `flinks consents`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::migrate::Migration;
use flinks_consents::store::Page;
use flinks_consents::{ConsentId, ConsentStanding, ConsentStatus, Consents, EndReason, OwnerId, Revoked};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::context::{ConsentStore, Context, open_store};
use crate::failure::{Exit, Failure};
use crate::input;
use crate::output;
use crate::timestamp;

/// Manage the consents in the profile's store
#[derive(Subcommand)]
pub(crate) enum Command {
    List(List),
    Show(Show),
    Import(Import),
    Refresh(Refresh),
    Revoke(Revoke),
    Forget(Forget),
    Due(Due),
    Migrate(Migrate),
}

/// List consents
#[derive(Args)]
pub(crate) struct List {
    /// List only the consents of this owner
    #[arg(long, value_name = "ID")]
    owner: Option<OwnerId>,
    /// The maximum number of consents
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show a consent
#[derive(Args)]
pub(crate) struct Show {
    /// The id of the consent
    id: ConsentId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Store a consent with a refresh token from standard input
#[derive(Args)]
pub(crate) struct Import {
    /// The id under which the consent is stored; an existing consent with this id is replaced
    id: ConsentId,
    /// When the refresh token was last used, such as 2026-11-01T12:00:00Z; default: now
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339_weak)]
    last_used: Option<SystemTime>,
    /// The owner of the consent, such as the id of a user
    #[arg(long, value_name = "ID")]
    owner: Option<OwnerId>,
    /// A label for the consent, such as the name of the bank
    #[arg(long)]
    label: Option<String>,
}

/// Refresh the access token of a consent now
#[derive(Args)]
pub(crate) struct Refresh {
    /// The id of the consent
    id: ConsentId,
}

/// Revoke a consent at Flinks and remove it from the store
#[derive(Args)]
pub(crate) struct Revoke {
    /// The id of the consent
    id: ConsentId,
}

/// Remove a consent from the store without revoking it at Flinks
#[derive(Args)]
pub(crate) struct Forget {
    /// The id of the consent
    id: ConsentId,
}

/// List the consents that will soon expire from inactivity
#[derive(Args)]
pub(crate) struct Due {
    /// List consents that will expire within this time
    #[arg(long, value_name = "DURATION", default_value = "7days", value_parser = timestamp::parse_duration)]
    within: Duration,
    /// The maximum number of consents
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Move all consents to the store of another profile
///
/// If applications use the stores at the same time, they must use a `MigratingStore`: see the
/// documentation of `flinks_consents::migrate`.
#[derive(Args)]
pub(crate) struct Migrate {
    /// The profile whose store receives the consents
    #[arg(long, value_name = "PROFILE")]
    to: String,
    /// The maximum number of consents per second; default: no limit
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list(arguments, context).await,
        Command::Show(arguments) => show(arguments, context).await,
        Command::Import(arguments) => import(arguments, context).await,
        Command::Refresh(arguments) => refresh(arguments, context).await,
        Command::Revoke(arguments) => revoke(arguments, context).await,
        Command::Forget(arguments) => forget(arguments, context).await,
        Command::Due(arguments) => due(arguments, context).await,
        Command::Migrate(arguments) => migrate(arguments, context).await,
    }
}

async fn list(arguments: &List, context: &Context) -> Result<(), Failure> {
    let (consents, store) = context.consents().await?;
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    // Request one item beyond the limit to find out whether there are more.
    let (mut statuses, unreadable) = match &arguments.owner {
        Some(owner) => (consents.list(owner, &Page::first(limit.saturating_add(1))).await?, 0),
        None => scan(&consents, store.as_ref(), limit.saturating_add(1)).await?,
    };
    cut_to(limit, &mut statuses);
    print_statuses(&statuses, arguments.json)?;
    if unreadable == 0 {
        return Ok(());
    }
    Err(Failure::new(format!("unreadable records: {unreadable}"))
        .with_next(format!("run {}", crate::shell::command("doctor store"))))
}

/// Removes the items beyond the limit, and prints a note if there were any.
fn cut_to<T>(limit: usize, items: &mut Vec<T>) {
    if items.len() > limit {
        items.truncate(limit);
        output::note(&format!("there are more than {limit} consents; use --limit to set another maximum"));
    }
}

/// Returns the statuses of up to `limit` consents, and the number of unreadable records.
async fn scan(
    consents: &Consents,
    store: &dyn ConsentStore,
    limit: usize,
) -> Result<(Vec<ConsentStatus>, u64), Failure> {
    let mut statuses = Vec::new();
    let mut unreadable: u64 = 0;
    let mut cursor: Option<String> = None;
    loop {
        let page = store.scan(cursor.as_deref(), limit.min(100)).await?;
        unreadable = unreadable.saturating_add(page.unreadable);
        for record in &page.records {
            if statuses.len() == limit {
                return Ok((statuses, unreadable));
            }
            match consents.consent(record.id()).status().await {
                Ok(status) => statuses.push(status),
                // The consent was removed after the page was read.
                Err(error) if error.is_unknown_consent() => {}
                Err(error) => return Err(Failure::of_consent(record.id(), &error)),
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok((statuses, unreadable));
        }
    }
}

async fn show(arguments: &Show, context: &Context) -> Result<(), Failure> {
    let (consents, _) = context.consents().await?;
    let status = consents.consent(&arguments.id).status().await;
    let status = status.map_err(|error| Failure::of_consent(&arguments.id, &error))?;
    if arguments.json {
        return output::json(&JsonConsent::of(&status));
    }
    let now = SystemTime::now();
    let with_distance = |time| format!("{} ({})", timestamp::utc(time), timestamp::relative(time, now));
    let optional = |text: Option<String>, absent: &str| text.unwrap_or_else(|| absent.to_owned());
    let lines = [
        ("id", status.id.as_str().to_owned()),
        ("owner", optional(status.owner.as_ref().map(|owner| owner.as_str().to_owned()), "none")),
        ("label", optional(status.label.clone(), "none")),
        ("standing", standing(&status.standing)),
        ("consented", with_distance(status.consented_at)),
        ("use before", with_distance(status.idle_deadline)),
        ("token expires", optional(status.access_token_expires_at.map(with_distance), "no access token stored")),
    ];
    for (name, value) in lines {
        output::line(&output::printable(&format!("{name:<20}{value}")))?;
    }
    Ok(())
}

async fn import(arguments: &Import, context: &Context) -> Result<(), Failure> {
    let token = RefreshToken::new(input::secret_in_background("the refresh token").await?)?;
    let (consents, _) = context.consents().await?;
    let mut consent = consents.new_consent(&arguments.id);
    if let Some(owner) = &arguments.owner {
        consent = consent.owner(owner.clone());
    }
    if let Some(label) = &arguments.label {
        consent = consent.label(label);
    }
    let last_used = arguments.last_used.unwrap_or_else(SystemTime::now);
    let stored = consent.import(token, last_used).await;
    stored.map_err(|error| Failure::of_consent(&arguments.id, &error))?;
    output::note(&format!("stored the consent {}", arguments.id.as_str()));
    if arguments.last_used.is_none() {
        output::note("assumed that the refresh token was last used just now; use --last-used to set another time");
    }
    Ok(())
}

async fn refresh(arguments: &Refresh, context: &Context) -> Result<(), Failure> {
    let (consents, _) = context.consents().await?;
    let consent = consents.consent(&arguments.id);
    let token = consent.refresh_now().await.map_err(|error| Failure::of_consent(&arguments.id, &error))?;
    let expiry = token.expires_at().map(|time| format!(" until {}", timestamp::utc(time))).unwrap_or_default();
    output::note(&format!("refreshed; the access token is valid{expiry}"));
    Ok(())
}

async fn revoke(arguments: &Revoke, context: &Context) -> Result<(), Failure> {
    let (consents, _) = context.consents().await?;
    let revoked = consents.consent(&arguments.id).revoke().await;
    match revoked.map_err(|error| Failure::of_consent(&arguments.id, &error))? {
        Revoked::Confirmed => output::note("Flinks has revoked the consent"),
        Revoked::AlreadyEnded => output::note("the consent had already ended; its record was removed"),
        Revoked::NotFound => return Err(not_found(&arguments.id)),
        _ => output::note("the consent was removed"),
    }
    Ok(())
}

async fn forget(arguments: &Forget, context: &Context) -> Result<(), Failure> {
    // This needs no client, so it also works with a profile that has only a store.
    let store = context.store().await?;
    let Some(record) = store.load(&arguments.id).await? else { return Err(not_found(&arguments.id)) };
    if !store.remove(&arguments.id, record.generation()).await? {
        let failure = Failure::new("another process has changed the consent").with_exit(Exit::TryLater);
        return Err(failure.with_next("run the command again"));
    }
    output::note("the consent was removed from the store; it was not revoked at Flinks");
    Ok(())
}

fn not_found(id: &ConsentId) -> Failure {
    Failure::new(format!("no consent found for the id {}", id.as_str()))
        .with_next("`flinks consents list` lists the consents")
}

async fn due(arguments: &Due, context: &Context) -> Result<(), Failure> {
    let (consents, _) = context.consents().await?;
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let mut statuses = Vec::new();
    let mut due = consents.due_within(arguments.within, limit.saturating_add(1)).await?;
    cut_to(limit, &mut due);
    for id in due {
        match consents.consent(&id).status().await {
            Ok(status) => statuses.push(status),
            Err(error) if error.is_unknown_consent() => {}
            Err(error) => return Err(Failure::of_consent(&id, &error)),
        }
    }
    print_statuses(&statuses, arguments.json)
}

async fn migrate(arguments: &Migrate, context: &Context) -> Result<(), Failure> {
    let source = context.profile()?;
    let destination = context.open_profile(Some(&arguments.to))?;
    if source.name() == destination.name() {
        return Err(Failure::usage("--to must name a different profile"));
    }
    let new = open_store(&destination)?.into_dyn();
    let old = context.existing_store().await?;
    let bar = ProgressBar::new(0);
    let progress = bar.clone();
    let mut migration = Migration::new(old, new).on_progress(move |state| {
        progress.set_length(state.total.unwrap_or_default());
        progress.set_position(state.summary.moved.saturating_add(state.summary.unreadable));
    });
    let conflicts = Arc::new(Mutex::new(BTreeSet::new()));
    let found = Arc::clone(&conflicts);
    migration = migration.on_conflict(move |id| {
        found.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
    });
    if let Some(rate) = arguments.rate {
        migration = migration.rate(rate);
    }
    let summary = migration.run().await;
    bar.finish_and_clear();
    let summary = summary?;
    output::line(&summary.to_string())?;
    if summary.is_complete() {
        return Ok(());
    }
    let failure = Failure::new("the migration is incomplete");
    for id in &*conflicts.lock().unwrap_or_else(PoisonError::into_inner) {
        output::note(&format!("both stores have a record of the consent {}", id.as_str()));
    }
    Err(if summary.busy > 0 {
        failure.with_exit(Exit::TryLater).with_next("run the command again")
    } else if summary.unreadable > 0 {
        failure.with_next(format!("run {}", crate::shell::command("doctor store")))
    } else {
        failure.with_next(
            "find out which record is newer, and remove the other one with \
             `flinks consents forget ID --profile NAME`",
        )
    })
}

fn print_statuses(statuses: &[ConsentStatus], json: bool) -> Result<(), Failure> {
    if json {
        let values: Vec<JsonConsent<'_>> = statuses.iter().map(JsonConsent::of).collect();
        return output::json(&values);
    }
    let now = SystemTime::now();
    let rows = statuses.iter().map(|status| {
        vec![
            status.id.as_str().to_owned(),
            status.owner.as_ref().map(|owner| owner.as_str().to_owned()).unwrap_or_default(),
            status.label.clone().unwrap_or_default(),
            standing(&status.standing),
            match status.standing {
                ConsentStanding::Ended { .. } => String::new(),
                _ => timestamp::relative(status.idle_deadline, now),
            },
        ]
    });
    output::table(&["ID", "OWNER", "LABEL", "STANDING", "USE BEFORE"], rows.collect())
}

fn standing(standing: &ConsentStanding) -> String {
    match standing {
        ConsentStanding::Active => "active".to_owned(),
        ConsentStanding::Suspected { since, status } => {
            format!("suspected since {} (status {status})", timestamp::utc(*since))
        }
        ConsentStanding::Ended { reason, .. } => format!("ended ({})", end_reason(*reason)),
        _ => "unknown".to_owned(),
    }
}

fn end_reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Idle => "not used in time",
        EndReason::Refused => "refused by Flinks",
        EndReason::SuspicionConfirmed => "refused again after a while",
        _ => "reason unknown",
    }
}

/// The JSON form of a consent.
#[derive(Serialize)]
struct JsonConsent<'a> {
    id: &'a str,
    owner: Option<&'a str>,
    label: Option<&'a str>,
    standing: &'static str,
    end_reason: Option<&'static str>,
    consented_at: String,
    idle_deadline: String,
    access_token_expires_at: Option<String>,
}

impl<'a> JsonConsent<'a> {
    fn of(status: &'a ConsentStatus) -> Self {
        let (standing, end_reason) = match status.standing {
            ConsentStanding::Active => ("active", None),
            ConsentStanding::Suspected { .. } => ("suspected", None),
            ConsentStanding::Ended { reason, .. } => ("ended", Some(self::end_reason(reason))),
            _ => ("unknown", None),
        };
        Self {
            id: status.id.as_str(),
            owner: status.owner.as_ref().map(OwnerId::as_str),
            label: status.label.as_deref(),
            standing,
            end_reason,
            consented_at: timestamp::utc(status.consented_at),
            idle_deadline: timestamp::utc(status.idle_deadline),
            access_token_expires_at: status.access_token_expires_at.map(timestamp::utc),
        }
    }
}
