//! What can be set.

use std::fmt;
use std::str::FromStr as _;

use hyper::header::{self, HeaderName};
use serde::{Deserialize, Serialize};

use crate::credentials::*;

/// Everything that can be set of an emulator: its credentials, and a switch for each thing that Flinks does not
/// document. As TOML it is the file of `flinks-emulator --config`; as JSON it is `/__emulator/config`.
///
/// ```
/// let mut config = flinks_emulator::Config::default();
/// config.outbound.rotate_refresh_tokens = true;
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Whether the emulator's clock stands still unless it is advanced. Default: it runs.
    pub frozen_clock: bool,
    /// Flinks Pay.
    pub pay: PayConfig,
    /// Flinks Connect.
    pub connect: ConnectConfig,
    /// Flinks Outbound.
    pub outbound: OutboundConfig,
    /// How much is kept.
    pub limits: Limits,
}

impl Config {
    /// What cannot be meant.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let Self { pay, connect, outbound, .. } = self;
        if !pay.has_token_header() {
            Some("pay.token_header must be the name of a header that HTTP does not need itself")
        } else if uuid::Uuid::parse_str(&connect.customer_id).is_err() {
            Some("connect.customer_id must be a GUID")
        } else if !connect.redirect_origins.iter().all(|origin| url::Url::parse(origin).is_ok_and(|url| url.has_host()))
        {
            Some("connect.redirect_origins must hold origins, such as https://app.example")
        } else if !outbound.redirect_uris.iter().all(|uri| url::Url::parse(uri).is_ok_and(|url| url.has_host())) {
            Some("outbound.redirect_uris must hold absolute URLs")
        } else if !matches!(outbound.invalid_client_status, 400 | 401) {
            Some("outbound.invalid_client_status must be 400 or 401")
        } else {
            None
        }
    }
}

/// The settings of Flinks Pay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PayConfig {
    /// `Username` (P1). Default: [`PAY_USERNAME`].
    pub username: String,
    /// `Password` (P1). Default: [`PAY_PASSWORD`].
    pub password: String,
    /// The lifetime of a session token in seconds (P2). Default: 299, the brief's; other pages say 599.
    pub token_seconds: u64,
    /// The header that carries a session token (P8). Default: `authorization`, with the value `Bearer …`. In any other
    /// header both `Bearer …` and the bare token are accepted, because no page documents the value there.
    pub token_header: String,
}

/// The headers that HTTP needs itself.
const HTTP_HEADERS: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl PayConfig {
    fn has_token_header(&self) -> bool {
        HeaderName::from_str(&self.token_header).is_ok_and(|name| !HTTP_HEADERS.contains(&name))
    }

    /// Whether a session token is in `Authorization`, where the scheme is needed.
    pub(crate) fn uses_authorization(&self) -> bool {
        self.token_header.eq_ignore_ascii_case(header::AUTHORIZATION.as_str())
    }
}

/// The settings of Flinks Connect.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectConfig {
    /// The customer id (C8). Default: [`CONNECT_CUSTOMER_ID`].
    pub customer_id: String,
    /// The secret key (C4). Default: [`CONNECT_SECRET_KEY`].
    pub secret_key: String,
    /// The lifetime of an unused authorize token in seconds (C3). Default: 1 800, which is documented.
    pub token_seconds: u64,
    /// Whether an `/Authorize` that fails spends its token. Not documented; default: yes, for a client that is right
    /// then is right with the other, too.
    pub failed_authorize_spends_token: bool,
    /// Whether the answer to an MFA challenge needs an authorize token of its own, and spends it. Not documented;
    /// default: yes. Where it does not, the token that began the session is taken again.
    pub mfa_answer_spends_token: bool,
    /// How long a challenge waits for its answer, in seconds. Not documented; default: 1 800.
    pub challenge_seconds: u64,
    /// The origins, such as `https://app.example`, that `redirectUrl` and `redirect_uri` may have: Flinks redirects
    /// only to what it has whitelisted (C7). Default: none listed, which allows every one.
    pub redirect_origins: Vec<String>,
    /// What the end user does at `/v3/oauth/authorize`. Default: they are asked, on a page.
    pub end_user: EndUser,
}

