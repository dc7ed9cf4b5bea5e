//! Connect (C1-C7): an authorize token for the secret key, and three ways to spend it.
//!
//! | file | |
//! | --- | --- |
//! | `authorize_token` | the secret key for an authorize token (C1-C4) |
//! | `authorize` | the token for a login without a page (C6) |
//! | `iframe` | the token for a page in an iframe (C5) |
//! | `oauth` | the bank's own page, whose login `/Authorize` takes (C7) |

mod authorize;
mod authorize_token;
mod iframe;
mod oauth;
mod problem;

pub(super) use self::authorize::authorize;
pub(super) use self::authorize_token::generate_authorize_token;
pub(super) use self::iframe::{iframe, iframe_step};
pub(super) use self::oauth::{oauth_authorize, oauth_step};
