//! Converts PostgreSQL errors to errors with fixed messages. Text from the server is never used,
//! because it may contain a value (A3).

use std::error::Error as _;
use std::{fmt, io};

use flinks_consents::store::StoreError;
use flinks_core::configuration::InvalidSetting;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

/// The error returned if a [`PostgresStore`](crate::PostgresStore) configuration is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidConfiguration {
    field: &'static str,
    problem: &'static str,
}

impl InvalidConfiguration {
    /// Returns the name of the invalid value: an environment variable, a field, or a description
    /// such as `PostgreSQL address`.
    pub fn field(&self) -> &'static str {
        self.field
    }

    pub(crate) const fn new(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem }
    }

    /// Replaces the name of the invalid value.
    pub(crate) fn named(self, field: &'static str) -> Self {
        Self { field, ..self }
    }
}

impl fmt::Display for InvalidConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid configuration: {} {}", self.field, self.problem)
    }
}

impl std::error::Error for InvalidConfiguration {}

impl From<InvalidSetting> for InvalidConfiguration {
    fn from(InvalidSetting { name, reason }: InvalidSetting) -> Self {
        Self::new(name, reason)
    }
}

/// A statement's failure, classified by its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server rolled back the statement because of a conflict, so the statement can be sent
    /// again.
    Conflict,
    /// The connection was lost, so the statement may or may not have taken effect.
    Lost(StoreError),
    /// The statement did not take effect.
    Failed(StoreError),
}

impl Failure {
    /// Classifies the error from a statement that was sent.
    pub(crate) fn of(error: &Error) -> Self {
        let Some(error) = error.as_db_error() else { return Self::Lost(store_error(error)) };
        match error.code().code() {
            // A serialization failure or a deadlock.
            "40001" | "40P01" => Self::Conflict,
            // The outcome of the statement or of its transaction is unknown. A server that shuts
            // down, or that closes an idle session, may already have committed the transaction.
            "40003" | "57P01" | "57P02" | "57P05" => Self::Lost(store_error_of_code(error)),
            code if code.starts_with("08") => Self::Lost(store_error_of_code(error)),
            _ => Self::Failed(store_error_of_code(error)),
        }
    }
}

/// Returns whether the server is read-only, which means that another server may be the primary.
pub(crate) fn is_read_only(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| error.code().code() == "25006")
}

/// Returns whether the connection can be used again after this error: the server has reported that
/// a statement failed, and has not closed the connection.
pub(crate) fn leaves_connection_open(error: &Error) -> bool {
    let is_fatal = |error: &DbError| matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    error.as_db_error().is_some_and(|error| !is_fatal(error))
}

/// Returns whether a table or a schema does not exist.
pub(crate) fn is_missing_table(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| matches!(error.code().code(), "42P01" | "3F000"))
}

/// Returns whether two processes created the same object at the same time.
pub(crate) fn is_concurrent_creation(error: &Error) -> bool {
    // XX000 is "tuple concurrently updated", which `GRANT` and `CREATE` can return.
    let is_concurrent = |code: &str| matches!(code, "23505" | "42P06" | "42P07" | "42710" | "XX000");
    error.as_db_error().is_some_and(|error| is_concurrent(error.code().code()))
}

/// Converts an error from PostgreSQL, or from the connection to it, to a store error.
pub(crate) fn store_error(error: &Error) -> StoreError {
    if let Some(error) = error.as_db_error() {
        return store_error_of_code(error);
    }
    let Some(source) = error.source() else { return UNREACHABLE };
    let Some(source) = source.downcast_ref::<io::Error>() else {
        // The client rejected the configuration or what the server offered: for example, the server
        // does not support TLS, or it requests a password and none is configured.
        return StoreError::misconfigured(
            "cannot be reached with this configuration: check the credentials and the TLS settings",
        );
    };
    if is_tls_failure(source) {
        return StoreError::misconfigured(
            "failed the TLS handshake: the server's or this client's certificate was rejected",
        );
    }
    match source.kind() {
        // The client library creates this error itself. An error from the operating system has a
        // code.
        io::ErrorKind::PermissionDenied if source.raw_os_error().is_none() => {
            StoreError::unavailable("has no server with the required target_session_attrs")
        }
        io::ErrorKind::PermissionDenied => {
            StoreError::misconfigured("has a Unix socket that this process is not permitted to use")
        }
        io::ErrorKind::TimedOut => TIMED_OUT,
        _ => UNREACHABLE,
    }
}

