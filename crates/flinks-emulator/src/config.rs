//! The configuration of an emulator.

mod choices;
mod clients;

use std::fmt;
use std::str::FromStr as _;

use hyper::header::{self, HeaderName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use self::choices::{EventTarget, PayAuthentication, Pkce};
pub use self::clients::{ConnectCustomer, OutboundClient, PayUser};
pub(crate) use self::clients::{Customer, Party};
use crate::credentials::*;
use crate::file_error::{Content, FileError};

/// The configuration of an emulator: its credentials, its limits, and settings for behaviour that
/// Flinks does not document.
///
/// The program reads its configuration from the TOML file passed with `--config`. The control API
/// returns and changes the configuration as JSON at `/__emulator/config`.
///
/// ```
/// let mut config = flinks_emulator::Config::default();
/// config.outbound.rotate_refresh_tokens = true;
/// ```
#[doc = include_str!("../SETTINGS.md")]
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Whether the emulator's clock changes only when it is advanced. Default: `false`.
    pub frozen_clock: bool,
    /// The settings for Flinks Pay.
    pub pay: PayConfig,
    /// The settings for Flinks Connect.
    pub connect: ConnectConfig,
    /// The settings for Flinks Outbound.
    pub outbound: OutboundConfig,
    /// The limits on what the emulator stores.
    pub limits: Limits,
}

impl Config {
    /// Parses a configuration file, which is a TOML document. Omitted settings have their
    /// default values.
    ///
    /// ```
    /// let config = flinks_emulator::Config::from_toml("outbound.rotate_refresh_tokens = true")?;
    /// assert!(config.outbound.rotate_refresh_tokens);
    /// # Ok::<(), flinks_emulator::FileError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not valid TOML, contains an unknown setting or contains an
    /// invalid value. The error states the reason, and names the line or the setting.
    pub fn from_toml(text: &str) -> Result<Self, FileError> {
        let config: Self =
            toml::from_str(text).map_err(|error| FileError::toml(Content::Configuration, text, &error))?;
        match config.problem() {
            Some(problem) => Err(FileError::new(Content::Configuration, problem)),
            None => Ok(config),
        }
    }

    /// Returns a copy with a patch applied. The settings are not [validated](Self::problem).
    ///
    /// A patch is a JSON merge patch (RFC 7396), except that `null` does not remove a setting.
    pub(crate) fn merged(&self, patch: Map<String, Value>) -> Result<Self, String> {
        let mut config = json!(self);
        for (section, change) in patch {
            match (config.get_mut(&section), change) {
                (Some(Value::Object(fields)), Value::Object(changes)) => fields.extend(changes),
                (Some(field), change) => *field = change,
                (None, _) => return Err(format!("The `{section}` setting does not exist.")),
            }
        }
        serde_json::from_value(config).map_err(|error| format!("A setting is invalid: {error}."))
    }

    /// Returns a description of the first invalid setting, or `None` if all are valid.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let Self { pay, connect, outbound, .. } = self;
        let is_absolute = |text: &String| url::Url::parse(text).is_ok_and(|url| url.has_host());
        if !pay.has_token_header() {
            Some("`pay.token_header` must be a header name that HTTP itself does not use")
        } else if !pay.has_distinct_users() {
            Some("`pay.users` must not repeat a user name, including `pay.username`")
        } else if uuid::Uuid::parse_str(&connect.customer_id).is_err() {
            Some("`connect.customer_id` must be a GUID")
        } else if !connect.has_distinct_customers() {
            Some(
                "`connect.customers` must have GUIDs as `customer_id` and must not repeat one, including `connect.customer_id`",
            )
        } else if !connect.all_customers().all(|customer| customer.redirect_origins.iter().all(is_absolute)) {
            Some("`connect.redirect_origins` must contain only origins, such as `https://app.example`")
        } else if !matches!(connect.rejected_token_status, 400 | 401 | 403) {
            Some("`connect.rejected_token_status` must be 400, 401 or 403")
        } else if !matches!(connect.invalid_request_status, 400 | 401) {
            Some("`connect.invalid_request_status` must be 400 or 401")
        } else if !matches!(connect.invalid_login_status, 400 | 401) {
            Some("`connect.invalid_login_status` must be 400 or 401")
        } else if !outbound.has_distinct_clients() {
            Some("`outbound.clients` must not repeat a client id, including `outbound.client_id`")
        } else if !outbound.all_clients().all(|client| client.redirect_uris.iter().all(is_absolute)) {
            Some("`outbound.redirect_uris` must contain only absolute URLs")
        } else if !matches!(outbound.invalid_client_status, 400 | 401) {
            Some("`outbound.invalid_client_status` must be 400 or 401")
        } else if !matches!(outbound.expired_token_status, 401 | 403) {
            Some("`outbound.expired_token_status` must be 401 or 403")
        } else {
            None
        }
    }
}

