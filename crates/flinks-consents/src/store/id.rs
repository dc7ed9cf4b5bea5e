//! The name of a consent.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Your name for a consent, such as the number of an end user. Cloning is cheap.
///
/// ```
/// use flinks_consents::ConsentId;
///
/// let id: ConsentId = "user-7".parse()?;
/// # Ok::<(), flinks_consents::store::InvalidConsentId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
