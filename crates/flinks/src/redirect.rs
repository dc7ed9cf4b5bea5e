//! Where an end user is sent back to.

use std::str::FromStr;

use flinks_core::AbsoluteUrl;

use crate::error::Error;

/// An address of yours to which an end user is sent back: an absolute `https` URL, or `http` on a loopback address.
///
/// It is kept byte for byte, for some servers compare it so. Flinks redirects only to what it has whitelisted: ask your
/// representative (C7).
///
/// ```
/// use flinks::RedirectUrl;
///
/// let url: RedirectUrl = "https://app.example/done".parse()?;
/// assert!("app.example/done".parse::<RedirectUrl>().is_err());
/// # Ok::<(), flinks::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, derive_more::Debug)]
#[debug("RedirectUrl({origin:?})")]
pub struct RedirectUrl {
    text: String,
    origin: String,
}

impl RedirectUrl {
    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its origin, such as `https://app.example`.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl FromStr for RedirectUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason| Error::configuration("redirect URL", reason);
        let url = AbsoluteUrl::parse(text).map_err(refuse)?;
        if url.has_fragment() {
            return Err(refuse("has a fragment"));
        }
        Ok(Self { text: text.to_owned(), origin: url.origin() })
    }
}
