//! The order of the checks for a store.
//!
//! No check changes a consent. The write check acquires and releases a lease on a shard that no
//! worker uses, and then tries to remove a consent that does not exist.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flinks_consents::ConsentId;
use flinks_consents::store::{FileStore, StoreError};
use flinks_postgres::PostgresStore;
use flinks_redis::RedisStore;
use tokio::time::timeout;
use toml::Value;
use url::Url;
use uuid::Uuid;

use super::records;
use super::report::{Outcome, Report, Section, Step};
use super::store_error::{self, Call};
use crate::context::{ConsentStore, OpenStore, open_store};
use crate::failure::Exit;
use crate::profile::{Profile, Section as ProfileSection, StoreKind};

const CHECKS: &[&str] = &["configuration", "connection", "server settings", "writes", "records", "consents"];

/// The error for a call that takes longer than the command's time limit.
const TIMED_OUT: StoreError = StoreError::unavailable("did not respond in time");

/// Checks the store.
pub(super) async fn check(profile: &Profile, limit: Duration, report: &mut Report) {
    let mut section = report.section("store", CHECKS);
    let _ = check_steps(profile, limit, &mut section).await;
    section.finish();
}

async fn check_steps(profile: &Profile, limit: Duration, section: &mut Section<'_>) -> Option<()> {
    let kind = match profile.store_kind() {
        Ok(kind) => kind,
        Err(failure) => return section.record(Outcome::of_failure(&failure)),
    };
    match kind {
        StoreKind::File => check_files(profile, limit, section).await,
        StoreKind::Redis | StoreKind::Postgres => check_server(kind, profile, limit, section).await,
    }
}

async fn check_files(profile: &Profile, limit: Duration, section: &mut Section<'_>) -> Option<()> {
    let folder = match profile.store_folder() {
        Ok(folder) => folder,
        Err(failure) => return section.record(Outcome::of_failure(&failure)),
    };
    // This check comes first, because opening the store would create the folder.
    if !folder.exists() {
        let detail =
            format!("files in `{}`, which does not exist yet because no consent has been stored", folder.display());
        return section.record(Outcome::passed(detail));
    }
    section.record(Outcome::passed(format!("files in `{}`", folder.display())))?;
    let store = section.take(open_files(&folder))?;
    section.record(Outcome::skipped("a file store has no server"))?;
    // Opening the store has created and removed a file.
    section.record(Outcome::passed("the folder can be written"))?;
    let store: Arc<dyn ConsentStore> = Arc::new(store);
    records::check(&store, StoreKind::File, Some(&folder), limit, section).await
}