/// The settings for Flinks Pay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PayConfig {
    /// The `Username`. Default: [`PAY_USERNAME`].
    pub username: String,
    /// The `Password`. Default: [`PAY_PASSWORD`].
    pub password: String,
    /// The lifetime of a session token, in seconds. Default: 299. Some pages of Flinks'
    /// documentation state this value, and others state 599.
    pub token_seconds: u64,
    /// The header that carries a session token. Default: `authorization`, with `Bearer …` as its
    /// value.
    ///
    /// In any other header, the emulator accepts both `Bearer …` and the token alone, because
    /// Flinks does not document the format.
    pub token_header: String,
    /// Additional users. Default: none.
    pub users: Vec<PayUser>,
    /// How clients send their credentials. Default: [`PayAuthentication::Form`].
    pub authentication: PayAuthentication,
    /// Whether a token can start only one session. Default: `true`, as the API reference describes.
    /// According to newer pages, a token can be used until it expires.
    pub token_starts_one_session: bool,
    /// Whether the payment-request endpoints accept a token that has already started a session.
    /// Default: `true`. Flinks does not document this behaviour.
    pub accept_spent_token: bool,
    /// Whether a request to start a session spends its token even if the request's fields are
    /// invalid. Default: `false`. Flinks does not document this behaviour.
    pub failed_initiate_spends_token: bool,
    /// The time, in seconds, that a client must wait before it requests the state of the same
    /// payment request again. Default: 30, as documented. A request that arrives earlier is refused
    /// with status 429, which Flinks does not document. The value 0 removes the limit.
    pub status_interval_seconds: u64,
    /// The time after which an undecided payment request expires, in seconds. Default: 86,400 (one
    /// day). Flinks does not document the time.
    pub payment_request_seconds: u64,
    /// The time between the payer's approval and the settlement, in seconds. Default: 60. Flinks
    /// does not document the time.
    pub settlement_seconds: u64,
    /// The payer's decision at `/app/`. Default: [`EndUser::Asked`].
    pub payer: EndUser,
}

/// The headers that HTTP itself uses and that therefore cannot carry a session token.
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

    /// Returns whether session tokens are sent in the `Authorization` header, which requires a
    /// scheme.
    pub(crate) fn uses_authorization(&self) -> bool {
        self.token_header.eq_ignore_ascii_case(header::AUTHORIZATION.as_str())
    }
}

