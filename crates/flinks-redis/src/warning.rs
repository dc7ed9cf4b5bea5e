//! Warnings about a server's configuration.

use std::fmt;

/// A Redis server setting that puts refresh tokens at risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Warning {
    /// The server evicts keys when its memory is full, so it may evict refresh tokens.
    Evicts,
    /// The server has no append-only file. If it restarts, the refresh tokens written after the
    /// last snapshot are lost.
    DoesNotPersist,
    /// The eviction and persistence settings could not be checked, because the Redis user has no
    /// permission to run `INFO` or because the output of `INFO` does not include them.
    Unknown,
}

impl Warning {
    /// Returns the warnings for one server, based on its `INFO` output.
    pub(crate) fn all_of(info: &str) -> Vec<Self> {
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let mut warnings = Vec::new();
        match field("maxmemory_policy") {
            // The volatile policies evict only keys with an expiration time, and records have none.
            Some(policy) if policy == "noeviction" || policy.starts_with("volatile-") => {}
            // Without a memory limit, nothing is evicted.
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
            Self::Evicts => "Redis may evict refresh tokens: set maxmemory-policy to noeviction",
            Self::DoesNotPersist => {
                "Redis has no append-only file, so a restart may lose refresh tokens: set appendonly to yes"
            }
            Self::Unknown => {
                "could not check the Redis eviction and persistence settings: the user has no permission to run INFO"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(policy: &str, limit: &str, log: &str) -> Vec<Warning> {
        Warning::all_of(&format!("maxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\naof_enabled:{log}\r\n"))
    }

    #[test]
    fn warnings_follow_from_eviction_and_persistence_settings() {
        assert_eq!(warnings("allkeys-lru", "100", "1"), [Warning::Evicts]);
        assert_eq!(warnings("allkeys-lru", "0", "1"), []);
        assert_eq!(warnings("volatile-lru", "100", "1"), []);
        assert_eq!(warnings("noeviction", "100", "1"), []);
        assert_eq!(warnings("noeviction", "100", "0"), [Warning::DoesNotPersist]);
        assert_eq!(Warning::all_of(""), [Warning::Unknown]);
    }
}
