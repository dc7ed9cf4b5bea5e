//! Outbound's rules (O1-O10).
//!
//! | file | contents |
//! | --- | --- |
//! | `consent` | the consent page, which issues a code (O10) |
//! | `token` | the three grants (O1, O3, O5, O8, O9) |
//! | `client` | client authentication (O2) |
//! | `connection` | the access token for a connection, and revocation (O4, O8, O10) |
//! | `accounts` | the accounts and transactions of the end user, in the FDX 5 format (O10) |

mod accounts;
mod client;
mod connection;
mod consent;
mod refusal;
mod token;

pub(super) use self::accounts::{account, accounts, data_error, transactions};
pub(super) use self::connection::revoke;
pub(super) use self::consent::{authorize, authorize_step};
pub(super) use self::token::token;
