//! What is wrong with the configuration of a server.

use std::fmt;

/// A setting of the Redis server that puts refresh tokens at risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Warning {
    /// The server evicts keys when its memory is full. A refresh token may be among them.
    Evicts,
    /// The server keeps no log of its writes. A restart loses the refresh tokens that were written
    /// after the last snapshot.
    DoesNotPersist,
    /// The user has no permission to call `INFO`, so eviction and persistence were not checked.
    Unknown,
}

impl Warning {
    /// Returns the warnings for the reply of one server to `INFO`.
    pub(crate) fn all_of(info: &str) -> Vec<Self> {
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let mut warnings = Vec::new();
        match field("maxmemory_policy") {
            // The volatile policies only evict keys with an expiry, and records have none.
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
            Self::Evicts => "Redis may evict refresh tokens: set maxmemory-policy to noeviction",
            Self::DoesNotPersist => {
                "Redis does not log its writes, so a restart loses refresh tokens: set appendonly to yes"
            }
            Self::Unknown => {
                "could not check whether Redis evicts and persists: the user has no permission to call INFO"
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
    fn a_server_may_evict_with_a_limit_and_a_policy() {
        assert_eq!(warnings("allkeys-lru", "100", "1"), [Warning::Evicts]);
        assert_eq!(warnings("allkeys-lru", "0", "1"), []);
        assert_eq!(warnings("volatile-lru", "100", "1"), []);
        assert_eq!(warnings("noeviction", "100", "1"), []);
        assert_eq!(warnings("noeviction", "100", "0"), [Warning::DoesNotPersist]);
        assert_eq!(Warning::all_of(""), [Warning::Unknown]);
    }
}