/// The settings for Flinks Connect.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectConfig {
    /// The customer id, a GUID. Default: [`CONNECT_CUSTOMER_ID`].
    pub customer_id: String,
    /// The secret key. Default: [`CONNECT_SECRET_KEY`].
    pub secret_key: String,
    /// The lifetime of an unspent authorize token, in seconds. Default: 1800 (30 minutes), as
    /// documented.
    pub token_seconds: u64,
    /// Whether a request to `/Authorize` spends its token even if the request fails. Default:
    /// `true`.
    ///
    /// Flinks does not document this behaviour. A client that works with `true` also works with
    /// `false`.
    pub failed_authorize_spends_token: bool,
    /// Whether answering an MFA question requires and spends a new authorize token. Default:
    /// `true`.
    ///
    /// Flinks does not document this behaviour. If the setting is `false`, the request that
    /// answers the question may use the token that started the session, even though the token has
    /// already been spent.
    pub mfa_answer_spends_token: bool,
    /// The time allowed for answering an MFA question, in seconds. Default: 1800. Flinks does not
    /// document the time limit.
    pub challenge_seconds: u64,
    /// The whitelisted origins for `redirectUrl` and `redirect_uri`, such as `https://app.example`.
    /// Default: an empty list, which allows every origin. Flinks redirects only to whitelisted
    /// addresses.
    pub redirect_origins: Vec<String>,
    /// The part of `redirectUrl` that the iframe page keeps when it redirects the end user.
    /// Default: [`RedirectUrlPart::Whole`].
    ///
    /// Flinks does not document whether the path and the query are kept.
    pub redirect_url_part: RedirectUrlPart,
    /// The end user's decision at `/v3/oauth/authorize`. Default: [`EndUser::Asked`].
    pub end_user: EndUser,
    /// The API key for the data endpoints. Default: [`CONNECT_API_KEY`].
    pub api_key: String,
    /// Additional customers. Default: none.
    pub customers: Vec<ConnectCustomer>,
    /// Whether the data endpoints require the API key in `x-api-key`. Default: `true`. The commands
    /// in Flinks' documentation omit the header.
    pub require_api_key: bool,
    /// How many requests for a session's data receive a 202 response before the data is ready.
    /// Default: 1, because Flinks describes a 202 as the usual first response. Data from the cache
    /// is always ready.
    pub pending_replies: u64,
    /// The lifetime of a session, in seconds. A `RequestId` identifies the session. Default: 1800
    /// (30 minutes), the documented time limit for polling.
    pub session_seconds: u64,
    /// The HTTP status with which `/Authorize` refuses an unknown, spent or expired authorize
    /// token. Default: 401. Flinks documents this status only for an unknown token.
    pub rejected_token_status: u16,
    /// The `FlinksCode` with which `/Authorize` refuses an unknown, spent or expired authorize
    /// token. Default: `ACCESS_DENIED`. Flinks documents only the message.
    pub rejected_token_code: String,
    /// The HTTP status for `INVALID_REQUEST`, either 400 or 401. Default: 400. Flinks documents
    /// both.
    pub invalid_request_status: u16,
    /// The HTTP status for `INVALID_LOGIN`, either 400 or 401. Default: 401. Flinks documents both.
    pub invalid_login_status: u16,
    /// Whether a request for the iframe page spends its authorize token even if `redirectUrl` is
    /// invalid. Default: `false`. Flinks does not document this behaviour.
    pub failed_iframe_spends_token: bool,
    /// Whether `redirectUrl` and `redirect_uri` may contain a fragment. Default: `false`. Flinks
    /// does not document whether a fragment is allowed; RFC 6749, section 3.1.2, forbids it.
    pub accept_redirect_fragment: bool,
    /// The parent pages that receive events from the iframe page. Default:
    /// [`EventTarget::RedirectOrigin`]. Flinks does not document which pages receive them.
    pub event_target: EventTarget,
}

/// The settings for Flinks Outbound.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OutboundConfig {
    /// The `client_id`. Default: [`OUTBOUND_CLIENT_ID`].
    pub client_id: String,
    /// The `client_secret`. Default: [`OUTBOUND_CLIENT_SECRET`].
    pub client_secret: String,
    /// How clients authenticate at the token endpoint. Default:
    /// [`ClientAuthentication::FieldsOrBasic`]. Flinks does not document the method.
    pub client_authentication: ClientAuthentication,
    /// The lifetime of an access token, in seconds. Default: 299.
    pub access_token_seconds: u64,
    /// The time after which an unused refresh token expires, in seconds. Default: 2,592,000 (30
    /// days), as documented.
    pub refresh_token_idle_seconds: u64,
    /// The lifetime of a code, in seconds. Default: 600, the maximum that RFC 6749, section 4.1.2,
    /// recommends. Flinks does not document the lifetime.
    pub code_seconds: u64,
    /// Whether each use of a refresh token replaces it with a new one. Default: `false`, as
    /// documented.
    pub rotate_refresh_tokens: bool,
    /// Whether the response to a refresh contains the refresh token even if it has not changed.
    /// Default: `false`, as documented.
    pub repeat_refresh_token: bool,
    /// The HTTP status for an `invalid_client` error, either 400 or 401. Default: 400, as
    /// documented by Flinks. RFC 6749, section 5.2, also allows 401.
    pub invalid_client_status: u16,
    /// Whether an attempt to exchange a code with the wrong `redirect_uri` or PKCE verifier spends
    /// the code. Default: `false`. Flinks does not document this behaviour.
    pub failed_exchange_spends_code: bool,
    /// Whether a refresh request may contain `scope`. Default: `false`.
    ///
    /// RFC 6749, section 6, allows `scope` in a refresh request, and some OAuth libraries send it,
    /// but Flinks does not document the field. A client that omits it works with either setting.
    pub accept_scope_on_refresh: bool,
    /// The whitelisted redirect URIs, which are compared byte for byte. Default: an empty list,
    /// which allows every URI.
    pub redirect_uris: Vec<String>,
    /// The end user's decision at `/api/v1/authorize`. Default: [`EndUser::Asked`].
    pub end_user: EndUser,
    /// Additional clients. Default: none.
    pub clients: Vec<OutboundClient>,
    /// How PKCE is treated. Default: [`Pkce::Checked`]. Flinks does not document PKCE.
    pub pkce: Pkce,
    /// The HTTP status for an expired or revoked access token, either 401 or 403. Default: 401.
    /// Flinks documents both.
    pub expired_token_status: u16,
}

