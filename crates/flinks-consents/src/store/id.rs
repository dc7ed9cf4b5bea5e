//! The name of a consent.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Your name for a consent, such as the number of an end user. Cloning is cheap.
///
/// ```
/// use flinks_consents::ConsentId;
///
/// let id: ConsentId = "user-7".parse()?;
/// # Ok::<(), flinks_consents::store::InvalidConsentId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ConsentId(Arc<str>);

impl ConsentId {
    /// The maximum length in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Creates an id from any text of 1 to [`MAX_BYTES`](Self::MAX_BYTES) bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is blank, too long, or contains a control character.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidConsentId> {
        let text = text.into();
        if text.trim().is_empty() {
            return Err(InvalidConsentId("must not be empty"));
        }
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidConsentId("must not be longer than 512 bytes"));
        }
        if text.contains(char::is_control) {
            return Err(InvalidConsentId("must not contain a line break or another control character"));
        }
        Ok(Self(text))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ConsentId {
    type Error = InvalidConsentId;

    fn try_from(text: String) -> Result<Self, InvalidConsentId> {
        text.parse()
    }
}

impl From<ConsentId> for String {
    fn from(value: ConsentId) -> Self {
        value.as_str().to_owned()
    }
}

impl AsRef<str> for ConsentId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ConsentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ConsentId {
    type Err = InvalidConsentId;

    fn from_str(text: &str) -> Result<Self, InvalidConsentId> {
        Self::new(text)
    }
}

/// The error of a text that cannot be a [`ConsentId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidConsentId(&'static str);

impl fmt::Display for InvalidConsentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid consent id: {}", self.0)
    }
}

impl std::error::Error for InvalidConsentId {}

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
