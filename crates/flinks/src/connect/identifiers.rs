//! Connect's identifiers and secrets, each with its own type (C4, C8).

use std::fmt;
use std::str::FromStr;

use flinks_connect::{BaseUrl, Secret, Uuid};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::error::Error;
use crate::validate::{token_problem, unmet_requirement};

/// A Flinks environment, such as `toolbox` for the sandbox. An instance is a single DNS label that
/// forms part of the Connect host names. [C8](crate::rules)
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Instance(String);

impl Instance {
    /// Returns the label as it appears in the host names.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn url(&self, which: &str) -> Result<BaseUrl, Error> {
        let url = format!("https://{}-{which}.private.fin.ag", self.0).parse();
        url.map_err(|_| Error::configuration("instance", "does not form a valid host name"))
    }

    /// Returns the instance that the host of the base URL belongs to, or `None` if there is no such
    /// instance or if the base URL has a path or a port.
    fn of_host(base_url: &BaseUrl) -> Option<Self> {
        let label = base_url.as_str().strip_prefix("https://")?.strip_suffix(".private.fin.ag")?;
        let name = label.strip_suffix("-api").or_else(|| label.strip_suffix("-iframe"))?;
        name.parse().ok()
    }
}

impl TryFrom<String> for Instance {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Instance> for String {
    fn from(value: Instance) -> Self {
        value.as_str().to_owned()
    }
}

impl AsRef<str> for Instance {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Instance {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_label = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        // Appending `-iframe` to the text gives the longest host name, and the resulting label may
        // have at most 63 characters (RFC 1035, section 2.3.4).
        if !is_label || !(1..=56).contains(&text.len()) {
            let reason = "must be a single DNS label of lower-case letters, digits and hyphens, such as `toolbox`";
            return Err(Error::configuration("instance", reason));
        }
        if text.ends_with("-api") || text.ends_with("-iframe") {
            let reason = "must not end with `-api` or `-iframe`, which the client appends itself";
            return Err(Error::configuration("instance", reason));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The Connect hosts: either the two hosts of an [`Instance`], or one base URL that replaces both
/// hosts, such as the base URL of the emulator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, derive_more::From)]
#[non_exhaustive]
pub enum Host {
    /// `https://{instance}-api.private.fin.ag` and `https://{instance}-iframe.private.fin.ag`.
    Instance(Instance),
    /// One base URL for both hosts. If the base URL names either host of an instance, for example
    /// `https://toolbox-api.private.fin.ag`, the client uses both hosts of that instance.
    BaseUrl(BaseUrl),
}

impl Host {
    /// Returns the base URL of the `api` or `iframe` host.
    pub(super) fn url(&self, which: &str) -> Result<BaseUrl, Error> {
        match self {
            Self::Instance(instance) => instance.url(which),
            Self::BaseUrl(base_url) => match Instance::of_host(base_url) {
                Some(instance) => instance.url(which),
                None => Ok(base_url.clone()),
            },
        }
    }
}

/// A customer id issued by Flinks: a GUID with hyphens. [C8](crate::rules)
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, derive_more::Display, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CustomerId(pub(super) Uuid);

impl TryFrom<String> for CustomerId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<CustomerId> for String {
    fn from(id: CustomerId) -> Self {
        id.to_string()
    }
}

impl FromStr for CustomerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // `Uuid` also accepts braces, `urn:uuid:`, and a GUID without hyphens.
        let guid = Uuid::try_parse(text).ok().filter(|guid| guid.hyphenated().to_string() == text.to_ascii_lowercase());
        guid.map(Self).ok_or(Error::configuration("customer id", "must be a GUID with hyphens"))
    }
}

macro_rules! secret_identifier {
    ($(#[$attribute:meta])* $name:ident, $field:literal, $check:ident, $error:ident) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        pub struct $name(pub(super) Secret);

        impl $name {
            /// Creates a value from plain text.
            ///
            /// # Errors
            ///
            /// Returns an error if the text is empty or contains a space, a line break, a control
            /// character or a non-ASCII character. Trim a value that you read from a file, because
            /// it may end with a line break.
            pub fn new(secret: impl Into<Secret>) -> Result<Self, Error> {
                let secret = secret.into();
                match $check(secret.expose_secret()) {
                    Some(problem) => Err(Error::$error($field, problem)),
                    None => Ok(Self(secret)),
                }
            }

            /// Returns the plain text. Keep it out of logs, errors and URLs.
            pub fn expose_secret(&self) -> &str {
                self.0.expose_secret()
            }
        }
    };
}

secret_identifier! {
    /// An integration's secret key. It does not expire, and this crate sends it only to
    /// `/GenerateAuthorizeToken`. [C4](crate::rules)
    SecretKey, "secret key", token_problem, configuration
}

secret_identifier! {
    /// The id of an end user's login, from the widget, custom OAuth or an earlier session. It does
    /// not expire. Store it as securely as any other secret.
    LoginId, "login id", unmet_requirement, input
}

/// Compares login ids in constant time, because they are secrets.
impl PartialEq for LoginId {
    fn eq(&self, other: &Self) -> bool {
        self.expose_secret().as_bytes().ct_eq(other.expose_secret().as_bytes()).into()
    }
}

impl Eq for LoginId {}

secret_identifier! {
    /// The request id of a [`Session`](super::Session), which Connect's data endpoints require.
    RequestId, "request id", unmet_requirement, input
}
