//! The names and secrets of Connect, each a type of its own (C4, C8).

use std::fmt;
use std::str::FromStr;

use flinks_connect::{BaseUrl, Secret, Uuid};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::error::Error;
use crate::validate::token_problem;

/// The environment, such as `toolbox` for the sandbox: one DNS label, which chooses the hosts (C8).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Instance(String);

impl Instance {
    /// As it stands in the host names.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn url(&self, which: &str) -> Result<BaseUrl, Error> {
        let url = format!("https://{}-{which}.private.fin.ag", self.0).parse();
        url.map_err(|_| Error::configuration("instance", "makes no host name"))
    }

    /// The instance of which this is one of the two hosts, and nothing more: no path, and no other port.
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
        // `-iframe` comes after it in the label, which may have 63 characters in all (RFC 1035, 2.3.4).
        if !is_label || !(1..=56).contains(&text.len()) {
            let reason = "is not one DNS label of lower-case letters, digits and hyphens, such as toolbox";
            return Err(Error::configuration("instance", reason));
        }
        if text.ends_with("-api") || text.ends_with("-iframe") {
            return Err(Error::configuration(
                "instance",
                "ends with -api or -iframe, which come after it in the host names",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where Connect is: at an [`Instance`] of Flinks, or at one base URL for both of its hosts, such as the emulator's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, derive_more::From)]
#[non_exhaustive]
pub enum Host {
    /// `https://{instance}-api.private.fin.ag` and `https://{instance}-iframe.private.fin.ag`.
    Instance(Instance),
    /// Both hosts at this base URL. The base URL of one of an instance's hosts, such as
    /// `https://toolbox-api.private.fin.ag`, means the instance, and so both of its hosts.
    BaseUrl(BaseUrl),
}

impl Host {
    /// Returns the base URL of the host `api` or `iframe`.
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

/// The GUID that Flinks gave you, with hyphens (C8).
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
        // `Uuid` would also read braces, `urn:uuid:` and no hyphens.
        let guid = Uuid::try_parse(text).ok().filter(|guid| guid.hyphenated().to_string() == text.to_ascii_lowercase());
        guid.map(Self).ok_or(Error::configuration("customer id", "is not a GUID with hyphens"))
    }
}

macro_rules! secret_name {
    ($(#[$attribute:meta])* $name:ident, $field:literal, $refuse:ident) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        pub struct $name(pub(super) Secret);

        impl $name {
            /// Wraps the clear text.
            ///
            /// # Errors
            ///
            /// An [`Error`] where it is empty, or holds a space, a line break (as one read from a file may), a control
            /// or a non-ASCII character.
            pub fn new(secret: impl Into<Secret>) -> Result<Self, Error> {
                let secret = secret.into();
                match token_problem(secret.expose_secret()) {
                    Some(problem) => Err(Error::$refuse($field, problem)),
                    None => Ok(Self(secret)),
                }
            }

            /// The clear text. Keep it out of logs, errors and URLs.
            pub fn expose_secret(&self) -> &str {
                self.0.expose_secret()
            }
        }
    };
}

secret_name! {
    /// The secret key from Flinks' integration. It does not expire, and this crate sends it to `/GenerateAuthorizeToken` and
    /// nowhere else (C4).
    SecretKey, "secret key", configuration
}

secret_name! {
    /// An end user's login, from the widget, custom OAuth or an earlier session. It does not expire; store it as the secret
    /// that it is.
    LoginId, "login id", input
}

/// Compares in constant time, because a login id is a secret.
impl PartialEq for LoginId {
    fn eq(&self, other: &Self) -> bool {
        self.expose_secret().as_bytes().ct_eq(other.expose_secret().as_bytes()).into()
    }
}

impl Eq for LoginId {}

secret_name! {
    /// What Connect's data endpoints ask for, from [`Session`](super::Session).
    RequestId, "request id", input
}