/// The settings of Flinks Outbound.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OutboundConfig {
    /// `client_id`. Default: [`OUTBOUND_CLIENT_ID`].
    pub client_id: String,
    /// `client_secret`. Default: [`OUTBOUND_CLIENT_SECRET`].
    pub client_secret: String,
    /// How a client authenticates itself at the token endpoint (O2). Not documented.
    pub client_authentication: ClientAuthentication,
    /// The lifetime of an access token in seconds (O3). Default: 299.
    pub access_token_seconds: u64,
    /// How long a refresh token lives without an exchange, in seconds (O5). Default: 2 592 000, which is 30 days and
    /// documented.
    pub refresh_token_idle_seconds: u64,
    /// The lifetime of a code in seconds. Not documented; default: 600, the most that RFC 6749, 4.1.2 recommends.
    pub code_seconds: u64,
    /// Whether an exchange replaces the refresh token. Documented as: it does not change (O5), which is the default.
    pub rotate_refresh_tokens: bool,
    /// Whether the reply to an exchange holds the refresh token although it has not changed. Default: no, as documented.
    pub repeat_refresh_token: bool,
    /// The status of `invalid_client`. Default: 400, as Flinks' pages have it; RFC 6749, 5.2 says 401.
    pub invalid_client_status: u16,
    /// Whether an exchange that fails for its `redirect_uri` spends the code. Not documented; default: no.
    pub failed_exchange_spends_code: bool,
    /// Whether a refresh may carry `scope`. RFC 6749, section 6, allows it, and some OAuth libraries send it; O1 does not
    /// list it. Default: no, because a client that sends no `scope` is right either way.
    pub accept_scope_on_refresh: bool,
    /// The redirect URIs that are allowed, byte for byte. Default: none listed, which allows every one.
    pub redirect_uris: Vec<String>,
    /// What the end user does at `/api/v1/authorize`. Default: they are asked, on a page.
    pub end_user: EndUser,
}

/// How much an emulator keeps. Beyond it the oldest is forgotten, so that memory stays bounded under load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Requests in the ledger. Default: 10 000.
    pub requests: usize,
    /// Bytes of those requests, in all. Default: 67 108 864, which is 64 MiB.
    pub request_bytes: usize,
    /// Tokens of each [`Kind`](crate::Kind), sessions and logins. Default: 100 000. A forgotten token is refused.
    pub tokens: usize,
    /// Visits of end users to a page, of each kind. Default: 1 000. A visit is kept after its end, so that Back and Reload
    /// can show how it ended.
    pub pages: usize,
}

/// What the end user does where Flinks asks them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndUser {
    /// Is asked, on a page.
    #[default]
    Asked,
    /// Agrees at once, without a page: for tests without a browser.
    Agrees,
    /// Refuses at once, without a page.
    Refuses,
}

/// How a client of Outbound authenticates itself (O2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `client_id` and `client_secret` as fields of the body, or HTTP Basic, but not both.
    #[default]
    FieldsOrBasic,
    /// As fields of the body only.
    Fields,
    /// By HTTP Basic only.
    Basic,
    /// Not at all: what the published document says to the letter.
    None,
}

impl Default for PayConfig {
    fn default() -> Self {
        Self {
            username: PAY_USERNAME.into(),
            password: PAY_PASSWORD.into(),
            token_seconds: 299,
            token_header: "authorization".into(),
        }
    }
}

impl Default for ConnectConfig {
    fn default() -> Self {
        Self {
            customer_id: CONNECT_CUSTOMER_ID.into(),
            secret_key: CONNECT_SECRET_KEY.into(),
            token_seconds: 30 * 60,
            failed_authorize_spends_token: true,
            mfa_answer_spends_token: true,
            challenge_seconds: 30 * 60,
            redirect_origins: Vec::new(),
            end_user: EndUser::Asked,
        }
    }
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            client_id: OUTBOUND_CLIENT_ID.into(),
            client_secret: OUTBOUND_CLIENT_SECRET.into(),
            client_authentication: ClientAuthentication::FieldsOrBasic,
            access_token_seconds: 299,
            refresh_token_idle_seconds: 30 * 24 * 60 * 60,
            code_seconds: 600,
            rotate_refresh_tokens: false,
            repeat_refresh_token: false,
            invalid_client_status: 400,
            failed_exchange_spends_code: false,
            accept_scope_on_refresh: false,
            redirect_uris: Vec::new(),
            end_user: EndUser::Asked,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 10_000, request_bytes: 64 << 20, tokens: 100_000, pages: 1_000 }
    }
}

/// Somebody may have put a real credential in: nothing is shown.
macro_rules! opaque_debug {
    ($($type:ident)*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque_debug!(Config PayConfig ConnectConfig OutboundConfig);
