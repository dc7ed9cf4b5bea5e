//! Outbound's rules (O1-O10).
//!
//! | file | contents |
//! | --- | --- |
//! | `consent` | the consent page, which issues a code (O10) |
//! | `token` | the three grants (O1, O3, O5, O8, O9) |
//! | `client` | client authentication (O2) |
//! | `connection` | requests with an access token, and revocation (O4, O8, O10) |

mod client;
mod connection;
mod consent;
mod refusal;
mod token;

pub(super) use self::connection::{accounts, revoke};
pub(super) use self::consent::{authorize, authorize_step};
pub(super) use self::token::token;
