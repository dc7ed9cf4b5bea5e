//! The URL that an end user is redirected to.

use std::fmt;
use std::str::FromStr;

use flinks_core::AbsoluteUrl;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A URL to which end users are redirected when they return to your application. The URL is
/// absolute and uses `https`, or `http` with a loopback address.
///
/// The URL is stored exactly as given, because some servers compare redirect URLs byte for byte.
/// Flinks redirects only to URLs that it has whitelisted; ask your Flinks representative to add
/// yours. [C7](crate::rules)
///
/// ```
/// use flinks::RedirectUrl;
///
/// let url: RedirectUrl = "https://app.example/done".parse()?;
/// assert!("app.example/done".parse::<RedirectUrl>().is_err());
/// # Ok::<(), flinks::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, derive_more::Debug)]
#[serde(into = "String", try_from = "String")]
#[debug("RedirectUrl({origin:?})")]
pub struct RedirectUrl {
    text: String,
    origin: String,
}

impl RedirectUrl {
    /// Returns the URL exactly as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the origin of the URL, such as `https://app.example`.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl TryFrom<String> for RedirectUrl {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<RedirectUrl> for String {
    fn from(value: RedirectUrl) -> Self {
        value.as_str().to_owned()
    }
}

impl AsRef<str> for RedirectUrl {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for RedirectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RedirectUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let reject = |reason| Error::configuration("redirect URL", reason);
        let url = AbsoluteUrl::parse(text).map_err(reject)?;
        if url.has_fragment() {
            return Err(reject("must not have a fragment"));
        }
        Ok(Self { text: text.to_owned(), origin: url.origin() })
    }
}
