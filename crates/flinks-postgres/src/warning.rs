//! Warnings about a server's settings.

use std::fmt;
use std::time::{Duration, SystemTime};

use flinks_consents::store::StoreError;
use tokio_postgres::types::Type;

use crate::error::DAMAGED_ROW;
use crate::store::{PostgresStore, milliseconds};

/// A PostgreSQL setting that puts refresh tokens at risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Warning {
    /// The server does not flush its log to disk. A machine crash can destroy the database.
    FsyncOff,
    /// The server does not write full pages to its log. A machine crash can damage pages.
    FullPageWritesOff,
    /// The server confirms a write before it is on disk. A crash can lose the last writes.
    AsynchronousCommit,
    /// The table of consents is unlogged, so a crash empties it.
    Unlogged,
    /// The server accepts no writes, for example because it is a standby.
    ReadOnly,
    /// The server's clock differs from the local clock by more than ten minutes.
    ClockDiffers,
}

/// The largest accepted difference between the two clocks.
const MAX_DIFFERENCE: Duration = Duration::from_secs(10 * 60);

/// The settings that a server reports. A setting that the server does not have is `None`.
#[derive(Clone, Copy, Debug)]
struct Settings<'a> {
    fsync: Option<&'a str>,
    full_page_writes: Option<&'a str>,
    synchronous_commit: Option<&'a str>,
    transaction_read_only: Option<&'a str>,
    /// The server's time in milliseconds.
    now: i64,
    /// `p` for a permanent table, `u` for an unlogged one.
    persistence: Option<&'a str>,
}

impl Warning {
    fn all_of(settings: &Settings<'_>, local_now: i64) -> Vec<Self> {
        let mut warnings = Vec::new();
        if settings.fsync == Some("off") {
            warnings.push(Self::FsyncOff);
        }
        if settings.full_page_writes == Some("off") {
            warnings.push(Self::FullPageWritesOff);
        }
        if settings.synchronous_commit == Some("off") {
            warnings.push(Self::AsynchronousCommit);
        }
        if settings.persistence.is_some_and(|persistence| persistence != "p") {
            warnings.push(Self::Unlogged);
        }
        if settings.transaction_read_only == Some("on") {
            warnings.push(Self::ReadOnly);
        }
        if u128::from(settings.now.abs_diff(local_now)) > MAX_DIFFERENCE.as_millis() {
            warnings.push(Self::ClockDiffers);
        }
        warnings
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FsyncOff => "a crash of the PostgreSQL machine can destroy the refresh tokens: set fsync to on",
            Self::FullPageWritesOff => {
                "a crash of the PostgreSQL machine can damage the refresh tokens: set full_page_writes to on"
            }
            Self::AsynchronousCommit => {
                "a crash of PostgreSQL can lose the last refresh tokens: set synchronous_commit to on"
            }
            Self::Unlogged => "a PostgreSQL crash empties the consents table: run ALTER TABLE … SET LOGGED",
            Self::ReadOnly => {
                "PostgreSQL accepts no writes, possibly because it is a standby: check the address and default_transaction_read_only"
            }
            Self::ClockDiffers => "the clocks of PostgreSQL and this machine differ by more than ten minutes",
        })
    }
}

impl PostgresStore {
    /// Checks the server's settings and returns a warning for each setting that puts refresh tokens
    /// at risk.
    ///
    /// This method does not log the warnings. Log them yourself, for example when your program
    /// starts.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if PostgreSQL cannot be reached or rejects the credentials, or if
    /// the tables are missing, have another version or were written with a different name key.
    pub async fn warnings(&self) -> Result<Vec<Warning>, StoreError> {
        let schema = self.schema().as_str();
        let parameters = [(&schema as _, Type::TEXT)];
        let rows = self.call(self.server().query(&self.statements().read_settings, &parameters)).await?;
        let row = rows.first().ok_or(DAMAGED_ROW)?;
        let text = |column: usize| row.try_get(column).map_err(|_| DAMAGED_ROW);
        let settings = Settings {
            fsync: text(0)?,
            full_page_writes: text(1)?,
            synchronous_commit: text(2)?,
            transaction_read_only: text(3)?,
            now: row.try_get(4).map_err(|_| DAMAGED_ROW)?,
            persistence: text(5)?,
        };
        Ok(Warning::all_of(&settings, milliseconds(SystemTime::now())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFE: Settings<'_> = Settings {
        fsync: Some("on"),
        full_page_writes: Some("on"),
        synchronous_commit: Some("remote_apply"),
        transaction_read_only: Some("off"),
        now: 0,
        persistence: Some("p"),
    };

    #[test]
    fn warnings_follow_from_the_settings() {
        let warnings = |settings: Settings<'_>| Warning::all_of(&settings, 0);
        assert_eq!(warnings(SAFE), []);
        assert_eq!(warnings(Settings { fsync: None, full_page_writes: None, persistence: None, ..SAFE }), []);
        assert_eq!(warnings(Settings { fsync: Some("off"), ..SAFE }), [Warning::FsyncOff]);
        assert_eq!(warnings(Settings { full_page_writes: Some("off"), ..SAFE }), [Warning::FullPageWritesOff]);
        assert_eq!(warnings(Settings { synchronous_commit: Some("off"), ..SAFE }), [Warning::AsynchronousCommit]);
        assert_eq!(warnings(Settings { transaction_read_only: Some("on"), ..SAFE }), [Warning::ReadOnly]);
        assert_eq!(warnings(Settings { persistence: Some("u"), ..SAFE }), [Warning::Unlogged]);
        assert_eq!(warnings(Settings { now: 600_001, ..SAFE }), [Warning::ClockDiffers]);
        assert_eq!(warnings(Settings { now: -600_000, ..SAFE }), []);
    }
}