/// The limits on what an emulator stores. When a limit is exceeded, the emulator removes the oldest
/// entries, so memory use stays bounded under load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum number of requests in the ledger. Default: 10,000.
    pub requests: usize,
    /// The maximum total size of the requests in the ledger, in bytes. Default: 67,108,864 (64
    /// MiB).
    pub request_bytes: usize,
    /// The maximum number of tokens of each [`Kind`](crate::Kind). The same limit applies
    /// separately to sessions, payment requests, logins and MFA questions. Default: 100,000. The
    /// emulator rejects tokens that it has removed.
    pub tokens: usize,
    /// The maximum number of stored visits to each kind of page. Default: 1000.
    ///
    /// A visit remains stored after the end user has left, so that the browser's Back and Reload
    /// buttons can show its result.
    pub pages: usize,
}

/// The decision of a payer, or of an end user on a consent page or a bank's login page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndUser {
    /// The emulator shows a page on which the end user decides.
    #[default]
    Asked,
    /// The end user agrees immediately, without seeing a page. Use this variant in tests without a
    /// browser.
    Agrees,
    /// The end user refuses immediately, without seeing a page.
    Refuses,
}

/// The part of a `redirectUrl` that the iframe page keeps before it adds its own parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RedirectUrlPart {
    /// The whole URL, including the path and the query.
    #[default]
    Whole,
    /// The origin and the path, without the query.
    WithoutQuery,
    /// The origin, without the path or the query.
    OriginOnly,
}

/// How clients authenticate at Outbound's token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `client_id` and `client_secret` are sent either as body fields or with HTTP Basic, but not
    /// both.
    #[default]
    FieldsOrBasic,
    /// `client_id` and `client_secret` are sent as body fields.
    Fields,
    /// `client_id` and `client_secret` are sent with HTTP Basic.
    Basic,
    /// The client sends no credentials, as described in the published OpenAPI document.
    None,
}

impl Default for PayConfig {
    fn default() -> Self {
        Self {
            username: PAY_USERNAME.into(),
            password: PAY_PASSWORD.into(),
            token_seconds: 299,
            token_header: "authorization".into(),
            users: Vec::new(),
            authentication: PayAuthentication::Form,
            token_starts_one_session: true,
            accept_spent_token: true,
            failed_initiate_spends_token: false,
            status_interval_seconds: 30,
            payment_request_seconds: 24 * 60 * 60,
            settlement_seconds: 60,
            payer: EndUser::Asked,
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
            redirect_url_part: RedirectUrlPart::Whole,
            end_user: EndUser::Asked,
            api_key: CONNECT_API_KEY.into(),
            customers: Vec::new(),
            require_api_key: true,
            pending_replies: 1,
            session_seconds: 30 * 60,
            rejected_token_status: 401,
            rejected_token_code: "ACCESS_DENIED".into(),
            invalid_request_status: 400,
            invalid_login_status: 401,
            failed_iframe_spends_token: false,
            accept_redirect_fragment: false,
            event_target: EventTarget::RedirectOrigin,
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
            clients: Vec::new(),
            pkce: Pkce::Checked,
            expired_token_status: 401,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 10_000, request_bytes: 64 << 20, tokens: 100_000, pages: 1_000 }
    }
}

/// Implements `Debug` without showing any field, because a configuration may contain a real
/// credential.
macro_rules! opaque_debug {
    ($($type:ident)*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque_debug!(Config PayConfig ConnectConfig OutboundConfig PayUser ConnectCustomer OutboundClient);