#[cfg(feature = "rustls")]
fn is_tls_failure(error: &io::Error) -> bool {
    error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>()).is_some()
}

#[cfg(not(feature = "rustls"))]
fn is_tls_failure(_: &io::Error) -> bool {
    false
}

/// Converts an error with an SQLSTATE code to a store error.
fn store_error_of_code(error: &DbError) -> StoreError {
    store_error_of(error.code().code())
}

fn store_error_of(code: &str) -> StoreError {
    let misconfigured = StoreError::misconfigured;
    let unavailable = StoreError::unavailable;
    match code {
        "42501" => misconfigured(
            "denied a statement: the database user needs the privileges listed in the flinks-postgres documentation",
        ),
        "42P01" | "3F000" => NO_TABLES,
        "42703" | "42804" | "42883" | "42P10" | "23502" | "23503" | "23514" => OTHER_TABLES,
        "3D000" | "57P04" => misconfigured("has no database with the configured name"),
        "25006" => unavailable("is read-only, possibly a standby after a failover"),
        "40003" | "08007" => OUTCOME_UNKNOWN,
        "53300" => unavailable("has too many connections"),
        "53100" => unavailable("is out of disk space"),
        "53200" => unavailable("is out of memory"),
        "55P03" => unavailable("did not grant a lock in time"),
        "57014" => unavailable("cancelled a statement, for example because of its statement_timeout"),
        "57P01" | "57P02" | "57P03" => unavailable("is starting or shutting down"),
        "XX001" | "XX002" => StoreError::damaged("has a corrupted table or index"),
        _ if code.starts_with("28") => misconfigured("rejected the credentials"),
        _ if code.starts_with("08") => UNREACHABLE,
        _ if code.starts_with("53") => unavailable("is out of resources"),
        _ if code.starts_with("57P") => unavailable("is not accepting connections"),
        _ => unavailable("returned an unexpected response"),
    }
}

/// The error returned if the server cannot be reached.
const UNREACHABLE: StoreError = StoreError::unavailable("cannot be reached");
/// The error returned if a call times out.
pub(crate) const TIMED_OUT: StoreError = StoreError::unavailable("did not respond in time");
/// The error returned if no connection in the pool becomes free in time.
pub(crate) const POOL_EXHAUSTED: StoreError =
    StoreError::unavailable("has no free connection: all connections in the pool are in use");
/// The error returned if transactions keep conflicting.
pub(crate) const CONFLICTS: StoreError = StoreError::busy("is busy: transactions keep conflicting");
/// The error returned if it is unknown whether a write took effect.
pub(crate) const OUTCOME_UNKNOWN: StoreError =
    StoreError::unavailable("lost the connection during a write, so the outcome of the write is unknown");
/// The error returned if the tables do not exist.
pub(crate) const NO_TABLES: StoreError =
    StoreError::misconfigured("has no tables: run the flinks-postgres migrations, and check the schema");
/// The error returned if an earlier version of this crate created the tables.
pub(crate) const OLDER_TABLES: StoreError =
    StoreError::misconfigured("has tables from an older version: run the flinks-postgres migrations");
/// The error returned if a later version of this crate changed the tables.
pub(crate) const NEWER_TABLES: StoreError = StoreError::misconfigured("has tables from a newer version of this crate");
/// The error returned if the tables do not have the columns that this version needs.
const OTHER_TABLES: StoreError =
    StoreError::misconfigured("has tables whose columns differ from those in the flinks-postgres migrations");
/// The error returned if the records in the store were written with a different name key.
pub(crate) const WRONG_NAME_KEY: StoreError = StoreError::misconfigured("was written with a different name key");
/// The error returned for a row that is not a record.
pub(crate) const DAMAGED_ROW: StoreError = StoreError::damaged("contains a row that is not a record");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstate_codes_are_converted_to_store_errors() {
        for code in ["42501", "42P01", "3F000", "28P01", "28000", "3D000", "42703"] {
            assert!(matches!(store_error_of(code), StoreError::Misconfigured(_)), "{code}");
        }
        for code in [
            "53300", "53100", "53000", "57P01", "57P03", "08006", "08P01", "57014", "25006", "55P03", "40003", "08007",
            "P0001",
        ] {
            assert!(matches!(store_error_of(code), StoreError::Unavailable(_)), "{code}");
        }
        assert!(matches!(store_error_of("XX001"), StoreError::Damaged(_)));
    }
}
