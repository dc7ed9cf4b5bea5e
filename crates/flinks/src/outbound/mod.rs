//! Flinks Outbound: the three grants of OAuth 2.0 (O1-O3, O6-O10).
//!
//! [`Client`] sends one request with each call. The crate `flinks-consents` stores the consents of end users, shares their access
//! tokens, and loses no refresh token (O4-O6).
//!
//! The facts come from the page [Token](https://docs.flinks.com/api/outbound/endpoints/authorize/token.md).

mod authentication;
mod authorization;
pub(crate) mod claims;
mod client;
mod code;
mod tokens;

pub use self::authentication::{ClientAuthentication, ClientCredentials};
pub use self::authorization::{AuthorizationRequest, PendingAuthorization};
pub use self::claims::Claims;
pub use self::client::Client;
pub use self::code::AuthorizationCode;
pub use self::tokens::{AccessToken, RefreshToken, Tokens};
