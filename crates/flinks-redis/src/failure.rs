//! What can go wrong, in fixed texts: those of Redis may hold a key or a value (A3).

use std::error::Error as _;
use std::sync::Arc;
use std::{fmt, io};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Warning {
    /// It evicts keys when its memory is full: a refresh token may be among them.
    Evicts,
    /// It keeps no log of its writes: a restart loses the refresh tokens that came since the last snapshot, if there is one.
    DoesNotPersist,
    /// It may not be asked, so nobody knows.
    Unknown,
}

impl Warning {
    /// What the answer to `INFO` of one server tells.
    pub(crate) fn all_of(info: &str) -> Vec<Self> {
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let mut warnings = Vec::new();
        match field("maxmemory_policy") {
            // Our values have no end of their own, which the volatile policies look for.
            Some(policy) if policy == "noeviction" || policy.starts_with("volatile-") => {}
            // Without a limit nothing is evicted, as long as nobody sets one.
            Some(_) if field("maxmemory") == Some("0") => {}
            Some(_) => warnings.push(Self::Evicts),
            None => warnings.push(Self::Unknown),
        }
        if field("aof_enabled") == Some("0") {
            warnings.push(Self::DoesNotPersist);
        }
        warnings
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evicts => "redis may evict refresh tokens: set maxmemory-policy to noeviction",
            Self::DoesNotPersist => {
                "redis keeps no log of its writes, so that a restart loses refresh tokens: set appendonly to yes"
            }
            Self::Unknown => "redis does not tell whether it evicts and persists: the user may not call INFO",
        })
    }
}

/// An answer of Redis, or none, as an error of a store.
pub(crate) fn store_error(error: &RedisError) -> StoreError {
    let damaged = StoreError::damaged;
    let refused = StoreError::refused;
    let unavailable = StoreError::unavailable;
    // Before Redis 7, the error of a script names the one within.
    let within = error.detail().unwrap_or_default();
    match error.code() {
        Some("WRONGTYPE") => damaged(NO_VALUE),
        _ if within.contains("WRONGTYPE") => damaged(NO_VALUE),
        Some("NOAUTH" | "WRONGPASS") => refused("refuses the credentials"),
        Some("NOPERM") => refused(NOT_ALLOWED),
        // In a script, that has no code.
        _ if within.contains("The user executing the script") => refused(NOT_ALLOWED),
        _ if within.contains("cluster support disabled") => {
            refused("is not in cluster mode, but was configured as a cluster")
        }
        _ if within.contains("DB index is out of range") => refused("has no database of this number"),
        _ if is_untrusted(error) => refused("has a certificate that is not trusted, or does not trust this client's"),
        Some("MOVED" | "ASK" | "CROSSSLOT") => refused("is a cluster, but was not configured as one"),
        Some("LOADING") => unavailable("is starting"),
        Some("READONLY") => unavailable("is read-only, as after a failover"),
        Some("OOM") => unavailable("is out of memory"),
        Some("MISCONF") => unavailable("cannot write to its disk"),
        Some("CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" | "BUSY") => unavailable("is changing its cluster, or is busy"),
        _ if error.is_timeout() => unavailable(LATE),
        _ => match error.kind() {
            ErrorKind::AuthenticationFailed => refused("refuses the credentials"),
            ErrorKind::InvalidClientConfig => refused("cannot be called with these settings"),
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => unavailable("cannot be reached"),
            _ => unavailable("returned an unexpected reply"),
        },
    }
}

/// Whether TLS failed, and not the network. The library keeps its errors in an `Arc`.
fn is_untrusted(error: &RedisError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>());
    let source = source.and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
}

pub(crate) const NOT_ALLOWED: &str = "does not permit the command";
/// No answer in time.
pub(crate) const LATE: &str = "did not answer in time";
/// What is there was not written by this crate, or was changed since.
pub(crate) const NO_VALUE: &str = "holds a value that is not a record";
