//! What can go wrong, in fixed texts: those of Redis may hold a key or a value (A3).

use std::fmt;

use flinks::outbound::store::StoreError;
use redis::{ErrorKind, RedisError};

/// What cannot be a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidConfiguration {
    field: &'static str,
    problem: &'static str,
}

impl InvalidConfiguration {
    pub(crate) fn new(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem }
    }
}

impl fmt::Display for InvalidConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

impl std::error::Error for InvalidConfiguration {}

/// What Redis is not, though a store for refresh tokens should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// It evicts keys when its memory is full: a refresh token may be among them.
    Evicts,
    /// It writes nothing to disk: a restart loses all refresh tokens.
    DoesNotPersist,
    /// It may not be asked, so nobody knows.
    Unknown,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evicts => "redis may evict refresh tokens: set maxmemory-policy to noeviction",
            Self::DoesNotPersist => "redis does not persist: a restart loses all refresh tokens (appendonly, save)",
            Self::Unknown => "redis does not tell whether it evicts and persists: the user may not call INFO",
        })
    }
}

/// An answer of Redis, or none, as an error of a store.
pub(crate) fn store_error(error: &RedisError) -> StoreError {
    use StoreError::{Damaged, Refused, Unavailable};
    // Before Redis 7, the error of a script names the one within.
    let within = error.detail().unwrap_or_default();
    match error.code() {
        Some("WRONGTYPE") => Damaged(NO_VALUE),
        _ if within.contains("WRONGTYPE") => Damaged(NO_VALUE),
        Some("NOAUTH" | "WRONGPASS") => Refused("refuses the credentials"),
        Some("NOPERM") => Refused("does not allow what it is asked"),
        Some("MOVED" | "ASK" | "CROSSSLOT") => Refused("is a cluster, and is not called one"),
        Some("LOADING") => Unavailable("is starting"),
        Some("READONLY") => Unavailable("is read-only, as after a failover"),
        Some("OOM") => Unavailable("is out of memory"),
        Some("MISCONF") => Unavailable("cannot write to its disk"),
        Some("CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" | "BUSY") => Unavailable("is changing its cluster, or is busy"),
        _ if error.is_timeout() => Unavailable(LATE),
        _ => match error.kind() {
            ErrorKind::AuthenticationFailed => Refused("refuses the credentials"),
            ErrorKind::InvalidClientConfig => Refused("cannot be called with these settings"),
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => Unavailable("cannot be reached"),
            _ => Unavailable("gave an answer that is none"),
        },
    }
}

/// No answer in time.
pub(crate) const LATE: &str = "did not answer in time";
/// What is there was not written by this crate, or was changed since.
pub(crate) const NO_VALUE: &str = "holds something that is no record";
