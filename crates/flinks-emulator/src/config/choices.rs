//! The alternatives for behaviour that Flinks does not document, or documents in two ways.

use serde::{Deserialize, Serialize};

/// How a client sends its user name and password to Pay's `/authorize`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PayAuthentication {
    /// As the form fields `Username` and `Password`, which the API reference describes.
    #[default]
    Form,
    /// With HTTP Basic, as described on newer pages. The form then contains only `grant_type`.
    Basic,
    /// Either as form fields or with HTTP Basic, but not both.
    FormOrBasic,
}

/// The origin that a parent page must have to receive events from the iframe page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventTarget {
    /// The origin of `redirectUrl`.
    #[default]
    RedirectOrigin,
    /// Any origin.
    Any,
}

/// How Outbound treats PKCE (RFC 7636).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pkce {
    /// Ignores `code_challenge` and `code_verifier`, like a server that does not support PKCE.
    Ignored,
    /// Checks the verifier if the authorization request contained a challenge, and otherwise
    /// refuses any verifier.
    #[default]
    Checked,
    /// Refuses an authorization request without a challenge.
    Required,
}
