//! Flinks Outbound: the three OAuth 2.0 grants that return tokens for the Open Banking API.
//!
//! [`Client`] has one method for each grant and stores nothing. The `flinks-consents` crate stores
//! end users' consents, shares their access tokens, and never loses a refresh token.
//!
//! This module is based on the Flinks documentation page
//! [Token](https://docs.flinks.com/api/outbound/endpoints/authorize/token.md).
//! [O1-O11](crate::rules)

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
