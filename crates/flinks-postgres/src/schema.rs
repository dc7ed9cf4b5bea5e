//! The schema that contains the tables, and the locations that encrypted values are bound to.

use std::fmt;

use flinks_consents::envelope::HiddenName;

use crate::error::InvalidConfiguration;

/// The name of the schema that contains the store's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schema(String);

/// The maximum length of an identifier in PostgreSQL.
const MAX_BYTES: usize = 63;

impl Schema {
    pub(crate) fn new(name: String) -> Result<Self, InvalidConfiguration> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let starts_with_letter = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
        // PostgreSQL reserves the prefix `pg_`.
        let is_valid = starts_with_letter && name.bytes().all(is_allowed) && !name.starts_with("pg_");
        if !is_valid || name.len() > MAX_BYTES {
            return Err(InvalidConfiguration::new(
                "schema",
                "must consist of at most 63 lower-case letters, digits and underscores, and must not start with a digit or pg_",
            ));
        }
        Ok(Self(name))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the location to which an encrypted value is bound. A value that was moved to another
    /// row or to another schema cannot be decrypted.
    pub(crate) fn location(&self, name: &HiddenName) -> String {
        format!("{}/{name}", self.0)
    }
}

/// Writes the quoted name. The name contains no characters that must be escaped.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_name_needs_no_escapes() {
        for name in ["flinks", "_a1", "user", &"x".repeat(63)] {
            assert!(Schema::new(name.to_owned()).is_ok(), "{name}");
        }
        for name in ["", "Flinks", "a-b", "a b", "a\"b", "1a", "é", "pg_flinks", &"x".repeat(64)] {
            assert!(Schema::new(name.to_owned()).is_err(), "{name}");
        }
    }
}
