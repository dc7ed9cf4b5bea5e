//! Converts Redis errors to errors with fixed messages. Text from Redis is never used, because it
//! may contain a key or a value (A3).

use std::error::Error as _;
use std::sync::Arc;
use std::{fmt, io};

use flinks_consents::store::StoreError;
use flinks_core::configuration::InvalidSetting;
use redis::{ErrorKind, RedisError};

/// The error returned if a [`RedisStore`](crate::RedisStore) configuration is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidConfiguration {
    field: &'static str,
    problem: &'static str,
}

impl InvalidConfiguration {
    /// Returns the name of the invalid value: an environment variable, a field, or a description
    /// such as `Redis address`.
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

/// The error returned if certificates are not in PEM format or are set for a server without TLS.
pub(crate) const INVALID_CERTIFICATES: InvalidConfiguration =
    InvalidConfiguration::new("certificates", "must be in PEM format, and can be set only for rediss:// addresses");

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

/// Converts an error from Redis, or from the connection to Redis, to a store error.
pub(crate) fn store_error(error: &RedisError) -> StoreError {
    let misconfigured = StoreError::misconfigured;
    let unavailable = StoreError::unavailable;
    if is_permission_denied(error) {
        return misconfigured(
            "denied a command: the Redis user needs permission for the commands listed in the flinks-redis documentation",
        );
    }
    // Before Redis 7, the detail of a script's error contains the failed command's error.
    let detail = error.detail().unwrap_or_default();
    if error.code() == Some("WRONGTYPE") || detail.contains("WRONGTYPE") {
        return NOT_A_RECORD;
    }
    if detail.contains("cluster support disabled") {
        return misconfigured("is a standalone server, but was configured as a cluster");
    }
    if detail.contains("DB index is out of range") {
        return misconfigured("has no database with the configured number");
    }
    if is_tls_failure(error) {
        return misconfigured("failed the TLS handshake: the server's or this client's certificate was rejected");
    }
    match error.code() {
        Some("NOAUTH" | "WRONGPASS") => return misconfigured("rejected the credentials"),
        Some("MOVED" | "ASK" | "CROSSSLOT") => {
            return misconfigured("is a cluster, but was configured as a standalone server");
        }
        Some("LOADING") => return unavailable("is still loading its data"),
        Some("READONLY") => return unavailable("is a read-only replica, possibly after a failover"),
        Some("OOM") => return unavailable("is out of memory"),
        Some("MISCONF") => return unavailable("failed to write to disk"),
        Some("CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" | "BUSY") => {
            return unavailable("is busy, or is reconfiguring its cluster");
        }
        _ => {}
    }
    if error.is_timeout() {
        return TIMED_OUT;
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => misconfigured("rejected the credentials"),
        ErrorKind::InvalidClientConfig => {
            misconfigured("cannot be reached with this configuration: check the address and the TLS settings")
        }
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => unavailable("cannot be reached"),
        _ => unavailable("returned an unexpected response"),
    }
}

/// Returns whether the Redis user lacks permission for the command or for a command that a script
/// calls.
pub(crate) fn is_permission_denied(error: &RedisError) -> bool {
    // An error inside a script has no `NOPERM` code.
    error.code() == Some("NOPERM")
        || error.detail().is_some_and(|detail| detail.contains("The user executing the script"))
}

/// Returns whether the cause is a failed TLS handshake rather than a network failure. The `redis`
/// crate wraps source errors in an `Arc`.
fn is_tls_failure(error: &RedisError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>());
    let source = source.and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}

/// The error returned if a call times out.
pub(crate) const TIMED_OUT: StoreError = StoreError::unavailable("did not respond in time");
/// The error returned if a key contains something other than a record.
pub(crate) const NOT_A_RECORD: StoreError = StoreError::damaged("contains a value that is not a record");
/// The error returned if the records in the store were written with a different name key.
pub(crate) const WRONG_NAME_KEY: StoreError = StoreError::misconfigured("was written with a different name key");
