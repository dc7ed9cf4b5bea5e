//! The ids that an application assigns to consents and to their owners.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Defines a type for each kind of id.
macro_rules! ids {
    ($($(#[$attribute:meta])* $id_type:ident, $field:literal;)*) => {
        $(
            $(#[$attribute])*
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(into = "String", try_from = "String")]
            pub struct $id_type(Arc<str>);

            impl $id_type {
                /// The maximum length of an id in bytes.
                pub const MAX_BYTES: usize = MAX_BYTES;

                /// Creates an id from text that is 1 to [`MAX_BYTES`](Self::MAX_BYTES) bytes long.
                ///
                /// # Errors
                ///
                /// Returns an error if the text is blank, is too long or contains a control
                /// character.
                pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidId> {
                    let text = text.into();
                    match problem(&text) {
                        Some(reason) => Err(InvalidId { field: $field, reason }),
                        None => Ok(Self(text)),
                    }
                }

                /// Returns the id as a string slice.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl FromStr for $id_type {
                type Err = InvalidId;

                fn from_str(text: &str) -> Result<Self, InvalidId> {
                    Self::new(text)
                }
            }

            impl TryFrom<String> for $id_type {
                type Error = InvalidId;

                fn try_from(text: String) -> Result<Self, InvalidId> {
                    Self::new(text)
                }
            }

            impl From<$id_type> for String {
                fn from(id: $id_type) -> Self {
                    id.as_str().to_owned()
                }
            }

            impl AsRef<str> for $id_type {
                fn as_ref(&self) -> &str {
                    self.as_str()
                }
            }

            impl fmt::Display for $id_type {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(self.as_str())
                }
            }
        )*
    };
}

ids! {
    /// The id that an application assigns to a consent, such as `user-7/bank-1`. Cloning is cheap.
    ///
    /// ```
    /// use flinks_consents::ConsentId;
    ///
    /// let id: ConsentId = "user-7".parse()?;
    /// # Ok::<(), flinks_consents::store::InvalidId>(())
    /// ```
    ConsentId, "consent id";

    /// The id that an application assigns to the owner of one or more consents, such as a user id.
    /// Cloning is cheap.
    OwnerId, "owner id";
}

/// The maximum length of an id in bytes.
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

/// The error returned for text that is not a valid [`ConsentId`] or [`OwnerId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId {
    field: &'static str,
    reason: &'static str,
}

impl InvalidId {
    /// Returns the name of the invalid value, which is either `consent id` or `owner id`.
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
    fn id_survives_display_and_serialization() {
        let id = ConsentId::try_from("user 7".to_owned()).unwrap();
        assert_eq!(id.to_string(), "user 7");
        assert_eq!(id.as_ref(), "user 7");
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<ConsentId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<ConsentId>("\"\"").is_err());
    }
}
