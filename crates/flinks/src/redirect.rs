//! Where an end user is sent back to.

use std::fmt;
use std::str::FromStr;

use flinks_core::{host_problem, is_loopback, is_spelled_out};
use url::Url;

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
#[derive(Clone, PartialEq, Eq, Hash)]
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
        let refuse = |reason| Err(Error::configuration("redirect URL", reason));
        // A URL parser drops line breaks and turns `\` into `/`: what it reads would not be what is sent.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return refuse("holds a space, a backslash, a control or a non-ASCII character");
        }
        let Some(url) = Url::parse(text).ok().filter(|_| is_spelled_out(text)) else {
            return refuse("is not an absolute URL, such as https://app.example/done");
        };
        if !url.has_host() {
            return refuse("has no host");
        }
        if host_problem(text, &url).is_some() {
            return refuse(
                "has user info, port 0, or a host that is not a DNS name or an IP address in its usual form",
            );
        }
        if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
            return refuse("is neither https nor on a loopback address");
        }
        if url.fragment().is_some() {
            return refuse("has a fragment");
        }
        Ok(Self { text: text.to_owned(), origin: url.origin().ascii_serialization() })
    }
}

impl fmt::Debug for RedirectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest may hold a session id of somebody's.
        f.debug_tuple("RedirectUrl").field(&self.origin).finish()
    }
}
