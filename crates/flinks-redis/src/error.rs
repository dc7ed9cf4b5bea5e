//! Errors in fixed texts: the texts of Redis may hold a key or a value (A3).

use std::error::Error as _;
use std::sync::Arc;
use std::{fmt, io};

use flinks_consents::store::StoreError;
use flinks_core::configuration::InvalidSetting;
use redis::{ErrorKind, RedisError};

use flinks_consents::envelope::EnvelopeError;

/// An invalid configuration of a [`RedisStore`](crate::RedisStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidConfiguration {
    field: &'static str,
    problem: &'static str,
}

impl InvalidConfiguration {
    /// Returns what is invalid, such as `namespace` or the name of a variable.
    pub fn field(&self) -> &'static str {
        self.field
    }

    pub(crate) const fn new(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem }
    }

    /// Names the value as it was set.
    pub(crate) fn named(self, field: &'static str) -> Self {
        Self { field, ..self }
    }
}

/// The certificates are not PEM, or are set for a server without TLS.
pub(crate) const INVALID_CERTIFICATES: InvalidConfiguration =
    InvalidConfiguration::new("certificates", "are not PEM, or are set for an address without rediss://");

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

/// Returns the error of a store for an error of Redis or of the connection to it.
pub(crate) fn store_error(error: &RedisError) -> StoreError {
    let misconfigured = StoreError::misconfigured;
    let unavailable = StoreError::unavailable;
    if is_permission_denied(error) {
        return misconfigured("does not permit the command");
    }
    // Before Redis 7, the error of a script contains the error of the command.
    let detail = error.detail().unwrap_or_default();
    if error.code() == Some("WRONGTYPE") || detail.contains("WRONGTYPE") {
        return EnvelopeError::Damaged.into();
    }
    if detail.contains("cluster support disabled") {
        return misconfigured("is not in cluster mode, but was configured as a cluster");
    }
    if detail.contains("DB index is out of range") {
        return misconfigured("has no database of this number");
    }
    if is_untrusted(error) {
        return misconfigured("has a certificate that is not trusted, or does not trust this client's");
    }
    match error.code() {
        Some("NOAUTH" | "WRONGPASS") => return misconfigured("refuses the credentials"),
        Some("MOVED" | "ASK" | "CROSSSLOT") => return misconfigured("is a cluster, but was not configured as one"),
        Some("LOADING") => return unavailable("is starting"),
        Some("READONLY") => return unavailable("is read-only, as after a failover"),
        Some("OOM") => return unavailable("is out of memory"),
        Some("MISCONF") => return unavailable("cannot write to its disk"),
        Some("CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" | "BUSY") => {
            return unavailable("is changing its cluster, or is busy");
        }
        _ => {}
    }
    if error.is_timeout() {
        return LATE;
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => misconfigured("refuses the credentials"),
        ErrorKind::InvalidClientConfig => misconfigured("cannot be called with these settings"),
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => unavailable("cannot be reached"),
        _ => unavailable("returned an unexpected reply"),
    }
}

/// Returns whether the user may not call the command, or one that a script calls.
pub(crate) fn is_permission_denied(error: &RedisError) -> bool {
    // The error of a script has no code.
    error.code() == Some("NOPERM")
        || error.detail().is_some_and(|detail| detail.contains("The user executing the script"))
}

/// Returns whether TLS failed, and not the network. The library keeps its errors in an `Arc`.
fn is_untrusted(error: &RedisError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>());
    let source = source.and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}

/// There was no reply in time.
pub(crate) const LATE: StoreError = StoreError::unavailable("did not answer in time");
/// The records were written with another name key.
pub(crate) const OTHER_NAME_KEY: StoreError = StoreError::misconfigured("was written with another name key");