fn open_files(folder: &Path) -> Step<FileStore> {
    if is_empty(folder) {
        return Err(Outcome::failed(
            Exit::Configuration,
            format!("`{}` is empty, so it contains no store", folder.display()),
            "mount the volume that contains the consents; if there were never any, remove the folder, and `flinks \
             login` will create it",
        )
        .guess());
    }
    match FileStore::options().must_exist().open(folder) {
        Ok(store) => Ok((Outcome::passed("opened"), store)),
        Err(error) => Err(store_error::outcome(&error, StoreKind::File, Call::First)),
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

async fn check_server(kind: StoreKind, profile: &Profile, limit: Duration, section: &mut Section<'_>) -> Option<()> {
    let store = match open_store(profile) {
        Ok(store) => store,
        Err(failure) => {
            let cure = "set the values in the `store` section: use `flinks config set` for plain values, and `flinks \
                        config set-secret` for store.url, store.name_key and store.keys";
            return section.record(Outcome::failed(failure.exit(), failure.message(), cure));
        }
    };
    section.record(Outcome::passed(format!("{} at {}", kind.name(), place(profile))))?;
    let settings = match &store {
        OpenStore::File(_) => return None,
        OpenStore::Redis(store) => redis_settings(store, limit).await,
        OpenStore::Postgres(store) => postgres_settings(store, limit).await,
    };
    let settings = section.take(match settings {
        Ok(settings) => Ok((Outcome::passed("connected, and the name key matches"), settings)),
        Err(error) => Err(store_error::outcome(&error, kind, Call::First)),
    })?;
    // The remaining checks are useful even if a setting is wrong.
    section.record(settings);
    let store = store.into_dyn();
    section.record(writes(&store, kind, limit).await)?;
    records::check(&store, kind, None, limit, section).await
}

/// Returns the address without the user, password or parameters.
fn place(profile: &Profile) -> String {
    let url = profile.values(ProfileSection::Store).ok();
    let url = url.as_ref().and_then(|values| values.get("url")).and_then(Value::as_str);
    url.and_then(|text| Url::parse(text).ok()).map_or_else(|| "the configured address".to_owned(), |url| address(&url))
}

fn address(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = url.host_str().unwrap_or("(Unix socket)");
    super::bounded(&format!("{}://{host}{port}{}", url.scheme(), url.path()))
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(limit, call).await.unwrap_or(Err(TIMED_OUT))
}

/// The severity of a warning about a server. `Failure` means that refresh tokens may be lost, or that
/// calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Warning,
    Failure,
}

async fn redis_settings(store: &RedisStore, limit: Duration) -> Result<Outcome, StoreError> {
    let warnings = within(limit, store.warnings()).await?;
    let severity = |warning: &flinks_redis::Warning| match warning {
        flinks_redis::Warning::Evicts | flinks_redis::Warning::DoesNotPersist => Severity::Failure,
        _ => Severity::Warning,
    };
    let found: Vec<_> = warnings.iter().map(|warning| (severity(warning), warning.to_string())).collect();
    let cure = "run `CONFIG SET maxmemory-policy noeviction` and `CONFIG SET appendonly yes`, and then `CONFIG REWRITE`, or \
                change the settings of the hosted server";
    Ok(settings_outcome(&found, cure))
}

async fn postgres_settings(store: &PostgresStore, limit: Duration) -> Result<Outcome, StoreError> {
    let warnings = within(limit, store.warnings()).await?;
    let severity = |warning: &flinks_postgres::Warning| match warning {
        flinks_postgres::Warning::AsynchronousCommit => Severity::Warning,
        _ => Severity::Failure,
    };
    let found: Vec<_> = warnings.iter().map(|warning| (severity(warning), warning.to_string())).collect();
    let cure = "change the setting with `ALTER SYSTEM SET … = …` and `SELECT pg_reload_conf()`; synchronize the clocks \
                with NTP; connect to the primary if the server is a standby";
    Ok(settings_outcome(&found, cure))
}

fn settings_outcome(found: &[(Severity, String)], cure: &str) -> Outcome {
    if found.is_empty() {
        return Outcome::passed("records are persisted and not evicted");
    }
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    let problem = texts.join("; ");
    if found.iter().any(|(severity, _)| *severity == Severity::Failure) {
        return Outcome::failed(Exit::Configuration, problem, cure);
    }
    Outcome::warning(problem, cure)
}

/// The duration of the check's lease. It is short, because the program may be killed before it
/// releases the lease.
const LEASE: Duration = Duration::from_secs(1);

/// Checks that the store accepts writes, without changing a consent.
async fn writes(store: &Arc<dyn ConsentStore>, kind: StoreKind, limit: Duration) -> Outcome {
    match within(limit, write(store)).await {
        Ok(()) => Outcome::passed("a lease was acquired and released"),
        Err(error) => store_error::outcome(&error, kind, Call::Write),
    }
}

async fn write(store: &Arc<dyn ConsentStore>) -> Result<(), StoreError> {
    let holder = format!("flinks-doctor-{}", Uuid::new_v4());
    // The workers' shards have lower numbers.
    let shard = store.shards();
    if store.acquire(shard, &holder, LEASE).await? {
        store.release(shard, &holder).await?;
    }
    // No consent has this id, so nothing is removed, but the server checks the permission.
    if let Ok(id) = holder.parse::<ConsentId>() {
        store.remove(&id, 1).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_contains_no_credentials() {
        for (url, expected) in [
            (
                "postgres://app:canary@db.internal:5433/app?sslmode=verify-full&password=canary",
                "postgres://db.internal:5433/app",
            ),
            ("rediss://:canary@redis.internal/0#canary", "rediss://redis.internal/0"),
        ] {
            assert_eq!(address(&Url::parse(url).unwrap()), expected);
        }
    }

    #[test]
    fn the_most_severe_setting_decides() {
        let warning = (Severity::Warning, "one".to_owned());
        let failure = (Severity::Failure, "two".to_owned());
        assert!(matches!(settings_outcome(&[], "cure"), Outcome::Passed { .. }));
        assert_eq!(settings_outcome(std::slice::from_ref(&warning), "cure"), Outcome::warning("one", "cure"));
        assert_eq!(
            settings_outcome(&[warning, failure], "cure"),
            Outcome::failed(Exit::Configuration, "one; two", "cure")
        );
    }
}
