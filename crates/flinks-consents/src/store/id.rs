//! The names that an application gives to consents and to their owners.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Defines the type of a name.
macro_rules! names {
    ($($(#[$attribute:meta])* $name:ident, $field:literal;)*) => {
        $(
            $(#[$attribute])*
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(into = "String", try_from = "String")]
            pub struct $name(Arc<str>);

            impl $name {
                /// The maximum length in bytes.
                pub const MAX_BYTES: usize = MAX_BYTES;

                /// Creates a name from any text of 1 to [`MAX_BYTES`](Self::MAX_BYTES) bytes.
                ///
                /// # Errors
                ///
                /// Returns an error if the text is blank, too long, or contains a control character.
                pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidId> {
                    let text = text.into();
                    match problem(&text) {
                        Some(reason) => Err(InvalidId { field: $field, reason }),
                        None => Ok(Self(text)),
                    }
                }

                /// Returns the text.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl FromStr for $name {
                type Err = InvalidId;

                fn from_str(text: &str) -> Result<Self, InvalidId> {
                    Self::new(text)
                }
            }

            impl TryFrom<String> for $name {
                type Error = InvalidId;

                fn try_from(text: String) -> Result<Self, InvalidId> {
                    Self::new(text)
                }
            }

            impl From<$name> for String {
                fn from(name: $name) -> Self {
                    name.as_str().to_owned()
                }
            }

            impl AsRef<str> for $name {
                fn as_ref(&self) -> &str {
                    self.as_str()
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(self.as_str())
                }
            }
        )*
    };
}

names! {
    /// Your name for a consent, such as `user-7/bank-1`. Cloning is cheap.
    ///
    /// ```
    /// use flinks_consents::ConsentId;
    ///
    /// let id: ConsentId = "user-7".parse()?;
    /// # Ok::<(), flinks_consents::store::InvalidId>(())
    /// ```
    ConsentId, "consent id";

    /// Your name for whoever gives consents, such as the number of an end user who connects several banks. Cloning is cheap.
    OwnerId, "owner id";
}

/// The longest name in bytes.
const MAX_BYTES: usize = 512;

fn problem(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        return Some("must not be empty");
    }
    if text.len() > MAX_BYTES {
        return Some("must not be longer than 512 bytes");
    }
    text.contains(char::is_control).then_some("must not contain a line break or another control character")
}

/// The error of a text that cannot be a [`ConsentId`] or an [`OwnerId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId {
    field: &'static str,
    reason: &'static str,
}

impl InvalidId {
    /// Returns what is invalid: `consent id` or `owner id`.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}: {}", self.field, self.reason)
    }
}

impl std::error::Error for InvalidId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_be_printed_stored_and_read_again() {
        let id = ConsentId::try_from("user 7".to_owned()).unwrap();
        assert_eq!((id.to_string().as_str(), id.as_ref()), ("user 7", "user 7"));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<ConsentId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<ConsentId>("\"\"").is_err());
    }
}
