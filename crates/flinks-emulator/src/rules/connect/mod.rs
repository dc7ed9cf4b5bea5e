//! Connect's rules (C1-C7).
//!
//! | file | contents |
//! | --- | --- |
//! | `authorize_token` | `GenerateAuthorizeToken`, which issues an authorize token (C1-C4) |
//! | `authorize` | `/Authorize`, which spends the token to log an end user in without a page (C6) |
//! | `accounts_detail` | `GetAccountsDetail` and polling for its result, for a session that `/Authorize` has started |
//! | `iframe` | the iframe page, which spends the token when it is opened (C5) |
//! | `oauth` | the bank's login page, which creates a login for `/Authorize` (C7) |

mod accounts_detail;
mod authorize;
mod authorize_token;
mod iframe;
mod oauth;
mod problem;

pub(super) use self::accounts_detail::{get_accounts_detail, get_accounts_detail_async};
pub(super) use self::authorize::authorize;
pub(super) use self::authorize_token::generate_authorize_token;
pub(super) use self::iframe::{iframe, iframe_step};
pub(super) use self::oauth::{oauth_authorize, oauth_step};
use crate::config::ConnectConfig;
use crate::return_url::Fragment;

/// Returns whether return URLs may contain a fragment.
fn fragment(config: &ConnectConfig) -> Fragment {
    if config.accept_redirect_fragment { Fragment::Allowed } else { Fragment::Forbidden }
}
